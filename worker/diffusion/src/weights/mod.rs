//! Strict reading of weight files.
//!
//! A [`WeightFile`] reads one tensor at a time from a safetensors file and remembers which names were
//! asked for; [`WeightFile::finish`] complains about what nobody wanted. A [`Weights`] is a place inside a
//! file (a dotted prefix) together with the device and the float type that tensors are widened or
//! narrowed to. Nothing is guessed: a missing, misshaped or superfluous tensor is an error with its name.
//! [`MadeWeights`] stand in for a file where a model's size is wanted and its numbers are not.
//!
//! Memory: never more than one tensor beyond the model itself, in its stored and its wanted float type. Matrices are
//! turned round on the host, so nothing comes back from the device.

mod elements;
mod error;
mod file;
mod made;
mod scope;

pub use error::WeightError;
pub use file::WeightFile;
pub use made::MadeWeights;
pub use scope::Weights;
