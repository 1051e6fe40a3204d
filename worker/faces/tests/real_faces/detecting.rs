//! How many faces, where, how large.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use likeness_faces::intake::RgbPixels;
use likeness_faces::{Face, Point};

use super::material::{detector, picture, to_image, to_pixels};

const GREY: Rgb<u8> = Rgb([110, 120, 130]);

#[test]
fn both_forms_of_the_network_find_the_same_face() {
    let test = "both_forms_of_the_network_find_the_same_face";
    let Some(free) = detector(test, "yunet_n_dynamic.onnx") else { return };
    let Some(fixed) = detector(test, "yunet_n_320_320.onnx") else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let [face] = free.detect(&astronaut).unwrap()[..] else { panic!("one face is there") };
    // What OpenCV's FaceDetectorYN says of the same file and picture.
    let expected =
        [(203.351, 103.621), (247.521, 104.448), (224.104, 127.689), (203.962, 143.137), (242.913, 143.672)];
    for (point, (x, y)) in face.points.to_array().into_iter().zip(expected) {
        assert!(point.minus(Point::new(x, y)).length() < 0.01, "{face:?}");
    }
    assert!((face.score - 0.935_63).abs() < 1e-4 && (face.bounds.width - 91.361).abs() < 0.01, "{face:?}");
    let [shrunk] = fixed.detect(&astronaut).unwrap()[..] else { panic!("one face is there") };
    assert!(shrunk.bounds.overlap(face.bounds) > 0.8, "{shrunk:?} {face:?}");
}

#[test]
fn two_people_are_two_faces_and_a_cat_is_none() {
    let test = "two_people_are_two_faces_and_a_cat_is_none";
    let Some(detector) = detector(test, "yunet_n_dynamic.onnx") else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let Some(biden) = picture(test, "biden.jpg") else { return };
    let mut both = RgbImage::from_pixel(1024, 512, GREY);
    imageops::replace(&mut both, &to_image(&astronaut), 0, 0);
    let biden = imageops::resize(&to_image(&biden), 512, 512, FilterType::Triangle);
    imageops::replace(&mut both, &biden, 512, 0);
    let faces = detector.detect(&to_pixels(both)).unwrap();
    assert_eq!(faces.len(), 2, "{faces:?}");
    assert!(faces[0].bounds.area() >= faces[1].bounds.area(), "the largest comes first");
    let mut sides: Vec<bool> = faces.iter().map(|face| face.points.nose.x < 512.0).collect();
    sides.sort_unstable();
    assert_eq!(sides, [false, true]);
    for name in ["chelsea.png", "coffee.png"] {
        let Some(other) = picture(test, name) else { return };
        assert_eq!(detector.detect(&other).unwrap(), [], "{name}");
    }
}

#[test]
fn a_face_is_found_from_tiny_to_filling_the_picture() {
    let test = "a_face_is_found_from_tiny_to_filling_the_picture";
    let Some(detector) = detector(test, "yunet_n_dynamic.onnx") else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let astronaut = to_image(&astronaut);
    let one = |picture: RgbImage, what: &str| -> Face {
        let faces = detector.detect(&to_pixels(picture)).unwrap();
        assert_eq!(faces.len(), 1, "{what}: {faces:?}");
        faces[0]
    };
    // A face of about 17 pixels in a large picture.
    let mut far = RgbImage::from_pixel(600, 600, GREY);
    imageops::replace(&mut far, &imageops::thumbnail(&astronaut, 100, 100), 300, 400);
    let face = one(far, "far away");
    assert!(face.bounds.width < 25.0 && face.points.nose.x > 300.0 && face.points.nose.y > 400.0, "{face:?}");
    // A picture of 3000 pixels that is nothing but a face.
    let close = imageops::crop_imm(&astronaut, 170, 55, 110, 130).to_image();
    let face = one(imageops::resize(&close, 2538, 3000, FilterType::Triangle), "close");
    assert!(face.bounds.height > 1800.0, "{face:?}");
    // Twelve megapixels, the face where it was.
    let large = imageops::resize(&astronaut, 3500, 3500, FilterType::Triangle);
    let (before, face) = (one(astronaut, "as it is"), one(large, "large"));
    let factor = 3500.0 / 512.0;
    let nose = before.points.nose;
    let moved = Point::new(nose.x * factor, nose.y * factor).minus(face.points.nose).length();
    assert!(moved < 4.0 * factor, "{before:?} {face:?}");
}

#[test]
fn odd_pictures_are_no_trouble() {
    let Some(detector) = detector("odd_pictures_are_no_trouble", "yunet_n_dynamic.onnx") else { return };
    for (width, height) in [(1, 1), (1, 4000), (4000, 1), (31, 33), (64, 64), (1999, 640)] {
        let pixels = (0..width * height * 3).map(|index| (index * 7 % 251) as u8).collect();
        let faces = detector.detect(&RgbPixels { width, height, pixels }).unwrap();
        assert_eq!(faces, [], "{width} x {height}");
    }
}
