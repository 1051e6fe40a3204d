//! `likeness photos check` as somebody uses it. With real networks on real photographs where they are here; where they are not,
//! it says loudly what it skips.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use likeness_tests::cli::likeness;
use likeness_tests::photographs::material;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn without_networks_it_says_which_files_to_give() {
    let photo = root().join("models/pocket/people/person-12");
    let photo = fs::read_dir(photo).unwrap().next().unwrap().unwrap().path();
    let photo = photo.to_str().unwrap();
    likeness(&["photos", "check", photo]).expect(
        2,
        &["--detector FILE and --recogniser FILE", "face_detection_yunet", "face_recognition_sface"],
    );
    likeness(&["photos", "check", photo, "--detector", "/nowhere.onnx"])
        .expect(2, &["add --recogniser FILE"]);
    likeness(&["photos", "check", photo, "--mean", "1"]).expect(2, &["--recogniser"]);
    let networks = ["--detector", "/nowhere.onnx", "--recogniser", photo];
    likeness(&[&["photos", "check", photo][..], &networks].concat())
        .expect(1, &["faces.detector: there is no file /nowhere.onnx"]);
    let networks = ["--detector", photo, "--recogniser", photo];
    likeness(&[&["photos", "check", photo][..], &networks].concat())
        .expect(1, &["faces.detector", "is not an ONNX file", "face_detection_yunet"]);
}

#[test]
fn every_photo_gets_a_verdict_and_every_face_a_place_on_the_sheet() {
    let Some(material) = material("photos check") else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = material.configuration(folder.path());
    let letter = folder.path().join("letter.jpg");
    fs::write(&letter, "Dear Sir or Madam").unwrap();
    let sheet = folder.path().join("sheet.png");
    let photo = |name: &str| material.photo(name).display().to_string();
    let photos: Vec<String> =
        ["obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg", "chelsea.png"].map(photo).into();
    let paths = |names: &[String]| -> Vec<String> {
        let mut arguments = vec!["photos".to_owned(), "check".to_owned()];
        arguments.extend_from_slice(names);
        arguments.extend(["--config".to_owned(), config.display().to_string()]);
        arguments
    };

    let mut arguments = paths(&[photos.clone(), vec![letter.display().to_string()]].concat());
    arguments.extend(["--contact-sheet".to_owned(), sheet.display().to_string()]);
    let ended = likeness(&[arguments.clone(), vec!["-o".to_owned(), "json".to_owned()]].concat());
    ended.expect(
        1,
        &["3 of 6 photos can be learned from", "advice: 3 photos are enough to begin with", "1 others"],
    );
    let json = ended.json();
    assert_eq!(json["usable"], true);
    let codes: Vec<_> = json["photos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|photo| photo["refusals"][0]["code"].as_str().unwrap_or("ok").to_owned())
        .collect();
    assert_eq!(codes, ["ok", "ok", "ok", "different_person", "no_face", "unsupported_format"]);
    assert!(json["photos"][0]["face"]["sharpness"].as_f64().unwrap() > 0.4);
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));

    let ended = likeness(&arguments);
    ended.expect(1, &[]);
    for word in ["VERDICT", "different_person", "no face is seen", "save the photo as JPEG"] {
        assert!(ended.stdout.contains(word), "{ended:?}");
    }
    likeness(&paths(&photos[..3])).expect(0, &["3 of 3 photos can be learned from"]);
    likeness(&paths(&photos[..2])).expect(1, &["2 usable photos are too few", "too_few"]);
}
