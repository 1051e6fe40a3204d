//! A place among the weights of a part of a model.

use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::{MadeWeights, WeightError, WeightFile};

/// A dotted prefix of a weight file, with the device and float type for the tensors below it; or the same place where
/// weights are made up.
///
/// The device must be a plain one (without autodiff): that makes every parameter a constant.
#[derive(Debug, Clone)]
pub struct Weights<'source> {
    source: Source<'source>,
    prefix: String,
    device: &'source Device,
    dtype: FloatDType,
}

/// Where tensors come from.
#[derive(Debug, Clone, Copy)]
enum Source<'source> {
    File(&'source WeightFile),
    Made(&'source MadeWeights),
}

impl<'source> Weights<'source> {
    /// The root of `file`.
    pub fn new(file: &'source WeightFile, device: &'source Device, dtype: FloatDType) -> Self {
        Self { source: Source::File(file), prefix: String::new(), device, dtype }
    }

    /// The root of weights that are in no file: every tensor exists, in whatever shape it is asked for, under the
    /// first of the names that it may have.
    pub fn made(made: &'source MadeWeights, device: &'source Device, dtype: FloatDType) -> Self {
        Self { source: Source::Made(made), prefix: String::new(), device, dtype }
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
    pub fn device(&self) -> &'source Device {
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

    /// Whether the file has the tensor `name` below this place; never where weights are made up.
    pub fn has(&self, name: &str) -> bool {
        match self.source {
            Source::File(file) => file.has(&self.path(name)),
            Source::Made(_) => false,
        }
    }

    /// Accepts the tensor `name` without reading it.
    pub fn ignore(&self, name: &str) {
        if let Source::File(file) = self.source {
            file.ignore(&self.path(name));
        }
    }

    /// The number of dimensions of the tensor `name` in the file, if it has it.
    pub fn rank(&self, name: &str) -> Option<usize> {
        match self.source {
            Source::File(file) => file.shape(&self.path(name)).map(<[usize]>::len),
            Source::Made(_) => None,
        }
    }

    /// Reads the tensor `name` of exactly this shape.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, WeightError> {
        match self.source {
            Source::File(file) => {
                let data = file.take(&self.path(name), &shape, self.dtype)?;
                Ok(Tensor::from_data(data, self.options()))
            }
            Source::Made(made) => {
                Ok(made.tensor(name, shape, shape.first().copied().unwrap_or(1), self.device, self.dtype))
            }
        }
    }

    /// Reads the tensor `name` that is a single number, in f32; 1 where weights are made up.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn number(&self, name: &str) -> Result<f32, WeightError> {
        match self.source {
            Source::File(file) => {
                let data = file.take(&self.path(name), &[], FloatDType::F32)?;
                Ok(data.iter::<f32>().next().unwrap_or(1.0))
            }
            Source::Made(_) => Ok(1.0),
        }
    }

    /// Reads a matrix that is stored as `[outputs, inputs]` as `[inputs, outputs]`, its elements lying in that order. It
    /// is turned round on the way from the file to the device.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn matrix(&self, name: &str, [outputs, inputs]: [usize; 2]) -> Result<Tensor<2>, WeightError> {
        match self.source {
            Source::File(file) => {
                let data = file.take_turned(&self.path(name), &[outputs, inputs], self.dtype)?;
                Ok(Tensor::from_data(data, self.options()))
            }
            Source::Made(made) => Ok(made.tensor(name, [inputs, outputs], outputs, self.device, self.dtype)),
        }
    }

    /// Reads a convolution's kernel that is stored as `[outputs, inputs, height, width]` as `[height, width, inputs,
    /// outputs]`, its elements lying in that order, as [`Weights::matrix`].
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn kernel(&self, name: &str, stored: [usize; 4]) -> Result<Tensor<4>, WeightError> {
        let [outputs, inputs, height, width] = stored;
        match self.source {
            Source::File(file) => {
                let data = file.take_turned(&self.path(name), &stored, self.dtype)?;
                Ok(Tensor::from_data(data, self.options()))
            }
            Source::Made(made) => {
                Ok(made.tensor(name, [height, width, inputs, outputs], outputs, self.device, self.dtype))
            }
        }
    }

    /// As [`Weights::kernel`], to `[outputs, height, width, inputs]`.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn kernel_of_outputs(&self, name: &str, stored: [usize; 4]) -> Result<Tensor<4>, WeightError> {
        let [outputs, inputs, height, width] = stored;
        match self.source {
            Source::File(file) => {
                let data = file.take_inputs_last(&self.path(name), stored, self.dtype)?;
                Ok(Tensor::from_data(data, self.options()))
            }
            Source::Made(made) => {
                let shape = [outputs, height, width, inputs];
                Ok(made.tensor(name, shape, outputs, self.device, self.dtype))
            }
        }
    }

    fn options(&self) -> (&'source Device, DType) {
        (self.device, DType::from(self.dtype))
    }

    fn path(&self, name: impl std::fmt::Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
