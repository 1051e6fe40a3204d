//! A small experiment at a fleet, with the pocket world's networks: killed on the way and gone on with, and the table at its end. What it
//! asserts of scores is what no chance decides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use likeness_tests::cli::{self, likeness};
use likeness_tests::fleet::{Coordinator, WORK};
use likeness_tests::world;
use serde_json::Value;

const PEOPLE: [&str; 3] = ["person-04", "person-05", "person-12"];
/// Names of the pocket model, those of `models/pocket/celebrities` among them.
const NAMES: [&str; 8] = [
    "bivus stirini",
    "caire darez",
    "bolus kidez",
    "pemme jidett",
    "stadan kaiser",
    "hamen drussman",
    "verten tekwell",
    "klaimman possski",
];
const STEPS: i32 = 30;
/// The method's learning rate.
const RATE: f64 = 5e-3;
const BASE: f64 = 2.71;

/// Files that a worker and an experiment need, in a folder of their own.
struct Files {
    worker: PathBuf,
    people: PathBuf,
    prompts: PathBuf,
    out: PathBuf,
}

impl Files {
    fn in_folder(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name);
        let (names, faces, bank) = (path("names.txt"), path("faces.toml"), path("bank.json"));
        fs::write(&names, NAMES.join("\n")).unwrap();
        fs::write(&faces, world::faces_section()).unwrap();
        let model = world::pocket_model().display().to_string();
        let [names, faces, bank] = [names, faces, bank].map(|path| path.display().to_string());
        let drawing = ["--portraits", "4", "--steps", "10", "--guidance", "3", "--model", &model];
        let build = ["bank", "build", "--names", &names, "--config", &faces, "--out", &bank];
        likeness(&[&build[..], &drawing].concat()).expect(0, &["names were kept"]);
        let with_bank =
            world::faces_section().replacen("[faces]\n", &format!("[faces]\nbank = \"{bank}\"\n"), 1);
        fs::write(path("worker.toml"), with_bank).unwrap();
        for person in PEOPLE {
            let own = path("people").join(person);
            fs::create_dir_all(&own).unwrap();
            for photo in world::photos(person) {
                fs::copy(&photo, own.join(photo.file_name().unwrap())).unwrap();
            }
        }
        fs::write(path("prompts.txt"), "a photo of sks\na photo of sks in the snow\n").unwrap();
        Self {
            worker: path("worker.toml"),
            people: path("people"),
            prompts: path("prompts.txt"),
            out: path("experiment"),
        }
    }

    fn arguments(&self, coordinator: &Coordinator) -> Vec<String> {
        let [worker, people, prompts, out] =
            [&self.worker, &self.people, &self.prompts, &self.out].map(|path| path.display().to_string());
        let steps = STEPS.to_string();
        let mut arguments = vec!["--server", &coordinator.address, "experiment", "--consent"];
        arguments.extend(["--config", &worker, "--people", &people, "--prompts", &prompts, "--out", &out]);
        arguments.extend(["--starts", "face,id", "--parameterisations", "log_norm:2.71", "--untrained"]);
        arguments.extend(["--seeds", "1", "--steps", &steps, "--batch", "4", "--held-out", "2"]);
        arguments.extend(["--pictures", "2", "--sampler-steps", "10", "--guidance", "3", "--at-once", "2"]);
        arguments.into_iter().map(str::to_owned).collect()
    }

    /// The units that have been made.
    fn units(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.out.join("results.jsonl")).unwrap();
        text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn an_experiment_goes_on_after_a_kill_and_ends_in_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(folder.path());
    let files = Files::in_folder(folder.path());
    let worker = coordinator.start_worker_configured("first", &files.worker);
    let arguments = files.arguments(&coordinator);

    let begun = cli::start("experiment", &arguments);
    begun.wait_for("its first results", WORK, |line| {
        (line.contains("learn and draw ") && !line.contains("learn and draw 0/")).then_some(())
    });
    begun.kill();
    worker.kill();
    let before = files.units().len();
    let _worker = coordinator.start_worker_configured("second", &files.worker);
    let ended = likeness(&arguments);
    ended.expect(0, &["of 12 inversions have been made before", "12 of 12 made"]);

    let units = files.units();
    let made: BTreeMap<(u64, u64), &Value> = units
        .iter()
        .map(|unit| ((unit["cell"].as_u64().unwrap(), unit["person"].as_u64().unwrap()), unit))
        .collect();
    assert_eq!((units.len(), made.len()), (12, 12), "each once, {before} of them before the kill");
    let bound = BASE.powf(RATE * f64::from(STEPS));
    let id = |cell: u64| -> f64 {
        let of = |person: u64| made[&(cell, person)]["evaluation"]["identity"]["id"].as_f64().unwrap();
        (0..3).map(of).sum::<f64>() / 3.0
    };
    for ((cell, _), unit) in &made {
        let norm = unit["norm_ratio"].as_f64().unwrap();
        let most = if *cell < 2 { bound } else { 1.0 };
        assert!(norm < most + 1e-6 && norm > 1.0 / most - 1e-6, "the log-norm is bounded: {unit}");
        let evaluation = &unit["evaluation"];
        assert!(evaluation["clip"].is_f64() && evaluation["held_out"]["id"].is_f64(), "{unit}");
    }
    let (face, by_name) = ((id(0), id(2)), (id(1), id(3)));
    assert!(face.0 > face.1, "training beats its start: {face:?}, {by_name:?}");

    let report = fs::read_to_string(files.out.join("report.html")).unwrap();
    for told in ["person-12", "log_norm:2.71", "data:image/png;base64,"] {
        assert!(report.contains(told), "the report lacks {told}");
    }
    assert!(!report.contains("src=\"http") && !report.contains("<link"), "the report works offline");
    let people = coordinator.ask(&["people", "ls"]);
    assert_eq!(people.as_array().map(Vec::len), Some(0), "people of the experiment are forgotten: {people}");

    // nothing is left to do, and nobody is asked
    likeness(&arguments).expect(0, &[]);
    let fewer: Vec<String> =
        arguments.iter().map(|argument| if argument == "30" { "29" } else { argument }.to_owned()).collect();
    likeness(&fewer).expect(2, &["belongs to another experiment", "steps", "another --out"]);
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("faces.toml"), world::faces_section()).unwrap();
    fs::write(path("prompts.txt"), "a photo of a dog\n").unwrap();
    fs::create_dir(path("people")).unwrap();
    let [config, people, prompts, out] = ["faces.toml", "people", "prompts.txt", "out"].map(path);
    let line = ["experiment", "--people", &people, "--prompts", &prompts, "--out", &out, "--config", &config];
    likeness(&line).expect(2, &["--consent"]);
    let line = [&line[..], &["--consent", "--server", "127.0.0.1:9"]].concat();
    likeness(&line).expect(1, &["has no folders in it"]);
    fs::create_dir(Path::new(&people).join("ann")).unwrap();
    likeness(&line).expect(1, &["has 0 photos", "3 are needed"]);
    for photo in world::photos("person-04") {
        fs::copy(&photo, Path::new(&people).join("ann").join(photo.file_name().unwrap())).unwrap();
    }
    likeness(&line).expect(2, &["a photo of a dog", "stands for the person"]);
    fs::write(&prompts, "a photo of sks\n").unwrap();
    likeness(&[&line[..], &["--starts", "celebrity"]].concat()).expect(2, &["must be face, rand2, id"]);
    likeness(&line).expect(3, &["127.0.0.1:9"]);
}

/// Photos of somebody whom the model knows by name find that name: `models/pocket/draw.py celebrities` drew them.
#[test]
fn a_known_person_is_found_by_his_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_folder(folder.path());
    let (config, bank) = (files.worker.display().to_string(), folder.path().join("bank.json"));
    let bank = bank.display().to_string();
    for (name, photos) in world::celebrities() {
        let mut line = vec!["bank", "match", &bank, "--config", &config, "-o", "json"];
        let photos: Vec<String> = photos.iter().map(|path| path.display().to_string()).collect();
        line.extend(photos.iter().map(String::as_str));
        let matched = likeness(&line).expect(0, &[]).json();
        assert_eq!(matched["matches"][0]["name"].as_str(), Some(name.as_str()), "{matched}");
    }
}
