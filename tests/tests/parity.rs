//! `likeness parity` on the folders of `tests/fixtures`, and on damaged copies of one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests speak by failing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use likeness_tests::cli::{self, Ended};
use likeness_tests::world;
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

const WITH_WEIGHTS: [&str; 14] = [
    "files",
    "random",
    "tokenizer",
    "text",
    "vae",
    "unet",
    "unet_backward",
    "schedulers",
    "samplers",
    "gen_inputs",
    "trajectories",
    "training",
    "learned",
    "clip",
];

fn parity(folder: &Path, options: &[&str]) -> Ended {
    let folder = folder.to_str().unwrap();
    cli::likeness(&[&["parity", folder, "-o", "json"], options].concat())
}

/// Comparisons made in each group; every row must be ok.
fn compared(ended: &Ended) -> BTreeMap<String, usize> {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["ok"], Value::Bool(true));
    let mut groups = BTreeMap::new();
    for row in report["rows"].as_array().expect("rows") {
        assert_eq!(row["ok"], Value::Bool(true), "{row}");
        let made = groups.entry(row["group"].as_str().unwrap().to_owned()).or_insert(0);
        if let (Some(error), Some(limit)) = (row["error"].as_f64(), row["limit"].as_f64()) {
            assert!(error <= limit, "{row}");
            *made += 1;
        }
    }
    groups
}

fn assert_made(groups: &BTreeMap<String, usize>, expected: &[&str]) {
    for group in expected {
        assert!(
            groups.get(*group).is_some_and(|made| *made > 0),
            "nothing was compared in {group}: {groups:?}"
        );
    }
}

#[test]
fn stable_diffusion_1_5_agrees_in_every_group() {
    let groups = compared(&parity(&world::fixture("tiny-sd15"), &[]));
    let without_whole_trajectories: Vec<&str> =
        WITH_WEIGHTS.into_iter().filter(|group| *group != "samplers").collect();
    assert_made(&groups, &without_whole_trajectories);
    assert!(groups["training"] > 40 && groups["trajectories"] > 8, "{groups:?}");
}

#[test]
fn stable_diffusion_2_1_agrees_in_every_group_and_inside() {
    let ended = parity(&world::fixture("tiny-v"), &[]);
    let groups = compared(&ended);
    let without_whole_trajectories: Vec<&str> =
        WITH_WEIGHTS.into_iter().filter(|group| *group != "samplers").collect();
    assert_made(&groups, &without_whole_trajectories);
    for inside in ["hidden_0", "act500_conv_in", "act500_up3", "act500_down0_attn0_block_attn2"] {
        assert!(ended.stdout.contains(inside), "{inside} is not compared");
    }
}

#[test]
fn the_whole_vocabulary_and_a_whole_trajectory_agree_without_weights() {
    let groups = compared(&parity(&world::fixture("tiny-a"), &[]));
    assert_made(
        &groups,
        &["files", "random", "tokenizer", "schedulers", "samplers", "gen_inputs", "learned"],
    );
    assert!(groups["random"] > 20, "{groups:?}");
}

/// The rounding of bf16 is that of a card, whichever device computes: the limits are tried here.
#[test]
fn in_bf16_what_a_device_computes_agrees_within_the_references_own_rounding() {
    let ended = parity(
        &world::fixture("tiny-v"),
        &["--dtype", "bf16", "--only", "text,vae,unet,unet_backward,training,clip"],
    );
    let groups = compared(&ended);
    assert_made(&groups, &["text", "vae", "unet", "unet_backward", "training", "clip"]);
    let report = ended.json();
    assert_eq!((report["arithmetic"].as_str(), report["device"].as_str()), (Some("bf16"), Some("cpu")));
    let row = |group: &str, compared: &str| {
        let rows = report["rows"].as_array().expect("rows");
        let found = rows.iter().find(|row| row["group"] == group && row["compared"] == compared);
        found.unwrap_or_else(|| panic!("no {compared} in {group}: {report:#}")).clone()
    };
    let (out, text) = (row("unet", "out"), row("text", "last_hidden_state"));
    assert!(out["error"].as_f64() > Some(1e-3), "bf16 cannot be so near: {out}");
    assert_eq!(out["usual_limit"].as_f64(), Some(3e-2));
    assert!(out["limit"].as_f64() < Some(0.1) && text["limit"].as_f64() < Some(0.04), "{out} {text}");
    let optimiser = row("training", "ti_a271, the optimiser");
    assert!(optimiser["error"].is_null() && row("training", "ti_a271 grad_v_mse")["error"].is_f64());
}

#[test]
fn a_device_that_cannot_be_had_is_told_before_anything_is_read() {
    let nowhere = Path::new("/nowhere");
    parity(nowhere, &["--device", "gpu"]).expect(2, &["device \"gpu\" is not known"]);
    parity(nowhere, &["--device", "simulated"]).expect(1, &["the device cannot be used"]);
    parity(nowhere, &["--dtype", "f16"]).expect(2, &["f32", "bf16"]);
}

/// A copy of tiny-sd15 to damage.
fn copy() -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("tiny-sd15");
    copy_folder(&world::fixture("tiny-sd15"), &folder);
    (scratch, folder)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Where a tensor's bytes lie in its file.
fn bytes_of(file: &[u8], tensor: &str) -> (usize, usize) {
    let (header, metadata) = SafeTensors::read_metadata(file).unwrap();
    let (start, end) = metadata.info(tensor).expect("the tensor is there").data_offsets;
    (header + 8 + start, header + 8 + end)
}

/// What the rows of the training runs are compared with: name, limit, and whether it was raised.
fn limits_of_training(folder: &Path) -> Vec<(String, f64, bool)> {
    let report = parity(folder, &["--only", "training"]).json();
    let rows = report["rows"].as_array().expect("rows");
    let compared = rows.iter().filter(|row| row["limit"].is_f64());
    compared
        .map(|row| {
            let raised = row["usual_limit"].is_f64();
            let told = row["note"].as_str().is_some_and(|note| note.contains("the reference's own rounding"));
            assert_eq!(raised, told, "{row}");
            (row["compared"].as_str().unwrap().to_owned(), row["limit"].as_f64().unwrap(), raised)
        })
        .collect()
}

#[test]
fn only_the_rounding_that_a_manifest_tells_raises_limits() {
    let (_scratch, folder) = copy();
    let raised = limits_of_training(&folder);
    let path = folder.join("manifest.json");
    // Python's bare words for infinity keep the whole from being read as JSON.
    let manifest = fs::read_to_string(&path).unwrap();
    let (before, rest) = manifest.split_once(",\"rounding\":").expect("the folder tells its rounding");
    let (told, after) = rest.split_at(rest.find('}').unwrap() + 1);
    let told: Value = serde_json::from_str(told).unwrap();
    fs::write(&path, [before, after].concat()).unwrap();
    let usual = limits_of_training(&folder);
    assert!(raised.iter().any(|(_, _, raised)| *raised) && usual.iter().all(|(_, _, raised)| !raised));
    assert_eq!(raised.len(), usual.len());
    for ((name, limit, _), (same, usual, _)) in raised.iter().zip(&usual) {
        let told = told[name.replace(' ', ".")].as_f64().unwrap_or(0.0);
        assert_eq!(name, same);
        assert!(
            (limit - usual.max(4.0 * told)).abs() < 1e-12,
            "{name}: {limit}, usually {usual}, {told} told"
        );
    }
}

#[test]
fn one_changed_weight_is_found_in_its_group() {
    let (_scratch, folder) = copy();
    let path = folder.join("model/unet/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let (start, _) = bytes_of(&bytes, "mid_block.resnets.0.norm1.weight");
    let one = half_bits(bytes[start], bytes[start + 1]) ^ 0x0400;
    bytes[start..start + 2].copy_from_slice(&one.to_le_bytes());
    fs::write(&path, bytes).unwrap();

    let ended = parity(&folder, &["--only", "text,unet"]);
    ended.expect(1, &["fall short", "unet: out "]);
    let report = ended.json();
    let failed = |group: &str| {
        report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["group"] == group && row["ok"] == Value::Bool(false))
    };
    assert!(failed("unet") && !failed("text"), "{}", ended.stdout);
}

/// What is wrong by far more than rounding is found in a coarse arithmetic too.
#[test]
fn a_unet_that_is_deaf_to_time_is_found_in_bf16() {
    let (_scratch, folder) = copy();
    let path = folder.join("model/unet/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let (start, end) = bytes_of(&bytes, "time_embedding.linear_2.weight");
    bytes[start..end].fill(0);
    fs::write(&path, bytes).unwrap();
    parity(&folder, &["--dtype", "bf16", "--only", "unet"]).expect(1, &["fall short", "unet: out "]);
}

fn half_bits(low: u8, high: u8) -> u16 {
    u16::from_le_bytes([low, high])
}

#[test]
fn a_missing_tensor_is_named_with_its_group() {
    let (_scratch, folder) = copy();
    let path = folder.join("ref/vae.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let kept = file.tensors().into_iter().filter(|(name, _)| name != "decode_in");
    let kept = safetensors::serialize(kept, None).unwrap();
    fs::write(&path, kept).unwrap();
    parity(&folder, &["--only", "files,vae"]).expect(1, &["vae: everything", "decode_in", "vae.safetensors"]);
}

#[test]
fn a_missing_file_and_a_folder_that_is_none_are_named() {
    let (_scratch, folder) = copy();
    fs::remove_file(folder.join("ref/pndm.safetensors")).unwrap();
    parity(&folder, &["--only", "files"]).expect(1, &["files: pndm.safetensors"]);
    fs::remove_file(folder.join("model/unet/config.json")).unwrap();
    parity(&folder, &["--only", "files"]).expect(1, &["model", "unet/config.json"]);
    parity(&world::pocket_model(), &[]).expect(1, &["manifest.json"]);
}
