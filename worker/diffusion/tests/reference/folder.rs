//! A reference folder: a small model in the diffusers layout and what the published libraries compute
//! with it. The repository's copies are slimmed; their manifests say what was left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

pub(crate) struct Folder {
    pub(crate) name: String,
    root: PathBuf,
    manifest: Value,
}

/// The folders in `LIKENESS_REFERENCE`, or else the repository's own.
pub(crate) fn all() -> Vec<Folder> {
    let root = match std::env::var_os("LIKENESS_REFERENCE") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures"),
    };
    let entries = std::fs::read_dir(&root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut folders: Vec<Folder> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("manifest.json").is_file())
        .map(|path| Folder {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            manifest: manifest(&path.join("manifest.json")),
            root: path,
        })
        .collect();
    folders.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!folders.is_empty(), "no reference folders in {}", root.display());
    folders
}

/// Python writes NaN and -Infinity, which are no JSON.
fn manifest(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(
        &text.replace("-Infinity", "null").replace(":NaN", ":null").replace(": NaN", ": null"),
    )
    .unwrap()
}

/// The folders that hold the weights of `part`; there is always at least one.
pub(crate) fn with_weights(part: &str) -> Vec<Folder> {
    let left_out = |folder: &Folder| {
        folder.manifest["left_out_parts"].as_array().is_some_and(|parts| parts.contains(&part.into()))
    };
    let folders: Vec<Folder> = all().into_iter().filter(|folder| !left_out(folder)).collect();
    assert!(!folders.is_empty(), "no reference folder has weights for {part}");
    folders
}

impl Folder {
    pub(crate) fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// Where a CLIP model is, in folders that have one.
    pub(crate) fn clip(&self) -> PathBuf {
        self.root.join("clip")
    }

    pub(crate) fn reference(&self, name: &str) -> PathBuf {
        self.root.join("ref").join(name)
    }

    /// A list of strings in the manifest.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let texts = self.manifest[key].as_array().unwrap_or_else(|| panic!("{}: no {key}", self.name));
        texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// All tensors of `ref/FILE.safetensors`.
    pub(crate) fn tensors(&self, file: &str) -> Tensors {
        let file = format!("{file}.safetensors");
        let bytes = std::fs::read(self.reference(&file))
            .unwrap_or_else(|error| panic!("{}: {file}: {error}", self.name));
        let parsed = SafeTensors::deserialize(&bytes).unwrap();
        let steps = |name: &str| -> Vec<usize> {
            let every = &self.manifest["files"][&file]["tensors"][name]["every"];
            every
                .as_array()
                .map_or(vec![], |every| every.iter().map(|step| step.as_u64().unwrap() as usize).collect())
        };
        let tensors = parsed.tensors().into_iter().map(|(name, view)| {
            let words = view.data().chunks_exact(view.dtype().bitsize() / 8);
            let values = match view.dtype() {
                Dtype::F32 => words.map(|word| f32::from_le_bytes(word.try_into().unwrap()) as f64).collect(),
                Dtype::I32 => words.map(|word| i32::from_le_bytes(word.try_into().unwrap()) as f64).collect(),
                Dtype::U8 => words.map(|word| word[0] as f64).collect(),
                other => panic!("{}: {name} is {other:?}", self.name),
            };
            let every = steps(&name);
            (name, Expected { shape: view.shape().to_vec(), values, every })
        });
        Tensors { from: format!("{}/{file}", self.name), tensors: tensors.collect() }
    }
}

pub(crate) struct Tensors {
    from: String,
    tensors: BTreeMap<String, Expected>,
}

impl Tensors {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Expected> {
        self.tensors.get(name)
    }

    pub(crate) fn get(&self, name: &str) -> &Expected {
        self.find(name).unwrap_or_else(|| panic!("{} lacks {name}", self.from))
    }
}

/// A reference tensor; of dimension `d` only every `every[d]`-th slice may have been kept.
pub(crate) struct Expected {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
    every: Vec<usize>,
}

impl Expected {
    /// As a whole tensor, to feed a model.
    pub(crate) fn tensor<const D: usize>(&self) -> Tensor<D> {
        assert!(self.every.is_empty(), "only a part of this tensor was kept");
        let values: Vec<f32> = self.values.iter().map(|&value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, self.shape.clone()), &crate::device())
    }

    /// As rows of ids.
    pub(crate) fn ids(&self) -> Vec<Vec<u32>> {
        let ids = self.values.iter().map(|&value| value as u32).collect::<Vec<_>>();
        ids.chunks(*self.shape.last().unwrap()).map(<[u32]>::to_vec).collect()
    }

    /// The same values without their shape.
    pub(crate) fn flat(&self) -> Expected {
        assert!(self.every.is_empty(), "only a part of this tensor was kept");
        Expected { shape: vec![self.values.len()], values: self.values.clone(), every: vec![] }
    }

    /// Row `index` of the first dimension of the full tensor, if it was kept.
    pub(crate) fn row(&self, index: usize) -> Option<Expected> {
        let step = self.every.first().copied().unwrap_or(1);
        let length: usize = self.shape[1..].iter().product();
        let kept = index / step;
        (index.is_multiple_of(step) && kept < self.shape[0]).then(|| Expected {
            shape: self.shape[1..].to_vec(),
            values: self.values[kept * length..][..length].to_vec(),
            every: self.every.iter().skip(1).copied().collect(),
        })
    }

    /// `||found - expected|| / ||expected||` over what was kept.
    pub(crate) fn error<const D: usize>(&self, found: Tensor<D>) -> f64 {
        let data = found.cast(FloatDType::F32).into_data();
        let (shape, found) = (data.shape().to_vec(), data.try_to_vec::<f32>().unwrap());
        let every = if self.every.is_empty() { vec![1; D] } else { self.every.clone() };
        let kept: Vec<usize> =
            shape.iter().zip(&every).map(|(length, step)| length.div_ceil(*step)).collect();
        assert_eq!(kept, self.shape, "found a tensor of shape {shape:?}");
        let (mut difference, mut norm) = (0.0, 0.0);
        for (index, &expected) in self.values.iter().enumerate() {
            let (mut rest, mut place, mut stride) = (index, 0, 1);
            for dimension in (0..D).rev() {
                place += rest % kept[dimension] * every[dimension] * stride;
                rest /= kept[dimension];
                stride *= shape[dimension];
            }
            difference += (found[place] as f64 - expected).powi(2);
            norm += expected.powi(2);
        }
        (difference / norm).sqrt()
    }

    /// Fails unless [`Expected::error`] is at most `limit`.
    pub(crate) fn check<const D: usize>(&self, what: &str, found: Tensor<D>, limit: f64) {
        let error = self.error(found);
        println!("{what:<60} {error:.1e}");
        assert!(error <= limit, "{what}: relative error {error:.2e} is above {limit:.0e}");
    }
}
