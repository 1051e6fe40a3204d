//! A worker with networks for faces looks at the photos of an inversion: it drops those that nobody can be learned from, says which and
//! why, and goes on with the rest, or fails once where they are too few. With real networks on real photographs where they are here; where
//! they are not, it says loudly what it skips.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::fs;
use std::path::{Path, PathBuf};

use likeness_tests::cli::Ended;
use likeness_tests::fleet::Coordinator;
use likeness_tests::photographs::material;
use likeness_tests::world;
use safetensors::SafeTensors;
use serde_json::Value;

fn invert(coordinator: &Coordinator, name: &str, photos: &[PathBuf], further: &[&str]) -> Ended {
    let photos: Vec<String> = photos.iter().map(|path| path.display().to_string()).collect();
    let mut arguments =
        vec!["-o", "json", "invert", "--name", name, "--consent", "--steps", "2", "--batch", "2"];
    arguments.extend(further);
    arguments.extend(photos.iter().map(String::as_str));
    coordinator.likeness(&arguments)
}

/// Index and main code of each dropped photo.
fn dropped(task: &Value) -> Vec<(u64, String)> {
    let photos = task["progress"]["photos"]["dropped"].as_array().unwrap_or_else(|| panic!("{task}"));
    let photo = |photo: &Value| {
        let code = photo["refusals"][0]["code"].as_str().unwrap_or_default().to_owned();
        (photo["index"].as_u64().unwrap(), code)
    };
    photos.iter().map(photo).collect()
}

fn newest_task(coordinator: &Coordinator) -> Value {
    let tasks = coordinator.ask(&["task", "ls", "--limit", "1"]);
    coordinator.task(tasks[0]["id"].as_str().unwrap_or_else(|| panic!("{tasks}")))
}

fn metadata(coordinator: &Coordinator, person: &str, folder: &Path) -> String {
    let file = folder.join("person.safetensors");
    coordinator.ask(&["people", "export", person, "--out", &file.display().to_string()]);
    let bytes = fs::read(&file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().as_ref().unwrap()["likeness.photos"].clone()
}

#[test]
fn photos_that_nobody_can_be_learned_from_are_dropped_and_told() {
    let Some(material) = material("photos in a worker") else { return };
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path());
    let worker = coordinator.start_worker_configured("looks", &material.configuration(folder.path()));
    let photo = |name: &str| material.photo(name);
    let broken = folder.path().join("broken.jpg");
    let whole = fs::read(photo("obama.jpg")).unwrap();
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();

    let good = ["obama.jpg", "obama2.jpg", "obama3.jpg"].map(photo);
    let bad = [photo("biden.jpg"), photo("chelsea.png"), broken.clone(), photo("obama.jpg")];
    let mixed = [&good[..2], &bad[..], &good[2..]].concat();
    let ended = invert(&coordinator, "ann", &mixed, &[]);
    let broken = broken.display().to_string();
    ended.expect(
        0,
        &["3 of 7 photos are learned from", "biden.jpg is not learned from", "different_person", &broken],
    );
    let task = &ended.json()["task"];
    let codes = ["different_person", "no_face", "corrupt", "duplicate"].map(str::to_owned);
    assert_eq!(dropped(task), (2..6).zip(codes).collect::<Vec<_>>());
    assert_eq!(task["inversion_result"]["photos_used"], 3);
    let (id, first) = (task["id"].as_str().unwrap(), &task["progress"]["photos"]["dropped"][0]);
    assert_eq!(first["artifact_digest"].as_str().map(str::len), Some(64));
    assert!(first["refusals"][0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    assert_eq!(task["progress"]["photos"]["advice"][0]["code"], "more_photos");
    assert_eq!(metadata(&coordinator, "ann", folder.path()), "3");
    let shown = coordinator.likeness(&["task", "get", id]);
    shown.expect(0, &[]);
    for words in ["3 of 7 are learned from", "photo 4:", "no_face"] {
        assert!(shown.stdout.contains(words), "{shown:?}");
    }

    // too few are left: the request's fault, which no attempt would mend
    let ended = invert(&coordinator, "bob", &[good[0].clone(), good[1].clone(), bad[0].clone()], &[]);
    ended.expect(5, &["2 usable photos are too few; at least 3 are needed", "biden.jpg is not learned from"]);
    let task = newest_task(&coordinator);
    assert_eq!((task["state"].as_str(), task["failure"]["code"].as_str()), (Some("failed"), Some("too_few")));
    assert_eq!(
        (&task["attempts"]["started"], &task["attempts"]["application_failures"]),
        (&1.into(), &1.into())
    );
    let message = task["failure"]["message"].as_str().unwrap();
    assert!(message.contains("photo 3: ") && message.contains("(different_person); "), "{message}");
    assert_eq!(dropped(&task), [(2, "different_person".to_owned())]);

    // a platform may need every photo
    let four = [&good[..], &bad[..1]].concat();
    invert(&coordinator, "eve", &four, &["--min-photos", "4"])
        .expect(5, &["3 usable photos are too few; at least 4 are needed"]);
    invert(&coordinator, "eve", &four, &["--min-photos", "5"]).expect(1, &["spec.min_photos"]);
    drop(worker);
}

#[test]
fn a_coordinator_judges_photos_before_they_are_submitted() {
    let Some(material) = material("photos at a coordinator") else { return };
    let folder = tempfile::tempdir().unwrap();
    let faces = fs::read_to_string(material.configuration(folder.path())).unwrap();
    let coordinator = Coordinator::start_with(folder.path(), &faces);
    let photos = ["obama.jpg", "obama2.jpg", "biden.jpg", "obama3.jpg", "chelsea.png"];
    let paths = photos.map(|name| material.photo(name).display().to_string());
    let check = |paths: &[String], further: &[&str]| {
        let mut arguments = vec!["photos", "check", "--by-server"];
        arguments.extend(further);
        arguments.extend(paths.iter().map(String::as_str));
        coordinator.likeness(&arguments)
    };
    let ended = check(&paths, &["-o", "json", "--size", "64"]);
    ended.expect(1, &["3 of 5 photos can be learned from", "advice: 3 photos are enough to begin with"]);
    let json = ended.json();
    let code = |photo: &Value| photo["refusals"][0]["code"].as_str().unwrap_or("ok").to_owned();
    let codes: Vec<_> = json["photos"].as_array().unwrap().iter().map(code).collect();
    assert_eq!(codes, ["ok", "ok", "different_person", "ok", "no_face"]);
    assert!(json["photos"][0]["face"]["sharpness"].as_f64().unwrap() > 0.4, "{json}");
    let good = [&paths[..2], &paths[3..4]].concat();
    check(&good, &[]).expect(0, &["3 of 3 photos can be learned from"]);
    check(&good[..2], &[]).expect(1, &["2 usable photos are too few", "too_few"]);
}

#[test]
fn a_coordinator_without_networks_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path());
    let photo = world::photos("person-12").remove(0).display().to_string();
    coordinator.likeness(&["photos", "check", "--by-server", &photo]).expect(
        1,
        &["this coordinator has no networks for faces: configure faces.detector and faces.recogniser"],
    );
}
