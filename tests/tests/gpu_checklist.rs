//! `just gpu-checklist`: its own tests, and its dry form with the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests speak by failing")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use likeness_tests::{binaries, world};
use serde_json::Value;

/// Longer than either test takes, also on a busy machine.
const WITHIN: Duration = Duration::from_secs(1200);

/// Runs python3 in the repository.
fn python(arguments: &[&OsStr]) -> Output {
    let mut command = assert_cmd::Command::new("python3");
    command.current_dir(world::repository()).args(arguments).timeout(WITHIN);
    // what somebody's shell says of other programs is nothing to this one
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LIKENESS_")) {
        command.env_remove(name);
    }
    command.output().expect("python3 can be started: install it, or let tests/run do so")
}

fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|word| OsStr::new(*word)).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn it_passes_its_own_tests() {
    let folders = ["-s", "tests/gpu_checklist/tests", "-t", "tests/gpu_checklist"];
    let output = python(&words(&[&["-m", "unittest", "discover"], folders.as_slice()].concat()));
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("Ran ") && !said.contains("Ran 0 tests"), "{said}");
}

#[test]
fn its_dry_form_makes_every_part_with_the_real_program() {
    let scratch = tempfile::tempdir().unwrap();
    let (likeness, out): (PathBuf, &Path) = (binaries::path("likeness"), scratch.path());
    let mut arguments = words(&["tests/gpu_checklist", "--dry", "--likeness"]);
    arguments.extend([likeness.as_os_str(), OsStr::new("--out"), out.as_os_str()]);
    let output = python(&arguments);
    assert!(output.status.success(), "{}", said(&output));

    let report = std::fs::read(out.join("report.json")).expect("the report was written");
    let report: Value = serde_json::from_slice(&report).unwrap();
    for part in ["parity", "speed", "sd15", "cold"] {
        assert_eq!(report["parts"][part]["status"], "passed", "{part}: {report:#}");
    }
    let pytorch = &report["parts"]["pytorch"];
    match pytorch["status"].as_str() {
        Some("passed") => assert!(pytorch["found"]["rows"].is_array(), "{pytorch:#}"),
        Some("skipped") => {
            assert!(pytorch["reason"].as_str().unwrap().contains("needs torch"), "{pytorch:#}");
            assert!(pytorch["found"]["rows"].is_null(), "figures of a side that was not run: {pytorch:#}");
        }
        status => panic!("{status:?}: {pytorch:#}"),
    }
    let rows = report["parts"]["speed"]["found"]["rows"].as_array().expect("rows");
    for what in [
        "load",
        "train",
        "users_batched",
        "users_one_by_one",
        "text",
        "sample",
        "encode",
        "decode",
        "picture",
    ] {
        let measured = rows.iter().any(|row| row["what"] == what && row["median_ms"].as_f64() > Some(0.0));
        assert!(measured, "no figure of {what}: {rows:#?}");
    }
    for form in ["without_kernels", "with_kernels"] {
        let rows = report["parts"]["cold"]["found"][form]["rows"].as_array().expect("rows");
        assert!(rows.iter().any(|row| row["what"] == "cold_train"), "{form}: {rows:#?}");
    }
    assert!(report["verdicts"].as_array().unwrap().iter().all(|verdict| verdict["verdict"] != "missed"));
}
