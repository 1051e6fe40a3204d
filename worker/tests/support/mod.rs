//! Reference folders for the tests: their models and tensors.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test uses its own part of this")]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, FloatDType};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use safetensors::SafeTensors;

/// A folder of `tests/fixtures`.
pub struct Reference {
    pub folder: PathBuf,
    pub manifest: serde_json::Value,
}

impl Reference {
    pub fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name);
        // Python writes NaN and Infinity where JSON knows neither.
        let manifest = std::fs::read_to_string(folder.join("manifest.json"))
            .unwrap()
            .replace("-Infinity", "null")
            .replace("Infinity", "null")
            .replace("NaN", "null");
        Self { folder, manifest: serde_json::from_str(&manifest).unwrap() }
    }

    pub fn model(&self) -> StableDiffusion {
        let folder = ModelFolder::open(&self.folder.join("model")).unwrap();
        StableDiffusion::load(&folder, &Device::flex(), FloatDType::F32).unwrap()
    }

    pub fn file(&self, name: &str) -> TensorFile {
        TensorFile(std::fs::read(self.folder.join("ref").join(name)).unwrap())
    }

    pub fn picture(&self, name: &str) -> RgbPicture {
        let bytes = std::fs::read(self.folder.join("ref").join(name)).unwrap();
        RgbPicture::from_png(&bytes).unwrap().0
    }

    pub fn setting(&self, path: &str) -> &serde_json::Value {
        self.manifest.pointer(path).unwrap_or_else(|| panic!("the manifest has no {path}"))
    }
}

pub struct TensorFile(Vec<u8>);

impl TensorFile {
    pub fn read(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.words(name, "F32").into_iter().map(f32::from_le_bytes).collect()
    }

    pub fn u32(&self, name: &str) -> Vec<u32> {
        self.words(name, "I32")
            .into_iter()
            .map(|word| u32::try_from(i32::from_le_bytes(word)).unwrap())
            .collect()
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().shape().to_vec()
    }

    fn words(&self, name: &str, dtype: &str) -> Vec<[u8; 4]> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format!("{:?}", tensor.dtype()), dtype, "{name}");
        tensor.data().chunks_exact(4).map(|word| word.try_into().unwrap()).collect()
    }
}

/// Three photos of the model's size, all stripes.
pub fn photos(model: &StableDiffusion) -> Vec<RgbPicture> {
    let (width, height) = model.native_size();
    (0..3u32)
        .map(|photo| {
            let pixels = (0..width * height * 3).map(|i| ((i * (photo + 3) / 7) % 256) as u8).collect();
            RgbPicture { width, height, pixels }
        })
        .collect()
}

/// `|found - expected| / |expected|` over all numbers, in f64.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let apart: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let size: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (apart / size).sqrt()
}

/// The rule of the reference's README: at most 1 apart, in at most 0.5 % of the bytes.
pub fn assert_same_picture(found: &RgbPicture, expected: &RgbPicture, what: &str) {
    assert_eq!((found.width, found.height), (expected.width, expected.height), "{what}");
    let apart = |(a, b): (&u8, &u8)| a.abs_diff(*b);
    let most = found.pixels.iter().zip(&expected.pixels).map(apart).max().unwrap();
    let differing = found.pixels.iter().zip(&expected.pixels).filter(|pair| apart(*pair) > 0).count();
    let share = differing as f64 / expected.pixels.len() as f64;
    assert!(most <= 1 && share <= 0.005, "{what}: up to {most} apart, {:.3} % differ", share * 100.0);
}
