//! `likeness bench` on a model of random weights that a CPU runs in no time: what it measures, in which form it says
//! so, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a failed expectation is how a test speaks")]

use std::fs;

use likeness_tests::cli::likeness;
use likeness_tests::world;
use serde_json::Value;

const TINY: [&str; 8] =
    ["bench", "--model", "synthetic:tiny", "--device", "cpu", "--repeats", "3", "--batches"];

/// `what` and `batch` of every row, in order.
fn rows(report: &Value) -> Vec<(String, u64)> {
    let row = |row: &Value| (row["what"].as_str().unwrap().to_owned(), row["batch"].as_u64().unwrap());
    report["rows"].as_array().unwrap().iter().map(row).collect()
}

fn named(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(what, batch)| ((*what).to_owned(), *batch)).collect()
}

#[test]
fn everything_is_measured_in_the_documented_form() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("report.json");
    let mut arguments = TINY.to_vec();
    arguments.extend(["2,1", "--steps", "3", "-o", "json", "--json", file.to_str().unwrap()]);
    let ended = likeness(&arguments);
    ended.expect(0, &["synthetic:tiny", "8 users (--rows-each 1)"]);
    let report = ended.json();
    assert_eq!(report, serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap());

    assert_eq!(report["schema"], 1);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["device"]["choice"], "cpu");
    assert!(!report["device"]["name"].as_str().unwrap().is_empty());
    assert_eq!((&report["dtype"], &report["model"]), (&"f32".into(), &"synthetic:tiny".into()));
    assert_eq!(report["size"], serde_json::json!([16, 16]));
    for part in ["unet", "text_encoder", "vae"] {
        assert!(report["parameters"][part].as_u64().unwrap() > 10_000, "{report}");
    }
    let expected = [
        ("load", 1),
        ("cold_train", 2),
        ("second_train", 2),
        ("cold_sample", 2),
        ("second_sample", 2),
        ("text", 1),
        ("text", 2),
        ("train", 1),
        ("train", 2),
        ("users_one_by_one", 8),
        ("users_batched", 8),
        ("sample", 1),
        ("sample", 2),
        ("encode", 1),
        ("encode", 2),
        ("decode", 1),
        ("decode", 2),
        ("picture", 1),
        ("picture", 2),
    ];
    assert_eq!(rows(&report), named(&expected));
    for row in report["rows"].as_array().unwrap() {
        let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"));
        let once = ["load", "cold_train", "second_train", "cold_sample", "second_sample"];
        let once = once.contains(&row["what"].as_str().unwrap());
        assert_eq!(row["repeats"], if once { 1 } else { 3 }, "{row}");
        assert!(0.0 < number("min_ms") && number("min_ms") <= number("median_ms"), "{row}");
        assert!(number("median_ms") <= number("p90_ms"), "{row}");
        let rate = number("batch") * 1e3 / number("median_ms");
        assert!((number("per_second") / rate - 1.0).abs() < 1e-9, "{row}");
        assert!(row["error"].is_null() && row.get("peak_bytes").is_some(), "{row}");
    }
}

#[test]
fn only_what_is_asked_for_is_measured_and_told_as_a_table() {
    let mut arguments = TINY.to_vec();
    arguments.extend([
        "1",
        "--only",
        "train,users",
        "--rows-each",
        "1,2",
        "--dtype",
        "f32",
        "--size",
        "32x16",
    ]);
    let ended = likeness(&arguments);
    ended.expect(0, &["train of 1", "users_batched of 16"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].contains("WHAT"), "{ended:?}");
    let whats: Vec<&str> = lines[1..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    let users = ["users_one_by_one", "users_batched"];
    assert_eq!(whats, [&["train"][..], &users, &users].concat(), "{ended:?}");
}

#[test]
fn a_model_folder_is_measured_with_its_own_weights() {
    let model = world::pocket_model().display().to_string();
    let ended = likeness(&[
        "bench",
        "--model",
        &model,
        "--only",
        "load,text",
        "--batches",
        "1",
        "--repeats",
        "1",
        "-o",
        "json",
    ]);
    ended.expect(0, &[&model]);
    assert_eq!(rows(&ended.json()), named(&[("load", 1), ("text", 1)]));
}

#[test]
fn what_cannot_be_measured_is_refused_with_what_can() {
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let ended = likeness(&[&["bench"], arguments].concat());
        ended.expect(code, words);
        assert_eq!(ended.stdout, "");
    };
    let tiny = ["--model", "synthetic:tiny", "--device", "cpu"];
    let more = |arguments: &[&'static str]| [&tiny, arguments].concat();
    refused(&["--model", "synthetic:sdxl"], 2, &["sdxl", "sd21-base, sd15, tiny"]);
    refused(&["--model", "no-such-folder"], 1, &["no-such-folder", "synthetic:sd21-base"]);
    refused(&more(&["--batches", "0"]), 2, &["--batches", "from 1 to 1024"]);
    refused(&more(&["--batches", "4,many"]), 2, &["--batches", "many"]);
    refused(&more(&["--only", "dream"]), 2, &["dream", "train"]);
    refused(&more(&["--size", "big"]), 2, &["--size", "512x512"]);
    refused(&more(&["--size", "33x16"]), 1, &["width is 33", "multiple of 2"]);
    refused(&more(&["--json", "no/such/folder.json"]), 1, &["does not exist"]);
    refused(&more(&["--profile", "kernels.json"]), 2, &["--profile", "CPU"]);
    refused(&["--model", "synthetic:tiny", "--device", "abacus"], 2, &["abacus", "cuda:0"]);
}
