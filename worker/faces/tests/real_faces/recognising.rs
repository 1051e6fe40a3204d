//! Who is who.

use image::RgbImage;
use image::imageops::{self, FilterType};
use likeness_faces::FaceError;
use likeness_faces::align::aligned;
use likeness_faces::detect::{Detector, DetectorOptions};
use likeness_faces::intake::RgbPixels;
use likeness_faces::recognise::{ChannelOrder, Embedding, Recogniser, RecogniserOptions};

use super::material::{jpeg, network_file, networks, picture, to_image, to_pixels, upright};

fn embedding(detector: &Detector, recogniser: &Recogniser, picture: &RgbPixels) -> Embedding {
    let faces = detector.detect(picture).unwrap();
    recogniser.embed_face(picture, &faces[0].points).unwrap().unwrap()
}

#[test]
fn one_person_is_alike_and_strangers_are_not() {
    let test = "one_person_is_alike_and_strangers_are_not";
    let Some((detector, recogniser)) = networks(test) else { return };
    let mut known = Vec::new();
    for (name, person) in [
        ("obama.jpg", "obama"),
        ("obama2.jpg", "obama"),
        ("obama3.jpg", "obama"),
        ("biden.jpg", "biden"),
        ("astronaut.png", "astronaut"),
    ] {
        let Some(picture) = picture(test, name) else { return };
        known.push((name, person, embedding(&detector, &recogniser, &picture)));
    }
    for (index, (name, person, embedding)) in known.iter().enumerate() {
        for (other, somebody, another) in &known[index + 1..] {
            let cosine = embedding.cosine(another);
            let as_expected = if person == somebody { cosine > 0.5 } else { cosine < 0.35 };
            assert!(as_expected, "{name} and {other}: {cosine}");
        }
    }
}

/// A camera stores the picture turned or mirrored and says so: the face has to be the same.
#[test]
fn every_orientation_gives_the_same_face() {
    let test = "every_orientation_gives_the_same_face";
    let Some((detector, recogniser)) = networks(test) else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let image = to_image(&astronaut);
    let expected = embedding(&detector, &recogniser, &upright(&jpeg(&image)));
    for orientation in 1..=8 {
        let file = with_orientation(&jpeg(&stored(&image, orientation)), orientation);
        let cosine = embedding(&detector, &recogniser, &upright(&file)).cosine(&expected);
        assert!(cosine > 0.99, "orientation {orientation}: {cosine}");
    }
}

/// How a camera stores an upright picture under an orientation (EXIF 2.3, tag 274).
fn stored(upright: &RgbImage, orientation: u8) -> RgbImage {
    match orientation {
        2 => imageops::flip_horizontal(upright),
        3 => imageops::rotate180(upright),
        4 => imageops::flip_vertical(upright),
        5 => imageops::flip_horizontal(&imageops::rotate90(upright)),
        6 => imageops::rotate270(upright),
        7 => imageops::flip_vertical(&imageops::rotate90(upright)),
        8 => imageops::rotate90(upright),
        _ => upright.clone(),
    }
}

fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn a_face_in_many_pixels_is_the_same_face() {
    let test = "a_face_in_many_pixels_is_the_same_face";
    let Some((detector, recogniser)) = networks(test) else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let expected = embedding(&detector, &recogniser, &astronaut);
    for side in [300, 1000, 3000] {
        let sized = imageops::resize(&to_image(&astronaut), side, side, FilterType::CatmullRom);
        let cosine = embedding(&detector, &recogniser, &to_pixels(sized)).cosine(&expected);
        assert!(cosine > 0.9, "{side}: {cosine}");
    }
}

#[test]
fn a_face_has_the_same_embedding_alone_in_a_batch_and_on_any_thread() {
    let test = "a_face_has_the_same_embedding_alone_in_a_batch_and_on_any_thread";
    let Some((detector, recogniser)) = networks(test) else { return };
    let mut chips = Vec::new();
    for name in ["astronaut.png", "obama.jpg", "biden.jpg"] {
        let Some(picture) = picture(test, name) else { return };
        let faces = detector.detect(&picture).unwrap();
        chips.push(aligned(&picture, &faces[0].points).unwrap().unwrap());
    }
    let many: Vec<_> = chips.iter().cycle().take(20).cloned().collect();
    let embeddings = recogniser.embed(&many).unwrap();
    assert_eq!(embeddings.len(), 20);
    for (index, embedding) in embeddings.iter().enumerate() {
        assert!(embedding.cosine(&embeddings[index % 3]) > 0.9999, "{index}");
        let length: f32 = embedding.values().iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-4);
    }
    std::thread::scope(|scope| {
        for (chip, expected) in chips.iter().zip(&embeddings) {
            let recogniser = &recogniser;
            scope.spawn(move || {
                let alone = recogniser.embed(std::slice::from_ref(chip)).unwrap();
                assert!(alone[0].cosine(expected) > 0.9999);
            });
        }
    });
    assert_eq!(recogniser.embed(&[]).unwrap(), []);
    let wrong = RgbPixels { width: 111, ..chips[0].clone() };
    assert!(matches!(recogniser.embed(&[wrong]), Err(FaceError::Picture { width: 111, .. })));
}

#[test]
fn a_network_in_the_wrong_place_is_told() {
    let test = "a_network_in_the_wrong_place_is_told";
    let Some(yunet) = network_file(test, "yunet_n_dynamic.onnx") else { return };
    let Some(mobilefacenet) = network_file(test, "mobilefacenet.onnx") else { return };
    let said = Detector::load(&mobilefacenet, DetectorOptions::default()).unwrap_err().to_string();
    assert!(said.contains("no output named cls_8"), "{said}");
    let options = RecogniserOptions { channels: ChannelOrder::Bgr, ..Default::default() };
    let said = Recogniser::load(&yunet, options).unwrap_err().to_string();
    assert!(said.contains("12 outputs") && said.contains("face_recognition_sface"), "{said}");
    // A download that was cut off.
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.onnx");
    let bytes = std::fs::read(&mobilefacenet).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let said = Recogniser::load(&cut, RecogniserOptions::default()).unwrap_err();
    assert!(matches!(said, FaceError::NotOnnx { .. }), "{said}");
}

#[test]
fn networks_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Detector>();
    shared::<Recogniser>();
}
