//! What a sampler remembers between two calls, as plain data.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::SamplerError;

/// A sampler between two calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplerState {
    /// Calls that the walk left out at its start.
    #[serde(default)]
    pub skipped: usize,
    /// The call that comes next.
    pub next_call: usize,
    /// Earlier outputs that the formula looks back on, oldest first: none for DDIM and Euler, up to one
    /// for DPM-Solver++, up to three for PNDM.
    pub outputs: Vec<StoredTensor>,
    /// PNDM's latents of its first call, between the first call and the second.
    pub held_latents: Option<StoredTensor>,
}

/// A tensor of four dimensions in f32, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredTensor {
    /// [B, C, h, w].
    pub shape: [usize; 4],
    /// The values.
    pub values: Vec<f32>,
}

impl StoredTensor {
    /// Reads a tensor back from its device.
    ///
    /// # Errors
    /// [`SamplerError::Device`] where the device fails.
    pub fn read(tensor: &Tensor<4>) -> Result<Self, SamplerError> {
        let data = tensor.clone().try_into_data().map_err(|error| SamplerError::Device(error.to_string()))?;
        let values =
            data.convert::<f32>().try_to_vec().map_err(|error| SamplerError::Device(format!("{error:?}")))?;
        Ok(Self { shape: tensor.dims(), values })
    }

    /// Puts the tensor on a device in f32; `None` where shape and values do not fit together.
    pub fn load(&self, device: &Device) -> Option<Tensor<4>> {
        let count = self.shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side))?;
        (count == self.values.len())
            .then(|| Tensor::from_data(TensorData::new(self.values.clone(), self.shape), device))
    }
}
