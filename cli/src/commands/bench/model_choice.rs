//! Which model is measured: one in a folder, or one of random weights.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use burn::tensor::{Device, FloatDType};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::synthetic::{self, SyntheticModel};

const SYNTHETIC: &str = "synthetic:";
const SEED: u64 = 0;

/// A model by what the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModelChoice {
    /// A folder with weights.
    Folder(PathBuf),
    /// The name of a synthetic model; it exists.
    Synthetic(String),
}

/// A model whose configuration is read and whose weights are not.
pub(super) enum OpenModel {
    Folder(Box<ModelFolder>),
    Synthetic(Box<SyntheticModel>),
}

impl FromStr for ModelChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix(SYNTHETIC) else { return Ok(Self::Folder(text.into())) };
        if !synthetic::names().contains(&name) {
            let names = synthetic::names().join(", ");
            return Err(format!("there is no synthetic model {name:?}: the names are {names}"));
        }
        Ok(Self::Synthetic(name.to_owned()))
    }
}

impl fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Synthetic(name) => write!(f, "{SYNTHETIC}{name}"),
        }
    }
}

impl ModelChoice {
    pub(super) fn open(&self) -> anyhow::Result<OpenModel> {
        Ok(match self {
            Self::Folder(path) => {
                let folder = ModelFolder::open(path).with_context(|| {
                    format!(
                        "cannot open the model in {} (without files there are {SYNTHETIC}{})",
                        path.display(),
                        synthetic::names().join(&format!(", {SYNTHETIC}"))
                    )
                })?;
                OpenModel::Folder(Box::new(folder))
            }
            Self::Synthetic(name) => OpenModel::Synthetic(Box::new(SyntheticModel::named(name)?)),
        })
    }
}

impl OpenModel {
    pub(super) fn folder(&self) -> &ModelFolder {
        match self {
            Self::Folder(folder) => folder,
            Self::Synthetic(model) => model.folder(),
        }
    }

    pub(super) fn load(&self, device: &Device, dtype: FloatDType) -> anyhow::Result<StableDiffusion> {
        Ok(match self {
            Self::Folder(folder) => StableDiffusion::load(folder, device, dtype)?,
            Self::Synthetic(model) => StableDiffusion::synthetic(model.folder(), SEED, device, dtype)?,
        })
    }
}
