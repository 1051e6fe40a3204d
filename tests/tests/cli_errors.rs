//! What `likeness` says when something is wrong with what it was given: the message names what and where, the exit
//! code says of which kind it is, and nothing half-written is left.

#![allow(clippy::unwrap_used, reason = "a failed expectation is how a test speaks")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use likeness_tests::cli::{Ended, likeness};
use likeness_tests::world;
use tempfile::TempDir;

/// Draws with a model folder: one picture, two steps, into `out`.
fn draw(model: &Path, out: &Path, more: &[&str]) -> Ended {
    let (model, out) = (model.display().to_string(), out.display().to_string());
    let mut arguments =
        vec!["generate", "--model", &model, "--prompt", "a photo of human face", "--steps", "2"];
    arguments.extend(["--out", &out]);
    arguments.extend(more);
    likeness(&arguments)
}

/// A copy of the shipped model that may be broken.
fn model_copy() -> (TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("model");
    for part in ["", "scheduler", "text_encoder", "tokenizer", "unet", "vae"] {
        fs::create_dir_all(folder.join(part)).unwrap();
        for entry in fs::read_dir(world::pocket_model().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|ending| ending == "json" || ending == "txt" || ending == "safetensors")
            {
                fs::copy(&path, folder.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    (scratch, folder)
}

/// Checks that drawing with a broken model fails, names what is wrong, and leaves nothing behind.
fn broken(break_it: impl FnOnce(&Path), words: &[&str]) {
    let (_scratch, model) = model_copy();
    break_it(&model);
    let out = tempfile::tempdir().unwrap();
    draw(&model, &out.path().join("a.png"), &[]).expect(1, words);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn missing_weights_are_named() {
    broken(
        |model| fs::remove_file(model.join("vae/diffusion_pytorch_model.safetensors")).unwrap(),
        &["vae", "diffusion_pytorch_model.safetensors"],
    );
}

#[test]
fn truncated_weights_are_named() {
    broken(
        |model| {
            let path = model.join("unet/diffusion_pytorch_model.safetensors");
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        },
        &["unet", "diffusion_pytorch_model.safetensors"],
    );
}

#[test]
fn weights_of_another_type_are_named() {
    broken(
        |model| {
            let path = model.join("unet/diffusion_pytorch_model.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.windows(5).position(|text| text == b"\"F16\"").unwrap();
            bytes[at + 1] = b'I';
            fs::write(&path, bytes).unwrap();
        },
        &["unet", "I16"],
    );
}

#[test]
fn an_unknown_scheduler_class_is_named() {
    broken(
        |model| {
            let path = model.join("scheduler/scheduler_config.json");
            let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            config["_class_name"] = "TeleportScheduler".into();
            fs::write(&path, config.to_string()).unwrap();
        },
        &["scheduler configuration", "TeleportScheduler"],
    );
}

#[test]
fn a_folder_that_is_no_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    draw(folder.path(), &folder.path().join("a.png"), &[]).expect(1, &[folder.path().to_str().unwrap()]);
}

#[test]
fn a_prompt_that_is_too_long_is_cut_with_a_warning_that_says_what_is_lost() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("a.png");
    let prompt = format!("a photo of human face {} wearing a crown", "smiling ".repeat(100));
    let model = world::pocket_model().display().to_string();
    likeness(&[
        "generate",
        "--model",
        &model,
        "--prompt",
        &prompt,
        "--steps",
        "2",
        "--out",
        path.to_str().unwrap(),
    ])
    .expect(0, &["warning: the prompt", "cut off", "crown"]);
    assert!(fs::read(&path).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn an_embedding_of_another_width_is_refused_with_both_widths() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("wide.safetensors");
    let numbers: Vec<u8> = (1..=2 * 7).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 7], &numbers).unwrap();
    fs::write(&file, safetensors::serialize([("sks", tensor)], None).unwrap()).unwrap();
    let path = out.path().join("a.png");
    draw(&world::pocket_model(), &path, &["--embedding", file.to_str().unwrap()]).expect(1, &["sks", "7"]);
    assert!(!path.exists());
}

#[test]
fn an_embedding_that_is_none_is_named() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("a.png");
    let text = out.path().join("text.pt");
    fs::write(&text, "no tensor").unwrap();
    draw(&world::pocket_model(), &path, &["--embedding", text.to_str().unwrap()]).expect(1, &["text.pt"]);
    draw(&world::pocket_model(), &path, &["--embedding", "no-such-file.pt"]).expect(1, &["no-such-file.pt"]);
}

#[test]
fn numbers_and_names_out_of_range_are_usage_errors_that_say_the_range() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("a.png");
    let refused = |more: &[&str], words: &[&str]| {
        let model = world::pocket_model().display().to_string();
        let mut arguments =
            vec!["generate", "--model", &model, "--prompt", "x", "--out", path.to_str().unwrap()];
        arguments.extend(more);
        likeness(&arguments).expect(2, words);
    };
    refused(&["--steps", "-5"], &["--steps", "1 to 1000"]);
    refused(&["--steps", "0"], &["--steps", "1 to 1000"]);
    refused(&["--sampler", "magic"], &["magic", "ddim, pndm, euler or dpmpp"]);
    refused(&["--guidance", "0.5"], &["--guidance", "from 1"]);
    refused(&["--width", "-64"], &["--width"]);
    likeness(&["invert", "--name", "ann", "--consent", "--steps", "-5", "a.jpg"]).expect(2, &["1 to 10000"]);
    assert!(!path.exists());
}

#[test]
fn an_init_image_that_cannot_be_drawn_over_is_named_before_the_model_is_loaded() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("a.png");
    let photo = world::photos("person-05").remove(0).display().to_string();
    let broken = out.path().join("broken.jpg");
    fs::write(&broken, b"\xff\xd8\xff\xe0 and then nothing that a decoder knows").unwrap();
    let refused = |more: &[&str], code: i32, words: &[&str]| {
        draw(out.path(), &path, &[&["--init-image"], more].concat()).expect(code, words);
    };
    refused(&["no-such-file.jpg"], 1, &["no-such-file.jpg"]);
    refused(&[broken.to_str().unwrap()], 1, &["broken.jpg", "corrupt"]);
    refused(&[&photo, "--strength", "0"], 2, &["--strength", "above 0 and at most 1"]);
    refused(&[&photo, "--strength", "0.4"], 2, &["--strength 0.4 of --steps 2", "raise"]);
    draw(out.path(), &path, &["--strength", "0.5"]).expect(2, &["--init-image"]);
    assert!(!path.exists());
}

#[test]
fn a_size_that_the_model_cannot_draw_is_told_one_that_it_can() {
    let out = tempfile::tempdir().unwrap();
    draw(&world::pocket_model(), &out.path().join("a.png"), &["--width", "65"])
        .expect(1, &["width is 65", "multiple"]);
}

#[test]
fn places_that_cannot_be_written_are_named_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    draw(&world::pocket_model(), folder.path(), &[]).expect(1, &["is a folder"]);
    draw(&world::pocket_model(), &folder.path().join("no/a.png"), &[]).expect(1, &["does not exist"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    draw(&world::pocket_model(), Path::new("/dev/full"), &[]).expect(1, &["/dev/full", "No space left"]);
}

#[test]
fn photos_are_checked_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let (empty, text) = (file("empty.jpg", b""), file("text.jpg", b"hello"));
    let huge = folder.path().join("huge.jpg");
    fs::File::create(&huge).unwrap().set_len(40 << 20).unwrap();
    let arguments =
        ["invert", "--name", "ann", "--consent", &empty, &text, huge.to_str().unwrap(), "missing.jpg"];
    likeness(&arguments)
        .expect(1, &["empty.jpg is empty", "text.jpg is not", "huge.jpg has 40 MiB", "missing.jpg"]);
    likeness(&["invert", "--name", "ann", "--consent"]).expect(2, &["PHOTO"]);
    likeness(&["invert", "--name", "ann", &text]).expect(2, &["--consent"]);
}

#[test]
fn a_server_that_is_away_is_named_with_its_own_exit_code() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    for command in [["task", "ls"], ["people", "ls"]] {
        likeness(&["--server", &address, command[0], command[1]]).expect(3, &[&address]);
    }
    likeness(&["--server", "not an address", "task", "ls"]).expect(2, &["not an address"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    likeness(&["up", "--listen", &address, "--data", data.path().to_str().unwrap()])
        .expect(1, &[&address, "in use", "--listen"]);
}

#[test]
fn contradictions_on_the_command_line_are_usage_errors() {
    likeness(&["invert", "--name", "ann", "--consent", "--l2", "anchor", "a.jpg"]).expect(2, &["--l2"]);
    likeness(&["invert", "--name", "ann", "--consent", "--parameterisation", "none", "--a", "2", "a.jpg"])
        .expect(2, &["--a"]);
    likeness(&["up", "--model", "pocket"]).expect(2, &["NAME=DIR"]);
    likeness(&["demo", "--person", "nobody"]).expect(2, &["nobody", "person-01"]);
    likeness(&["task", "get", "7"]).expect(2, &["ULID"]);
}
