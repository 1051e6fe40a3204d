//! A small model to serve, and a cache to bring it into.

#![allow(dead_code, reason = "each test uses its own part of this")]

pub(crate) mod server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use likeness_hub::{HubError, HubOptions, ModelSource, Progress, resolve};
use tempfile::TempDir;

use server::HubServer;

/// Where the text encoder's, the UNet's and the VAE's weights are.
pub(crate) const WEIGHTS: [&str; 3] = [
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
];

/// Something for weights: nothing here looks into them.
pub(crate) fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8 ^ seed).collect()
}

/// The configurations of a reference model with weights of some hundred kilobytes, and files that no worker reads.
pub(crate) fn model() -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-a/model"));
    let mut files = BTreeMap::new();
    for part in ["", "scheduler", "text_encoder", "tokenizer", "unet", "vae"] {
        for entry in std::fs::read_dir(folder.join(part)).expect("the fixture") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.strip_prefix(&folder).expect("inside").display().to_string();
                files.insert(name, std::fs::read(&path).expect("the fixture's file"));
            }
        }
    }
    for (index, name) in WEIGHTS.into_iter().enumerate() {
        files.insert(name.to_owned(), bytes(200_000 + index, index as u8));
    }
    for other in ["README.md", "safety_checker/model.safetensors", "unet/diffusion_pytorch_model.bin"] {
        files.insert(other.to_owned(), b"nobody reads this".to_vec());
    }
    files
}

/// A hub and a cache.
pub(crate) struct Scene {
    pub(crate) server: HubServer,
    pub(crate) options: HubOptions,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn of(files: BTreeMap<String, Vec<u8>>) -> Self {
        let server = HubServer::start(files);
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = HubOptions::new(folder.path().join("hub"), &server.endpoint());
        let pace = &mut options.pace;
        pace.first_pause = Duration::from_millis(5);
        pace.attempts = 3;
        Self { server, options, folder }
    }

    pub(crate) fn new() -> Self {
        Self::of(model())
    }

    /// The cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    /// A folder of the repository in the cache.
    pub(crate) fn repository(&self, part: &str) -> PathBuf {
        self.cache().join("models--acme--tiny").join(part)
    }

    pub(crate) async fn resolve(&self, source: &str) -> Result<PathBuf, HubError> {
        resolve(&source.into(), &self.options, &mut |_| ()).await
    }

    pub(crate) async fn resolve_source(&self, source: &ModelSource) -> Result<PathBuf, HubError> {
        resolve(source, &self.options, &mut |_| ()).await
    }

    pub(crate) async fn resolve_with_progress(
        &self,
        source: &str,
    ) -> (Result<PathBuf, HubError>, Vec<Progress>) {
        let mut seen = Vec::new();
        let resolved =
            resolve(&source.into(), &self.options, &mut |progress: &Progress| seen.push(progress.clone()))
                .await;
        (resolved, seen)
    }

    pub(crate) async fn offline(&self, source: &str) -> Result<PathBuf, HubError> {
        let mut options = self.options.clone();
        options.offline = true;
        self.server.take_requests();
        let resolved = resolve(&source.into(), &options, &mut |_| ()).await;
        assert_eq!(self.server.take_requests(), [], "somebody was dialled");
        resolved
    }
}

/// Every file under a folder with its bytes, links followed, by its path from there.
pub(crate) fn files_under(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").display().to_string();
                files.insert(name, std::fs::read(&path).expect("a whole file"));
            }
        }
    }
    files
}
