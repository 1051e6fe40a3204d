//! A place inside a weight file.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::{WeightError, WeightFile};

/// A dotted prefix of a weight file, with the device and float type for the tensors below it.
///
/// The device must be a plain one (without autodiff): that makes every parameter a constant.
#[derive(Debug, Clone)]
pub struct Weights<'file> {
    file: &'file WeightFile,
    prefix: String,
    device: &'file Device,
    dtype: FloatDType,
}

impl<'file> Weights<'file> {
    /// The root of `file`.
    pub fn new(file: &'file WeightFile, device: &'file Device, dtype: FloatDType) -> Self {
        Self { file, prefix: String::new(), device, dtype }
    }

    /// The place `name` below this one.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.path(name), ..self.clone() }
    }

    /// The dotted path of this place.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    /// The device that tensors are put on.
    pub fn device(&self) -> &'file Device {
        self.device
    }

    /// The float type that tensors are converted to.
    pub fn dtype(&self) -> FloatDType {
        self.dtype
    }

    /// The place below this one that has a tensor `weight` under the first of `names` in the file; the
    /// first name when none has. Serves weights that were renamed over the years.
    pub fn at_first(&self, names: &[&str]) -> Self {
        let has_weight = |name: &&&str| self.at(name).has("weight");
        let name = names.iter().find(has_weight).or(names.first()).copied().unwrap_or_default();
        self.at(name)
    }

    /// Whether the tensor `name` exists below this place.
    pub fn has(&self, name: &str) -> bool {
        self.file.has(&self.path(name))
    }

    /// Accepts the tensor `name` without reading it.
    pub fn ignore(&self, name: &str) {
        self.file.ignore(&self.path(name));
    }

    /// The number of dimensions of the tensor `name`, if it exists.
    pub fn rank(&self, name: &str) -> Option<usize> {
        self.file.shape(&self.path(name)).map(<[usize]>::len)
    }

    /// Reads the tensor `name` of exactly this shape.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, WeightError> {
        let data = self.file.take(&self.path(name), &shape, self.dtype)?;
        Ok(Tensor::from_data(data, (self.device, DType::from(self.dtype))))
    }

    fn path(&self, name: impl std::fmt::Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
