//! Lists the files of the pocket model and its test people, so that the binary can carry them
//! (`src/pocket.rs` reads the list).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The parts of `models/pocket` that are the model and its networks for faces; the rest there makes them.
const MODEL_PARTS: [&str; 8] =
    ["faces", "model_index.json", "names.txt", "scheduler", "text_encoder", "tokenizer", "unet", "vae"];
const ENDINGS: [&str; 6] = ["json", "txt", "safetensors", "jpg", "onnx", "toml"];

fn main() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../models/pocket").canonicalize()?;
    let mut model = Vec::new();
    for part in MODEL_PARTS {
        let path = root.join(part);
        println!("cargo:rerun-if-changed={}", path.display());
        collect(&path, &mut model)?;
    }
    let mut people = Vec::new();
    println!("cargo:rerun-if-changed={}", root.join("people").display());
    collect(&root.join("people"), &mut people)?;

    let listing = format!(
        "pub(super) const MODEL: &[(&str, &[u8])] = &[\n{}];\npub(super) const PEOPLE: &[(&str, &[u8])] = &[\n{}];\n",
        rows(&root, &model),
        rows(&root.join("people"), &people)
    );
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("pocket_files.rs"), listing)
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

/// Every file under `path` that the model or its people consist of, in a fixed order.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        let mut entries =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        for entry in entries {
            collect(&entry, files)?;
        }
    } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
        files.push(path.to_path_buf());
    }
    Ok(())
}

fn rows(root: &Path, files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(root).unwrap_or(file);
            format!(
                "    ({:?}, include_bytes!({:?})),\n",
                name.display().to_string(),
                file.display().to_string()
            )
        })
        .collect()
}
