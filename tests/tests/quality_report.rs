//! From photos to a person with a report of how well it is drawn: asked for and read on the command line, and read by RPC. On the
//! pocket world, with its own networks for faces.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use likeness_shared::client::Client;
use likeness_shared::ids::Digest;
use likeness_shared::proto::{GetPersonRequest, Person};
use likeness_tests::cli::Ended;
use likeness_tests::fleet::Coordinator;
use likeness_tests::world;
use safetensors::SafeTensors;
use serde_json::Value;

/// The pocket world's networks, and limits that every small drawing passes.
fn faces(folder: &Path) -> PathBuf {
    let networks = world::pocket_model().join("faces");
    let network = |file: &str| format!("\"{}\"", networks.join(file).display());
    let text = format!(
        "[faces]\ndetector = {}\ndetector_side = 256\nclip = {}\n\
         [faces.recogniser]\nfile = {}\nmean = 127.5\nscale = 127.5\n\
         [faces.judge]\nfile = {}\nmean = 127.5\nscale = 127.5\n\
         [faces.limits]\nmin_face = 8.0\nmin_sharpness = 0.0\nmax_yaw = 180.0\nmax_pitch = 180.0\n\
         max_roll = 180.0\nmin_likeness = -1.0\nduplicate_likeness = 1.0\n",
        network("detector.onnx"),
        network("clip"),
        network("recogniser.onnx"),
        network("judge.onnx"),
    );
    let config = folder.join("faces.toml");
    fs::write(&config, text).unwrap();
    config
}

fn invert(coordinator: &Coordinator, name: &str, further: &[&str]) -> Ended {
    let photos: Vec<String> =
        world::photos("person-03").iter().map(|path| path.display().to_string()).collect();
    let mut arguments =
        vec!["-o", "json", "invert", "--name", name, "--consent", "--steps", "4", "--batch", "4"];
    arguments.extend(further);
    arguments.extend(photos.iter().map(String::as_str));
    coordinator.likeness(&arguments)
}

fn person_by_rpc(coordinator: &Coordinator, name: &str) -> Person {
    let request = GetPersonRequest {
        tenant: "local".to_owned(),
        user: "me".to_owned(),
        name: name.to_owned(),
        ..GetPersonRequest::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::connect(&format!("http://{}", coordinator.address)).await.unwrap();
        client.get_person(request).await.unwrap()
    })
}

fn metadata(coordinator: &Coordinator, person: &str, folder: &Path) -> HashMap<String, String> {
    let file = folder.join("person.safetensors");
    coordinator.ask(&["people", "export", person, "--out", &file.display().to_string()]);
    let bytes = fs::read(&file).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    header.metadata().clone().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn photos_become_a_person_with_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path());
    let worker = coordinator.start_worker_configured("scores", &faces(folder.path()));
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "a photo of sks\n\nsks in the snow\n").unwrap();
    let (kept, sheet) = (folder.path().join("report"), folder.path().join("sheet.png"));
    let [prompts, kept_at, sheet_at] = [&prompts, &kept, &sheet].map(|path| path.display().to_string());
    let asked = ["--quality", "--quality-prompts", &prompts, "--quality-pictures", "2", "--held-out", "2"];
    let wanted = ["--report", kept_at.as_str(), "--contact-sheet", sheet_at.as_str()];
    let ended = invert(&coordinator, "ann", &[&asked[..], &wanted].concat());
    ended.expect(0, &["report.html", "sheet.png"]);

    let task = &ended.json()["task"];
    assert_eq!(task["progress"]["photos"]["dropped"].as_array().map(Vec::len), Some(0), "{task}");
    let result = &task["inversion_result"];
    let report = &result["quality"];
    assert_eq!((&result["photos_used"], &result["steps"]), (&6.into(), &4.into()));
    assert_eq!((&report["identity"]["photos"], &report["held_out"]["photos"]), (&6.into(), &2.into()));
    let (id, ceiling) = (number(&report["identity"]["id"]), number(&report["identity"]["ceiling"]));
    assert!((-1.0..=1.0).contains(&id) && ceiling > 0.0 && ceiling <= 1.0, "{report}");
    assert!(number(&report["identity"]["face_rate"]) > 0.0, "the pocket model draws faces: {report}");
    assert_eq!(report["judged_by_chooser"], false, "there is a judge of its own");
    let judge = fs::read(world::pocket_model().join("faces/judge.onnx")).unwrap();
    assert_eq!(report["judge_digest"], Digest::of(&judge).to_string());
    assert_eq!(report["clip_digest"].as_str().map(str::len), Some(64));
    let (clip, aggregate) = (number(&report["clip"]), number(&report["aggregate_of_means"]));
    assert!(((1.0 + clip) * (1.0 + id) - aggregate).abs() < 1e-6, "{report}");
    assert!(number(&report["diversity"]) > 0.0 && number(&report["nearest_copy"]) < 1.0, "{report}");
    let drawn: Vec<&Value> = report["prompts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| p["pictures"].as_array().unwrap())
        .collect();
    assert_eq!((drawn.len(), &report["pictures"]), (4, &4.into()));
    let mean = drawn.iter().map(|picture| number(&picture["id"])).sum::<f64>() / 4.0;
    assert!((mean - id).abs() < 1e-6, "{mean} and {id}");

    // what is kept: the page, the figures, the pictures as they were drawn, the sheet
    let figures: Value = serde_json::from_slice(&fs::read(kept.join("report.json")).unwrap()).unwrap();
    assert_eq!(&figures, report);
    let page = fs::read_to_string(kept.join("report.html")).unwrap();
    assert!(page.contains("sks in the snow") && page.contains("prompt-2-seed-1.png"), "{page}");
    for name in ["prompt-1-seed-0.png", "prompt-1-seed-1.png", "prompt-2-seed-0.png", "prompt-2-seed-1.png"] {
        assert!(fs::read(kept.join(name)).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    assert!(fs::read(&sheet).unwrap().starts_with(b"\x89PNG"));

    // it stays with the person, by RPC, on the command line, and as scores in the file
    let person = person_by_rpc(&coordinator, "ann");
    let quality = person.quality.unwrap_or_default();
    let kept_id = quality.identity.map_or(f64::NAN, |identity| identity.id);
    assert!((kept_id - id).abs() < 1e-12, "{kept_id} and {id}, as read from JSON");
    assert_eq!(&coordinator.ask(&["people", "get", "ann"])["quality"], report);
    let shown = coordinator.likeness(&["people", "show", "ann"]);
    assert!(shown.stdout.contains("a face in ") && shown.stdout.contains("held out"), "{shown:?}");
    let metadata = metadata(&coordinator, "ann", folder.path());
    assert_eq!(metadata["likeness.id"], format!("{id:.6}"));
    assert_eq!(
        (metadata["likeness.photos"].as_str(), &metadata["likeness.judge"]),
        ("6", &quality.judge_digest)
    );

    // a prompt without the placeholder shows nobody
    fs::write(folder.path().join("prompts.txt"), "a photo of a man\n").unwrap();
    invert(&coordinator, "bob", &asked[..3]).expect(1, &["spec.quality.prompts[0]", "placeholder"]);
    drop(worker);
}

#[test]
fn a_worker_without_networks_learns_and_says_why_there_is_no_report() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path());
    let worker = coordinator.start_worker("blind");
    let ended = invert(&coordinator, "ann", &["--quality", "--held-out", "1"]);
    ended.expect(0, &["there is no quality report: the worker has no networks", "(no_networks)"]);
    let result = &ended.json()["task"]["inversion_result"];
    assert_eq!(
        (&result["quality_absent"]["code"], &result["quality"]),
        (&"no_networks".into(), &Value::Null)
    );
    assert_eq!(result["photos_used"], 7);
    assert_eq!(person_by_rpc(&coordinator, "ann").quality, None);
    drop(worker);
}
