//! A folder in the diffusers layout: configurations read and checked, weights not yet touched.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::config_file::{ConfigError, ConfigFile};
use crate::schedule::{SchedulerConfig, SchedulerConfigError};
use crate::text_encoder::TextConfig;
use crate::tokenizer::TokenizerError;
use crate::unet::UNetConfig;
use crate::vae::VaeConfig;
use crate::weights::WeightError;

/// Where the text encoder's weights may lie, the usual name first.
pub(crate) const TEXT_WEIGHTS: [&str; 2] = ["model.safetensors", "model.fp16.safetensors"];
/// Where the UNet's and the VAE's weights may lie, the usual name first.
pub(crate) const DIFFUSION_WEIGHTS: [&str; 2] =
    ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"];

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A configuration file is missing, wrong, or asks for something unsupported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The noise schedule's configuration is missing, wrong or unsupported.
    #[error(transparent)]
    Scheduler(#[from] SchedulerConfigError),
    /// The tokenizer cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A weight file does not hold the model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The parts of the model do not fit each other.
    #[error("the parts of the model in {} do not fit each other: {reason}", path.display())]
    Mismatch {
        /// The folder.
        path: PathBuf,
        /// Which numbers differ.
        reason: String,
    },
}

/// A model on disk.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    scheduler_config: SchedulerConfig,
    text_config: TextConfig,
    unet_config: UNetConfig,
    vae_config: VaeConfig,
}

impl ModelFolder {
    /// Opens the folder `dir` and reads its configuration files.
    ///
    /// # Errors
    /// When a file is missing, or says something that this crate does not support.
    pub fn open(dir: &Path) -> Result<Self, ModelError> {
        check_index(&dir.join("model_index.json"))?;
        let folder = Self {
            path: dir.to_path_buf(),
            scheduler_config: SchedulerConfig::open(&dir.join("scheduler/scheduler_config.json"))?,
            text_config: TextConfig::read(&dir.join("text_encoder/config.json"))?,
            unet_config: UNetConfig::read(&dir.join("unet/config.json"))?,
            vae_config: VaeConfig::read(&dir.join("vae/config.json"))?,
        };
        folder.check_fit()?;
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The noise schedule's configuration.
    pub fn scheduler_config(&self) -> &SchedulerConfig {
        &self.scheduler_config
    }

    /// The text encoder's structure.
    pub fn text_config(&self) -> &TextConfig {
        &self.text_config
    }

    /// The UNet's structure.
    pub fn unet_config(&self) -> &UNetConfig {
        &self.unet_config
    }

    /// The autoencoder's structure.
    pub fn vae_config(&self) -> &VaeConfig {
        &self.vae_config
    }

    /// SHA-256, in hexadecimal, over the names, lengths and bytes of everything that decides what the
    /// model computes: configurations, tokenizer and weights, in a fixed order.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn digest(&self) -> Result<String, ModelError> {
        files_digest(&self.path, &self.files()).map_err(|(path, source)| ModelError::Read { path, source })
    }

    /// The files of the digest, relative to the folder: the required ones and the optional ones that exist.
    fn files(&self) -> Vec<String> {
        let required = [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "unet/config.json",
            "vae/config.json",
        ];
        let tokenizer = [
            "merges.txt",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ];
        let tokenizer = tokenizer
            .into_iter()
            .map(|name| format!("tokenizer/{name}"))
            .filter(|name| self.path.join(name).is_file());
        let weights =
            [("text_encoder", TEXT_WEIGHTS), ("unet", DIFFUSION_WEIGHTS), ("vae", DIFFUSION_WEIGHTS)];
        let weights = weights.into_iter().map(|(part, names)| {
            let exists = |name: &&&str| self.path.join(part).join(name).is_file();
            format!("{part}/{}", names.iter().find(exists).unwrap_or(&names[0]))
        });
        required.into_iter().map(str::to_owned).chain(tokenizer).chain(weights).collect()
    }

    fn check_fit(&self) -> Result<(), ModelError> {
        let (text, unet, vae) = (&self.text_config, &self.unet_config, &self.vae_config);
        let pairs = [
            (
                "the UNet's cross_attention_dim and the text encoder's hidden_size",
                unet.cross_attention_dim,
                text.hidden_size,
            ),
            ("the UNet's in_channels and the VAE's latent_channels", unet.in_channels, vae.latent_channels),
            ("the UNet's out_channels and the VAE's latent_channels", unet.out_channels, vae.latent_channels),
            ("the VAE's in_channels and the channels of a picture", vae.in_channels, 3),
            ("the VAE's out_channels and the channels of a picture", vae.out_channels, 3),
        ];
        match pairs.into_iter().find(|(_, one, other)| one != other) {
            Some((what, one, other)) => Err(ModelError::Mismatch {
                path: self.path.clone(),
                reason: format!("{what} are {one} and {other}"),
            }),
            None => Ok(()),
        }
    }
}

/// SHA-256, in hexadecimal, over the names, lengths and bytes of these files of `folder`; the file that cannot be read, and why.
pub(crate) fn files_digest(folder: &Path, names: &[String]) -> Result<String, (PathBuf, std::io::Error)> {
    let mut hasher = Sha256::new();
    for name in names {
        let path = folder.join(name);
        let read_error = |source| (path.clone(), source);
        let mut file = File::open(&path).map_err(read_error)?;
        let length = file.metadata().map_err(read_error)?.len();
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(length.to_le_bytes());
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file.read(&mut buffer).map_err(read_error)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

/// The pipeline and its parts must be of the classes that this crate implements.
fn check_index(path: &Path) -> Result<(), ConfigError> {
    let index = ConfigFile::open(path)?;
    index.only("_class_name", &[Value::from("StableDiffusionPipeline")])?;
    let parts = [
        ("text_encoder", "CLIPTextModel"),
        ("tokenizer", "CLIPTokenizer"),
        ("unet", "UNet2DConditionModel"),
        ("vae", "AutoencoderKL"),
    ];
    for (part, class) in parts {
        let [_, found]: [String; 2] = index.required(part)?;
        if found.strip_suffix("Fast").unwrap_or(&found) != class {
            return Err(index.invalid(part, format!("the class {class}")));
        }
    }
    Ok(())
}
