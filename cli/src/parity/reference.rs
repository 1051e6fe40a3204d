//! `ref/`: the expected values. A tensor is absent only where the manifest says so; anything else is an error.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use safetensors::{Dtype, SafeTensors};

use super::manifest::{Described, Manifest};
use super::values::{Array, strided_shape};

/// A tensor of the reference, or the manifest's word that it is not here.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// All of it, or the kept part.
    Here(Expected<T>),
    /// Not in this folder, with the reason.
    LeftOut(String),
}

/// A tensor of the reference, of which the folder may keep only every n-th element.
#[derive(Debug)]
pub(crate) struct Expected<T> {
    /// The shape of the whole tensor.
    pub(crate) full_shape: Vec<usize>,
    /// The strides of the kept part; all 1 for the whole tensor.
    pub(crate) every: Vec<usize>,
    /// What is kept.
    pub(crate) array: Array<T>,
    /// "FILE.TENSOR", by which the manifest tells the reference's own rounding.
    pub(crate) quantity: String,
}

impl<T> Expected<T> {
    fn is_whole(&self) -> bool {
        self.every.iter().all(|stride| *stride == 1)
    }
}

impl<T> Found<T> {
    /// The same found value with another view of it, such as some of its rows.
    pub(crate) fn map(
        self,
        change: impl FnOnce(Expected<T>) -> anyhow::Result<Expected<T>>,
    ) -> anyhow::Result<Self> {
        match self {
            Self::Here(expected) => change(expected).map(Self::Here),
            Self::LeftOut(why) => Ok(Self::LeftOut(why)),
        }
    }
}

/// Types that tensors of the reference are read as.
pub(crate) trait Element: Copy {
    /// Reads the tensor's bytes.
    fn read(dtype: Dtype, bytes: &[u8]) -> Option<Vec<Self>>;
}

impl Element for f32 {
    fn read(dtype: Dtype, bytes: &[u8]) -> Option<Vec<Self>> {
        (dtype == Dtype::F32).then(|| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}

impl Element for i64 {
    fn read(dtype: Dtype, bytes: &[u8]) -> Option<Vec<Self>> {
        Some(match dtype {
            Dtype::I32 => bytes.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect(),
            Dtype::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            Dtype::U8 => bytes.iter().map(|b| i64::from(*b)).collect(),
            _ => return None,
        })
    }
}

/// A folder of reference values.
#[derive(Debug)]
pub(crate) struct Reference {
    folder: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Reference {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self { folder: folder.to_path_buf(), manifest: Manifest::read(folder)? })
    }

    /// The model's folder.
    pub(crate) fn model(&self) -> PathBuf {
        self.folder.join("model")
    }

    /// A file of `ref/`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join("ref").join(name)
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// One file of tensors, `name` without its ending; `None` where the manifest leaves it out or has none.
    pub(crate) fn file(&self, name: &str) -> anyhow::Result<Option<RefFile<'_>>> {
        let name = format!("{name}.safetensors");
        let Some(described) = self.manifest.files.get(&name).filter(|file| !file.left_out) else {
            return Ok(None);
        };
        let path = self.path(&name);
        let bytes = std::fs::read(&path)
            .with_context(|| format!("cannot read {}, which manifest.json lists", path.display()))?;
        Ok(Some(RefFile { reference: self, described: &described.tensors, path, bytes }))
    }

    /// Whether the manifest says that this PNG is not here.
    pub(crate) fn lacks_picture(&self, name: &str) -> bool {
        self.manifest.left_out_pictures.iter().any(|left_out| left_out == name)
    }

    /// The pixels of a PNG of `ref/`: (H, W, 3).
    pub(crate) fn picture(&self, name: &str) -> anyhow::Result<Found<i64>> {
        if self.lacks_picture(name) {
            return Ok(Found::LeftOut("left out of this folder".to_owned()));
        }
        let path = self.path(name);
        let picture = image::open(&path)
            .with_context(|| format!("cannot read the picture {}", path.display()))?
            .into_rgb8();
        let full_shape = vec![picture.height() as usize, picture.width() as usize, 3];
        let values = picture.into_raw().into_iter().map(i64::from).collect();
        Ok(Found::Here(Expected {
            every: vec![1; 3],
            array: Array::new(full_shape.clone(), values)?,
            full_shape,
            quantity: name.to_owned(),
        }))
    }
}

/// One open file of tensors.
pub(crate) struct RefFile<'a> {
    reference: &'a Reference,
    described: &'a std::collections::BTreeMap<String, Described>,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl<'a> RefFile<'a> {
    /// Names of the tensors that the manifest lists.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.described.keys().map(String::as_str)
    }

    /// The manifest that lists this file.
    pub(crate) fn manifest(&self) -> &'a Manifest {
        &self.reference.manifest
    }

    /// A tensor to compare with, or the manifest's word that it is not here.
    pub(crate) fn expected<T: Element>(&self, name: &str) -> anyhow::Result<Found<T>> {
        let Some(described) = self.described.get(name) else {
            return Ok(Found::LeftOut("not in this folder's manifest".to_owned()));
        };
        if described.left_out {
            return Ok(Found::LeftOut("left out of this folder".to_owned()));
        }
        let every =
            if described.every.is_empty() { vec![1; described.shape.len()] } else { described.every.clone() };
        ensure!(
            every.len() == described.shape.len() && every.iter().all(|stride| *stride > 0),
            "manifest.json: strides {every:?} for {name} of shape {:?}",
            described.shape
        );
        let file = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| anyhow!("{} is damaged: {error}", self.path.display()))?;
        let view = file.tensor(name).map_err(|_| {
            anyhow!("{} lacks the tensor {name}, which manifest.json lists", self.path.display())
        })?;
        let shape = strided_shape(&described.shape, &every);
        ensure!(
            view.shape() == shape,
            "{}: {name} has the shape {:?}, manifest.json says {shape:?}",
            self.path.display(),
            view.shape()
        );
        let Some(values) = T::read(view.dtype(), view.data()) else {
            bail!(
                "{}: {name} is {:?}; manifest.json says {}",
                self.path.display(),
                view.dtype(),
                described.dtype
            );
        };
        let file_name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Found::Here(Expected {
            full_shape: described.shape.clone(),
            every,
            array: Array::new(shape, values)?,
            quantity: format!("{file_name}.{name}"),
        }))
    }

    /// A whole tensor that a comparison starts from.
    pub(crate) fn input<T: Element>(&self, name: &str) -> anyhow::Result<Array<T>> {
        match self.expected(name)? {
            Found::Here(expected) if expected.is_whole() => Ok(expected.array),
            Found::Here(_) => {
                bail!("only a part of {name} is in {}, but all of it is needed", self.path.display())
            }
            Found::LeftOut(why) => bail!("{name} of {} is needed, but is {why}", self.path.display()),
        }
    }

    /// As [`Self::input`], `None` where the whole tensor is not in this folder by its manifest.
    pub(crate) fn optional_input<T: Element>(&self, name: &str) -> anyhow::Result<Option<Array<T>>> {
        Ok(match self.expected(name)? {
            Found::Here(expected) if expected.is_whole() => Some(expected.array),
            _ => None,
        })
    }

    /// The type of a tensor, as the manifest says.
    pub(crate) fn dtype(&self, name: &str) -> Option<&'a str> {
        self.described.get(name).map(|described| described.dtype.as_str())
    }

    /// The type that a tensor has in the file against what the manifest says.
    pub(crate) fn dtype_agrees(&self, name: &str) -> anyhow::Result<bool> {
        let described =
            self.described.get(name).with_context(|| format!("manifest.json does not list {name}"))?;
        let file = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| anyhow!("{} is damaged: {error}", self.path.display()))?;
        let dtype = file
            .tensor(name)
            .map_err(|_| anyhow!("{} lacks the tensor {name}", self.path.display()))?
            .dtype();
        Ok(matches!(
            (dtype, described.dtype.as_str()),
            (Dtype::F32, "float32") | (Dtype::I32, "int32") | (Dtype::I64, "int64") | (Dtype::U8, "uint8")
        ))
    }
}
