//! What can be wrong with a weight file.

use std::path::PathBuf;

/// A weight file that does not hold exactly the model which its configuration describes.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    /// None of the names under which the file may lie exists.
    #[error("{} has no weight file; looked for {}", folder.display(), looked_for.join(", "))]
    NoFile {
        /// The folder.
        folder: PathBuf,
        /// The file names tried.
        looked_for: Vec<String>,
    },
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not in the safetensors format.
    #[error("{} is not a safetensors file: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with its header.
        reason: String,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "{} has {found} bytes where its header announces {expected}: it is cut off or damaged; copy it again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes by the header.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A tensor that the model needs is not in the file.
    #[error("{} lacks the tensor \"{tensor}\" of shape {expected:?}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error(
        "tensor \"{tensor}\" in {} has shape {found:?} where the configuration asks for {expected:?}",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is not of a float type that can be read.
    #[error("tensor \"{tensor}\" in {} is {found}; F32, F16 and BF16 can be read", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type in the file.
        found: String,
    },
    /// The file holds tensors that the model has no place for.
    #[error(
        "{} holds {} tensors that the configuration has no place for, among them \"{}\"",
        path.display(),
        tensors.len(),
        tensors.first().map_or("", String::as_str)
    )]
    Unused {
        /// The file.
        path: PathBuf,
        /// Their names, sorted.
        tensors: Vec<String>,
    },
}
