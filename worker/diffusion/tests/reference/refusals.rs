//! What a damaged or foreign folder is refused with: the file, the tensor or key, and what was expected.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::FloatDType;
use likeness_diffusion::{ModelFolder, StableDiffusion};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder;

const UNET_WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";

/// A model folder of our own to break: the smallest complete reference folder, copied.
fn copy() -> TempDir {
    let folder = folder::with_weights("unet").pop().unwrap();
    let target = tempfile::tempdir().unwrap();
    copy_all(&folder.model(), target.path());
    target
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::write(&target, std::fs::read(&path).unwrap()).unwrap();
        }
    }
}

/// The error that loading ends with.
fn refusal(dir: &Path) -> String {
    let loaded = ModelFolder::open(dir)
        .and_then(|folder| StableDiffusion::load(&folder, &crate::device(), FloatDType::F32));
    match loaded {
        Ok(_) => panic!("the broken folder was accepted"),
        Err(error) => error.to_string(),
    }
}

fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} does not name {part:?}");
    }
}

fn set(path: &Path, key: &str, value: Value) {
    let mut config: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    config[key] = value;
    std::fs::write(path, config.to_string()).unwrap();
}

type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// Rewrites a weight file after `change`.
fn rewrite(path: &Path, change: impl FnOnce(&mut Stored)) {
    let bytes = std::fs::read(path).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let mut stored: Stored = parsed
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut stored);
    let views = stored.iter().map(|(name, (dtype, shape, data))| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn the_copy_itself_is_accepted() {
    let dir = copy();
    let folder = ModelFolder::open(dir.path()).unwrap();
    let model = StableDiffusion::load(&folder, &crate::device(), FloatDType::F32).unwrap();
    assert_eq!(model.vae_factor(), 8);
    assert_eq!(model.latent_channels(), 4);
    let sample = folder.unet_config().sample_size[1] as u32;
    assert_eq!(model.native_size().0, sample * 8);
}

#[test]
fn a_missing_tensor_is_named() {
    let dir = copy();
    rewrite(&dir.path().join(UNET_WEIGHTS), |stored| {
        stored.remove("mid_block.resnets.1.conv2.bias").unwrap();
    });
    assert_names(&refusal(dir.path()), &[UNET_WEIGHTS, "lacks", "\"mid_block.resnets.1.conv2.bias\"", "32"]);
}

#[test]
fn a_tensor_without_a_place_is_named() {
    let dir = copy();
    rewrite(&dir.path().join(UNET_WEIGHTS), |stored| {
        stored.insert("add_embedding.linear_1.bias".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
    });
    assert_names(&refusal(dir.path()), &[UNET_WEIGHTS, "no place", "\"add_embedding.linear_1.bias\""]);
}

#[test]
fn a_misshaped_tensor_is_named_with_both_shapes() {
    let dir = copy();
    rewrite(&dir.path().join(UNET_WEIGHTS), |stored| {
        let (_, shape, _) = stored.get_mut("conv_in.weight").unwrap();
        shape.swap(0, 1);
    });
    let message = refusal(dir.path());
    assert_names(&message, &[UNET_WEIGHTS, "\"conv_in.weight\"", ", 4, 3, 3]", "[4, "]);
}

#[test]
fn a_tensor_of_whole_numbers_is_refused() {
    let dir = copy();
    rewrite(&dir.path().join(UNET_WEIGHTS), |stored| {
        let (dtype, _, data) = stored.get_mut("conv_in.bias").unwrap();
        data.resize(data.len() / (dtype.bitsize() / 8) * 8, 0);
        *dtype = Dtype::I64;
    });
    assert_names(&refusal(dir.path()), &[UNET_WEIGHTS, "\"conv_in.bias\"", "I64", "BF16"]);
}

#[test]
fn a_truncated_file_is_refused() {
    let dir = copy();
    let path = dir.path().join(UNET_WEIGHTS);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_names(&refusal(dir.path()), &[UNET_WEIGHTS, "cut off"]);
    std::fs::write(&path, &bytes[..100]).unwrap();
    assert_names(&refusal(dir.path()), &[UNET_WEIGHTS, "cut off"]);
    std::fs::write(&path, b"<html>").unwrap();
    assert_names(&refusal(dir.path()), &[UNET_WEIGHTS, "not a safetensors file"]);
}

#[test]
fn a_missing_file_is_named() {
    for name in ["model_index.json", "vae/config.json", UNET_WEIGHTS, "scheduler/scheduler_config.json"] {
        let dir = copy();
        std::fs::remove_file(dir.path().join(name)).unwrap();
        assert_names(&refusal(dir.path()), &[Path::new(name).file_name().unwrap().to_str().unwrap()]);
    }
    let dir = copy();
    for name in ["vocab.json", "tokenizer.json"] {
        std::fs::remove_file(dir.path().join("tokenizer").join(name)).ok();
    }
    assert_names(&refusal(dir.path()), &["tokenizer", "vocab.json"]);
}

#[test]
fn unsupported_settings_name_key_and_file() {
    let cases = [
        ("unet/config.json", "class_embed_type", json!("timestep")),
        ("unet/config.json", "addition_embed_type", json!("text_time")),
        ("unet/config.json", "dual_cross_attention", json!(true)),
        ("unet/config.json", "act_fn", json!("mish")),
        ("unet/config.json", "num_attention_heads", json!(8)),
        ("unet/config.json", "time_embedding_type", json!("fourier")),
        ("unet/config.json", "norm_num_groups", json!(5)),
        ("unet/config.json", "attention_head_dim", json!([1, 2])),
        ("unet/config.json", "down_block_types", json!(["KDownBlock2D", "DownBlock2D"])),
        (
            "unet/config.json",
            "up_block_types",
            json!(["UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"]),
        ),
        ("unet/config.json", "mid_block_type", json!("UNetMidBlock2D")),
        ("vae/config.json", "_class_name", json!("AutoencoderTiny")),
        ("vae/config.json", "latents_mean", json!([0.1])),
        ("vae/config.json", "down_block_types", json!(["AttnDownEncoderBlock2D"])),
        ("text_encoder/config.json", "hidden_act", json!("relu")),
        ("text_encoder/config.json", "model_type", json!("t5")),
        ("model_index.json", "_class_name", json!("StableDiffusionXLPipeline")),
        ("model_index.json", "unet", json!(["diffusers", "UNet3DConditionModel"])),
    ];
    for (file, key, value) in cases {
        let dir = copy();
        set(&dir.path().join(file), key, value);
        assert_names(&refusal(dir.path()), &[file, &format!("\"{key}\"")]);
    }
}

#[test]
fn parts_of_different_models_are_refused() {
    let dir = copy();
    let path = dir.path().join("unet/config.json");
    set(&path, "cross_attention_dim", json!(1024));
    assert_names(&refusal(dir.path()), &["cross_attention_dim", "1024"]);
}

#[test]
fn the_digest_follows_every_byte() {
    let dir = copy();
    let folder = ModelFolder::open(dir.path()).unwrap();
    let before = folder.digest().unwrap();
    assert_eq!(before.len(), 64);
    assert_eq!(before, folder.digest().unwrap());

    let path = dir.path().join(UNET_WEIGHTS);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_ne!(before, folder.digest().unwrap());
}
