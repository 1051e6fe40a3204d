//! Photos as people send them, through the whole check.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use likeness_faces::check::{CheckLimits, CheckedPhoto, CheckedSet, PhotoChecker};
use likeness_faces::intake::{PhotoLimits, RefusalCode};

use super::material::{jpeg, networks, photograph, picture, to_image};

const GREY: Rgb<u8> = Rgb([110, 120, 130]);

fn checker(test: &str) -> Option<PhotoChecker> {
    let (detector, recogniser) = networks(test)?;
    let checker = PhotoChecker::new(detector, recogniser, PhotoLimits::default(), CheckLimits::default());
    Some(checker.unwrap())
}

fn code(photo: &CheckedPhoto) -> Option<RefusalCode> {
    photo.refusals.first().map(|refusal| refusal.code)
}

fn check(checker: &PhotoChecker, image: &RgbImage) -> Option<RefusalCode> {
    code(&checker.check(&jpeg(image)).unwrap())
}

fn check_set(checker: &PhotoChecker, files: &[Vec<u8>]) -> CheckedSet {
    checker.check_set(files.iter().map(|file| checker.check(file).unwrap()).collect())
}

#[test]
fn a_good_photo_is_taken_and_described() {
    let test = "a_good_photo_is_taken_and_described";
    let Some(checker) = checker(test) else { return };
    for name in ["astronaut.png", "biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg"] {
        let Some(file) = photograph(test, name) else { return };
        let photo = checker.check(&file).unwrap();
        assert!(photo.is_usable(), "{name}: {:?}", photo.refusals);
        let (facts, portrait) = (photo.facts.unwrap(), photo.portrait.unwrap());
        assert!(facts.sharpness > 0.4 && facts.pose.yaw.abs() < 30.0, "{name}: {facts:?}");
        assert_eq!((portrait.pixels.width, portrait.pixels.height), (512, 512));
        // The head is in it, as in FFHQ: eyes a little above the middle, as far apart as a quarter of the side at most.
        let eyes = portrait.points.left_eye.middle(portrait.points.right_eye);
        assert!((150.0..360.0).contains(&eyes.x) && (180.0..290.0).contains(&eyes.y), "{name}: {eyes:?}");
        let apart = portrait.points.right_eye.minus(portrait.points.left_eye).length();
        assert!((70.0..135.0).contains(&apart), "{name}: {apart}");
    }
}

#[test]
fn who_is_not_well_seen_is_told_why() {
    let test = "who_is_not_well_seen_is_told_why";
    let Some(checker) = checker(test) else { return };
    let Some(obama) = picture(test, "obama.jpg") else { return };
    let image = to_image(&obama);
    let scaled = |factor: f32| {
        let mut scaled = image.clone();
        scaled.iter_mut().for_each(|value| *value = (f32::from(*value) * factor).min(255.0) as u8);
        scaled
    };
    assert_eq!(check(&checker, &scaled(0.12)), Some(RefusalCode::TooDark));
    assert_eq!(check(&checker, &scaled(0.5)), None, "evening is not night");
    assert_eq!(check(&checker, &scaled(3.0)), Some(RefusalCode::TooBright));
    assert_eq!(check(&checker, &imageops::fast_blur(&image, 9.0)), Some(RefusalCode::Blurry));
    assert_eq!(check(&checker, &imageops::fast_blur(&image, 1.5)), None, "a little soft is fine");
    let small = imageops::thumbnail(&image, image.width() / 4, image.height() / 4);
    assert_eq!(check(&checker, &small), Some(RefusalCode::FaceTooSmall));
    assert_eq!(check(&checker, &RgbImage::from_pixel(600, 600, GREY)), Some(RefusalCode::NoFace));
    assert_eq!(check(&checker, &RgbImage::from_pixel(600, 600, Rgb([6, 5, 9]))), Some(RefusalCode::TooDark));
}

#[test]
fn a_photo_that_is_not_upright_is_told_which_way_to_turn() {
    let test = "a_photo_that_is_not_upright_is_told_which_way_to_turn";
    let Some(checker) = checker(test) else { return };
    for name in ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "astronaut.png"] {
        let Some(picture) = picture(test, name) else { return };
        let image = to_image(&picture);
        for (turned, hint) in [
            (imageops::rotate270(&image), "a quarter clockwise"),
            (imageops::rotate180(&image), "upright"),
            (imageops::rotate90(&image), "a quarter anticlockwise"),
        ] {
            let photo = checker.check(&jpeg(&turned)).unwrap();
            assert_eq!(code(&photo), Some(RefusalCode::ExtremePose), "{name} {hint}: {:?}", photo.facts);
            assert!(photo.refusals[0].hint.contains(hint), "{name}: {}", photo.refusals[0]);
        }
    }
}

#[test]
fn two_equals_are_refused_and_a_passer_by_is_not() {
    let test = "two_equals_are_refused_and_a_passer_by_is_not";
    let Some(checker) = checker(test) else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let Some(biden) = picture(test, "biden.jpg") else { return };
    let (astronaut, biden) = (to_image(&astronaut), to_image(&biden));
    let beside = |side: u32| {
        let mut both = RgbImage::from_pixel(1500, 1000, GREY);
        imageops::replace(&mut both, &imageops::resize(&astronaut, 1000, 1000, FilterType::CatmullRom), 0, 0);
        imageops::replace(&mut both, &imageops::thumbnail(&biden, side, side), 1000, 300);
        both
    };
    assert_eq!(check(&checker, &beside(500)), Some(RefusalCode::MultipleFaces));
    let photo = checker.check(&jpeg(&beside(260))).unwrap();
    assert_eq!((photo.faces, code(&photo)), (2, None));
}

#[test]
fn strangers_and_copies_are_found_in_a_set() {
    let test = "strangers_and_copies_are_found_in_a_set";
    let Some(checker) = checker(test) else { return };
    let mut files = Vec::new();
    for name in ["biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg"] {
        let Some(file) = photograph(test, name) else { return };
        files.push(file);
    }
    let Some(obama2) = picture(test, "obama2.jpg") else { return };
    // Passed on by a messenger: smaller, compressed again, its edge cut off.
    let image = to_image(&obama2);
    let smaller = imageops::thumbnail(&image, image.width() * 6 / 10, image.height() * 6 / 10);
    files.push(jpeg(
        &imageops::crop_imm(&smaller, 0, 10, smaller.width() - 20, smaller.height() - 20).to_image(),
    ));
    files.push(files[1].clone());
    let set = check_set(&checker, &files);
    let codes: Vec<_> = set.photos.iter().map(code).collect();
    let (stranger, duplicate) = (Some(RefusalCode::DifferentPerson), Some(RefusalCode::Duplicate));
    assert_eq!(codes, [stranger, None, None, None, duplicate, duplicate]);
    assert!(set.is_usable() && set.middle.is_some_and(|middle| (1..4).contains(&middle)));
    let said: Vec<_> = set.photos.iter().flat_map(|photo| &photo.refusals).map(ToString::to_string).collect();
    assert!(said[1].contains("photo 3") && said[2].contains("exactly the same as photo 2"), "{said:?}");
    let advice: Vec<_> = set.advice.iter().map(|advice| advice.code.as_str()).collect();
    assert_eq!(advice, ["more_photos", "small_faces"]);
    let person = set.identity().unwrap();
    assert!(set.photos[2].embedding.as_ref().unwrap().cosine(&person) > 0.8);

    let set = check_set(&checker, &files[..3]);
    assert!(!set.is_usable() && set.refusals().last().unwrap().code == RefusalCode::TooFew);
}

/// As many as somebody may drop at once: each is looked at by itself and only its portrait is kept.
#[test]
fn two_hundred_photos_are_checked_one_by_one() {
    let test = "two_hundred_photos_are_checked_one_by_one";
    let Some(checker) = checker(test) else { return };
    let Some(astronaut) = picture(test, "astronaut.png") else { return };
    let image = imageops::crop_imm(&to_image(&astronaut), 90, 0, 270, 270).to_image();
    let files: Vec<Vec<u8>> = (0..200u32)
        .map(|index| if index % 4 == 3 { b"no photo".to_vec() } else { jpeg(&tinted(&image, index as u8)) })
        .collect();
    let set = check_set(&checker, &files);
    let count = |code: RefusalCode| set.refusals().filter(|refusal| refusal.code == code).count();
    assert_eq!(count(RefusalCode::UnsupportedFormat), 50);
    // One picture in other tints is one picture.
    assert_eq!(count(RefusalCode::Duplicate), 149);
    assert_eq!(count(RefusalCode::TooFew), 1);
    assert!(
        set.photos
            .iter()
            .enumerate()
            .all(|(index, photo)| { photo.refusals.iter().all(|refusal| refusal.index == Some(index)) })
    );
}

fn tinted(image: &RgbImage, by: u8) -> RgbImage {
    let mut tinted = image.clone();
    tinted.pixels_mut().for_each(|pixel| pixel.0[2] = pixel.0[2].saturating_sub(by / 8));
    tinted
}
