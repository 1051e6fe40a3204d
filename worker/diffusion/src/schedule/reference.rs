//! The slim copies of the reference values in `tests/fixtures`, for unit tests.
//!
//! `LIKENESS_REFERENCE` names another folder with the full ones.

use std::path::PathBuf;

use safetensors::SafeTensors;

use super::SchedulerConfig;
use super::lenient_json::without_non_finite;

/// The three reference folders.
pub(crate) const FOLDERS: [&str; 3] = ["tiny-a", "tiny-sd15", "tiny-v"];

pub(crate) fn root() -> PathBuf {
    std::env::var_os("LIKENESS_REFERENCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures"), PathBuf::from)
}

pub(crate) fn config(folder: &str) -> SchedulerConfig {
    SchedulerConfig::open(&root().join(folder).join("model/scheduler/scheduler_config.json")).unwrap()
}

/// A tensor of a slim copy: `every` are the strides at which the full tensor was kept.
pub(crate) struct Reference {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
    pub(crate) every: Vec<usize>,
}

/// One of `ref/*.safetensors`.
pub(crate) struct File {
    bytes: Vec<u8>,
    entry: serde_json::Value,
}

/// Opens `ref/NAME.safetensors`; `None` where the slim copy leaves it out.
pub(crate) fn file(folder: &str, name: &str) -> Option<File> {
    let folder = root().join(folder);
    let bytes = std::fs::read(folder.join("ref").join(format!("{name}.safetensors"))).ok()?;
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&without_non_finite(&manifest)).unwrap();
    Some(File { bytes, entry: manifest["files"][format!("{name}.safetensors")]["tensors"].clone() })
}

impl File {
    /// A tensor, integers widened to f32; `None` where the slim copy leaves it out.
    pub(crate) fn tensor(&self, name: &str) -> Option<Reference> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).ok()?;
        let words = view.data().as_chunks::<4>().0.iter();
        let values = match view.dtype() {
            safetensors::Dtype::I32 => words.map(|word| i32::from_le_bytes(*word) as f32).collect(),
            _ => words.map(|word| f32::from_le_bytes(*word)).collect(),
        };
        let every = match self.entry[name]["every"].as_array() {
            Some(strides) => strides.iter().map(|stride| stride.as_u64().unwrap() as usize).collect(),
            None => vec![1; view.shape().len()],
        };
        Some(Reference { shape: view.shape().to_vec(), values, every })
    }

    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        self.tensor(name).unwrap_or_else(|| panic!("no tensor {name}")).values
    }
}

/// `||found - expected|| / ||expected||` in f64.
pub(crate) fn relative_l2(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |value: f64| value * value;
    let error: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (error / norm).sqrt()
}
