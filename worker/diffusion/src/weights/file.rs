//! A safetensors file that is read tensor by tensor.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, TensorData};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::WeightError;
use super::elements::{inputs_last, tensor_data, turned};

/// The largest header that is believed; the format itself sets the same limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The length of the header's own length field.
const PREFIX_BYTES: u64 = 8;

/// An open safetensors file: its header, and which tensors were taken so far.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
    taken: RefCell<BTreeSet<String>>,
}

impl WeightFile {
    /// Opens `path` and reads its header; no tensor is read yet.
    ///
    /// # Errors
    /// When the file cannot be read, is not safetensors, or has another length than its header announces.
    pub fn open(path: &Path) -> Result<Self, WeightError> {
        let read_error = |source| WeightError::Read { path: path.to_path_buf(), source };
        let header_error = |reason: String| WeightError::Header { path: path.to_path_buf(), reason };

        let mut file = File::open(path).map_err(read_error)?;
        let found = file.metadata().map_err(read_error)?.len();
        if found < PREFIX_BYTES {
            return Err(header_error(format!("{found} bytes are too few")));
        }
        let mut prefix = [0; PREFIX_BYTES as usize];
        file.read_exact(&mut prefix).map_err(read_error)?;
        let header_bytes = u64::from_le_bytes(prefix);
        if header_bytes > MAX_HEADER_BYTES {
            return Err(header_error(format!("a header of {header_bytes} bytes is too long")));
        }
        let data_start = PREFIX_BYTES + header_bytes;
        if data_start > found {
            return Err(WeightError::Length { path: path.to_path_buf(), expected: data_start, found });
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).map_err(read_error)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| header_error(error.to_string()))?;
        for (name, info) in metadata.tensors() {
            if !extent_is_consistent(info) {
                return Err(header_error(format!("tensor \"{name}\" does not fill its place")));
            }
        }
        let expected = data_start + metadata.data_len() as u64;
        if expected != found {
            return Err(WeightError::Length { path: path.to_path_buf(), expected, found });
        }
        Ok(Self { path: path.to_path_buf(), file, metadata, data_start, taken: RefCell::default() })
    }

    /// Opens the first of `names` that exists in `folder`.
    ///
    /// # Errors
    /// When none exists, or as [`WeightFile::open`].
    pub fn open_first(folder: &Path, names: &[&str]) -> Result<Self, WeightError> {
        match names.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
            Some(path) => Self::open(&path),
            None => Err(WeightError::NoFile {
                folder: folder.to_path_buf(),
                looked_for: names.iter().map(|&name| name.to_owned()).collect(),
            }),
        }
    }

    /// Whether the file holds a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The shape of a tensor in the file.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// Marks a tensor as wanted without reading it.
    pub fn ignore(&self, name: &str) {
        self.taken.borrow_mut().insert(name.to_owned());
    }

    /// Reads one tensor of exactly the shape `expected` and converts it to `dtype`.
    ///
    /// # Errors
    /// When it is missing, has another shape, is not a float type, or cannot be read.
    pub fn take(&self, name: &str, expected: &[usize], dtype: FloatDType) -> Result<TensorData, WeightError> {
        let info = self.expect(name, expected)?;
        let shape = expected.to_vec();
        match info.dtype {
            Dtype::F32 => Ok(tensor_data(self.read_elements::<f32>(info)?, shape, dtype)),
            Dtype::F16 => Ok(tensor_data(self.read_elements::<f16>(info)?, shape, dtype)),
            Dtype::BF16 => Ok(tensor_data(self.read_elements::<bf16>(info)?, shape, dtype)),
            _ => Err(self.not_a_float(name, info)),
        }
    }

    /// Reads one tensor of exactly the shape `[outputs, inputs, height, width]` and gives it as `[height, width, inputs,
    /// outputs]` in `dtype`; a matrix `[outputs, inputs]` as `[inputs, outputs]`. It is turned round in the type that it is stored in.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn take_turned(
        &self,
        name: &str,
        expected: &[usize],
        dtype: FloatDType,
    ) -> Result<TensorData, WeightError> {
        let info = self.expect(name, expected)?;
        let (outputs, inputs, taps) = match expected {
            [outputs, inputs, taps @ ..] => (*outputs, *inputs, taps),
            _ => return self.take(name, expected, dtype),
        };
        let sizes = [outputs, inputs, taps.iter().product()];
        let shape = taps.iter().copied().chain([inputs, outputs]).collect();
        match info.dtype {
            Dtype::F32 => Ok(tensor_data(self.read_turned::<f32>(info, sizes)?, shape, dtype)),
            Dtype::F16 => Ok(tensor_data(self.read_turned::<f16>(info, sizes)?, shape, dtype)),
            Dtype::BF16 => Ok(tensor_data(self.read_turned::<bf16>(info, sizes)?, shape, dtype)),
            _ => Err(self.not_a_float(name, info)),
        }
    }

    /// Reads a tensor `[outputs, inputs, height, width]` as `[outputs, height, width, inputs]` and converts it to `dtype`.
    ///
    /// # Errors
    /// As [`WeightFile::take`].
    pub fn take_inputs_last(
        &self,
        name: &str,
        expected: [usize; 4],
        dtype: FloatDType,
    ) -> Result<TensorData, WeightError> {
        let info = self.expect(name, &expected)?;
        let [outputs, inputs, height, width] = expected;
        let shape = vec![outputs, height, width, inputs];
        let sizes = [inputs, height * width];
        match info.dtype {
            Dtype::F32 => {
                Ok(tensor_data(inputs_last(&self.read_elements::<f32>(info)?, sizes), shape, dtype))
            }
            Dtype::F16 => {
                Ok(tensor_data(inputs_last(&self.read_elements::<f16>(info)?, sizes), shape, dtype))
            }
            Dtype::BF16 => {
                Ok(tensor_data(inputs_last(&self.read_elements::<bf16>(info)?, sizes), shape, dtype))
            }
            _ => Err(self.not_a_float(name, info)),
        }
    }

    /// The tensor `name`, which must have the shape `expected`; it counts as taken.
    fn expect(&self, name: &str, expected: &[usize]) -> Result<&TensorInfo, WeightError> {
        let Some(info) = self.metadata.info(name) else {
            return Err(WeightError::Missing {
                path: self.path.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
            });
        };
        if info.shape != expected {
            return Err(WeightError::Shape {
                path: self.path.clone(),
                tensor: name.to_owned(),
                expected: expected.to_vec(),
                found: info.shape.clone(),
            });
        }
        self.ignore(name);
        Ok(info)
    }

    fn not_a_float(&self, name: &str, info: &TensorInfo) -> WeightError {
        WeightError::Dtype {
            path: self.path.clone(),
            tensor: name.to_owned(),
            found: format!("{:?}", info.dtype),
        }
    }

    /// Ends the reading: every tensor of the file must have been taken or ignored.
    ///
    /// # Errors
    /// Names the tensors that were not.
    pub fn finish(self) -> Result<(), WeightError> {
        let taken = self.taken.into_inner();
        let mut tensors: Vec<String> =
            self.metadata.tensors().into_keys().filter(|name| !taken.contains(name)).collect();
        if tensors.is_empty() {
            return Ok(());
        }
        tensors.sort_unstable();
        Err(WeightError::Unused { path: self.path, tensors })
    }

    fn read_turned<T: bytemuck::Pod + Send + Sync>(
        &self,
        info: &TensorInfo,
        sizes: [usize; 3],
    ) -> Result<Vec<T>, WeightError> {
        Ok(turned(&self.read_elements(info)?, sizes))
    }

    fn read_elements<T: bytemuck::Pod>(&self, info: &TensorInfo) -> Result<Vec<T>, WeightError> {
        let (start, end) = info.data_offsets;
        let mut elements = vec![T::zeroed(); (end - start) / size_of::<T>()];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.data_start + start as u64))
            .and_then(|_| file.read_exact(bytemuck::cast_slice_mut(&mut elements)))
            .map_err(|source| WeightError::Read { path: self.path.clone(), source })?;
        if cfg!(target_endian = "big") {
            for element in bytemuck::cast_slice_mut::<T, u8>(&mut elements).chunks_exact_mut(size_of::<T>()) {
                element.reverse();
            }
        }
        Ok(elements)
    }
}

/// Whether a tensor's place in the file has as many bytes as its shape and type ask for.
fn extent_is_consistent(info: &TensorInfo) -> bool {
    let (start, end) = info.data_offsets;
    let bits =
        info.shape.iter().try_fold(info.dtype.bitsize(), |product, &length| product.checked_mul(length));
    start <= end && bits == (end - start).checked_mul(8)
}
