//! A bank of names as an operator builds it, and people who are learned from its names, with the pocket world's networks for faces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use likeness_tests::cli::likeness;
use likeness_tests::fleet::Coordinator;
use likeness_tests::world;

/// Names of the pocket model.
const NAMES: &str = "# known\nprestel klebett\nverten tekwell\ncaire darez\nbivus stirini\n";

/// A worker's configuration with the pocket world's networks; names to draw beside it.
fn networks(folder: &Path) -> String {
    fs::write(folder.join("names.txt"), NAMES).unwrap();
    world::faces_section()
}

/// `bank build` in this folder, with more options.
fn build<'a>(paths: &'a [String; 3], more: &[&'a str]) -> Vec<&'a str> {
    let [names, config, bank] = paths;
    let drawing = ["--portraits", "4", "--steps", "8"];
    [&["bank", "build", "--names", names, "--config", config, "--out", bank][..], &drawing, more].concat()
}

fn paths(folder: &Path) -> [String; 3] {
    ["names.txt", "worker.toml", "bank.json"].map(|name| folder.join(name).display().to_string())
}

#[test]
fn a_bank_is_built_here_and_on_a_fleet_alike_and_people_start_from_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = networks(folder.path());
    let paths = paths(folder.path());
    let [_, config_path, bank] = &paths;
    fs::write(config_path, &config).unwrap();
    let model = world::pocket_model().display().to_string();
    let here = ["--model", &model];

    likeness(&build(&paths, &here)).expect(0, &["names: 4 drawn", "of 4 names were kept"]);
    let local = fs::read(bank).unwrap();
    likeness(&build(&paths, &here)).expect(0, &["4 of 4 names have been drawn before"]);
    assert_eq!(fs::read(bank).unwrap(), local, "a finished build is judged again to the same end");
    let other = [&here[..], &["--seed", "3"]].concat();
    likeness(&build(&paths, &other)).expect(1, &["the seed was 0 and is 3", "another --out"]);

    let shown = likeness(&["bank", "show", bank, "-o", "json"]);
    let shown = shown.expect(0, &["names are kept"]).json();
    let names = shown["names"].as_array().unwrap();
    assert_eq!((names.len(), shown["recipe"]["portraits"].as_u64()), (4, Some(4)));
    let kept: Vec<&str> = names
        .iter()
        .filter(|name| name["dropped"].is_null())
        .map(|name| name["name"].as_str().unwrap())
        .collect();
    assert!(kept.len() >= 2 && names[0]["token_ids"].as_array().unwrap().len() == 2, "{shown}");

    let photos: Vec<String> =
        world::photos("person-03").iter().map(|path| path.display().to_string()).collect();
    let mut arguments = vec!["bank", "match", bank, "--config", config_path, "-o", "json"];
    arguments.extend(photos.iter().map(String::as_str));
    let matched = likeness(&arguments).expect(0, &[]).json();
    assert_eq!(matched["matches"].as_array().unwrap().len(), kept.len(), "{matched}");
    let nearest = matched["matches"][0]["name"].as_str().unwrap();

    let coordinator = Coordinator::start(folder.path());
    // The section of faces comes last in the file, so that its first lines can be added to.
    let with_bank = config.replacen("[faces]\n", &format!("[faces]\nbank = \"{bank}\"\n"), 1);
    fs::write(config_path, with_bank).unwrap();
    let worker = coordinator.start_worker_configured("with-bank", Path::new(config_path));
    let learn = |name: &str, start: &[&str]| {
        let usual = ["invert", "--name", name, "--consent", "--steps", "2", "--batch", "2"];
        let photos = photos.iter().map(String::as_str);
        let arguments: Vec<&str> = usual.into_iter().chain(start.iter().copied()).chain(photos).collect();
        coordinator.likeness(&arguments)
    };
    for (name, start) in [
        ("full", &["--start", "id"][..]),
        ("parity", &["--start", "id", "--id-names", "parity"]),
        ("pair", &["--start", "rand2"]),
        ("best", &["--start", "auto"]),
    ] {
        let ended = learn(name, start);
        ended.expect(0, &[]);
        let file = folder.path().join(format!("{name}.safetensors"));
        coordinator.likeness(&["people", "export", name, "--out", file.to_str().unwrap()]).expect(0, &[]);
        let file = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        let kind = match name {
            "pair" => "\"rand2\"",
            "best" => "\"auto\"",
            _ => "\"id\"",
        };
        assert!(file.contains(kind), "{name}");
        for part in nearest.split(' ') {
            assert!(!file.contains(part), "the matched name is in the file of {name}");
            assert!(!format!("{ended:?}").contains(part), "the matched name is told: {ended:?}");
        }
    }
    let log = worker.lines().join("\n");
    assert!(log.contains("starts are compared"), "{log}");
    for part in kept.iter().flat_map(|name| name.split(' ')) {
        assert!(!log.contains(part), "a name is in the worker's log: {log}");
    }

    let at_fleet = folder.path().join("fleet.json").display().to_string();
    let [names, config_path, _] = paths.clone();
    let fleet_paths = [names, config_path, at_fleet.clone()];
    let tokenizer = ["--tokenizer", &model, "--at-once", "3"];
    coordinator.likeness(&build(&fleet_paths, &tokenizer)).expect(0, &["names: 4 drawn"]);
    assert_eq!(fs::read(&at_fleet).unwrap(), local, "a fleet draws the same portraits");
    worker.kill();
}

#[test]
fn without_a_bank_a_start_from_a_name_says_what_to_do_and_auto_is_face() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path());
    let worker = coordinator.start_worker("without-bank");
    let photos: Vec<String> =
        world::photos("person-03").iter().map(|path| path.display().to_string()).collect();
    let mut arguments = vec!["invert", "--name", "ann", "--consent", "--steps", "2", "--start", "id"];
    arguments.extend(photos.iter().map(String::as_str));
    coordinator.likeness(&arguments).expect(5, &["likeness bank build", "faces.bank", "start from \"face\""]);
    let auto: Vec<&str> =
        arguments.iter().map(|argument| if *argument == "id" { "auto" } else { *argument }).collect();
    coordinator.likeness(&auto).expect(0, &[]);
    let said = |line: &str| line.contains("the worker has no bank of names").then_some(());
    worker.wait_for("why auto is face", Duration::from_secs(10), said);
}

#[test]
fn mistakes_are_told_before_anything_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let names = folder.path().join("names.txt");
    fs::write(&names, "# nobody\n").unwrap();
    let names = names.to_str().unwrap();
    let out = folder.path().join("bank.json").display().to_string();
    likeness(&["bank", "build", "--names", names, "--out", &out]).expect(1, &["has no names"]);
    fs::write(names, NAMES).unwrap();
    likeness(&["bank", "build", "--names", names, "--out", &out]).expect(2, &["--detector FILE"]);
    likeness(&["bank", "build", "--names", names, "--out", &out, "--prompt", "a photo"])
        .expect(2, &["must have {name} in it"]);
    likeness(&["bank", "show", names]).expect(1, &["is not a bank of names", "likeness bank build"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    likeness(&["invert", "--name", "ann", "--consent", "--id-names", "parity", "/nowhere.jpg"])
        .expect(2, &["--id-names belongs to --start id or auto"]);
}
