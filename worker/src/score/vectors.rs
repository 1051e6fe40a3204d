//! From a device's tensors to directions.

use burn::tensor::{FloatDType, Tensor};
use likeness_faces::recognise::Embedding;

/// Vectors that say nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    /// The device failed.
    #[error("cannot read the vectors from the device: {0}")]
    Device(String),
    /// A row is all zeros or not finite.
    #[error("vector {0} has no direction; the network is broken, or the precision too low for it")]
    NoDirection(usize),
}

/// The rows of `[n, width]`, any float dtype, as directions: what [`likeness_diffusion::Clip`] gives of pictures and texts.
///
/// # Errors
/// Where a row has no direction, or the device fails.
pub fn rows(vectors: Tensor<2>) -> Result<Vec<Embedding>, VectorError> {
    let [_, width] = vectors.dims();
    let data = vectors.cast(FloatDType::F32).try_into_data();
    let data = data.map_err(|error| VectorError::Device(error.to_string()))?;
    let values: Vec<f32> = data.try_to_vec().map_err(|error| VectorError::Device(format!("{error:?}")))?;
    let rows = values.chunks(width.max(1)).enumerate();
    rows.map(|(row, values)| Embedding::of(values).ok_or(VectorError::NoDirection(row))).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn rows_become_directions_or_are_refused() {
        let device = Device::flex();
        let found = rows(Tensor::<2>::from_data([[3.0, 4.0], [0.0, 2.0]], &device)).unwrap();
        assert_eq!(found[0].values(), [0.6, 0.8]);
        assert_eq!(found[1].values(), [0.0, 1.0]);
        let broken = Tensor::<2>::from_data([[1.0, 0.0], [f32::NAN, 0.0]], &device);
        assert_eq!(rows(broken), Err(VectorError::NoDirection(1)));
    }
}
