//! The embedding of diffusion time.

use burn::tensor::{DType, FloatDType, Tensor, TensorData};

use super::{Taps, UNetConfig};
use crate::layers::{Linear, silu};
use crate::weights::{WeightError, Weights};

/// Sinusoids of the timestep, then linear, SiLU, linear (diffusers `Timesteps` and `TimestepEmbedding`).
#[derive(Debug, Clone)]
pub(crate) struct TimeEmbedding {
    /// `10000^(-i / (half - freq_shift))`, `[half]` in f32.
    frequencies: Vec<f32>,
    flip_sin_to_cos: bool,
    linear_1: Linear,
    linear_2: Linear,
}

impl TimeEmbedding {
    pub(crate) fn load(weights: &Weights<'_>, config: &UNetConfig) -> Result<Self, WeightError> {
        let (channels, width) = (config.time_channels(), config.time_width());
        let half = channels / 2;
        // The reference works the exponent out in f32. Its rounding, times a timestep of up to 1000, moves the
        // angle by up to 5e-5, more than everything that follows: so ours is rounded in the same places.
        let (period, count) = (-f64::ln(10000.0) as f32, (half as f64 - config.freq_shift) as f32);
        let frequency = |i: usize| f64::from(period * i as f32 / count).exp() as f32;
        Ok(Self {
            frequencies: (0..half).map(frequency).collect(),
            flip_sin_to_cos: config.flip_sin_to_cos,
            linear_1: Linear::load(&weights.at("linear_1"), channels, width)?,
            linear_2: Linear::load(&weights.at("linear_2"), width, width)?,
        })
    }

    /// `timesteps` `[batch]`, fractions allowed, to `[batch, time_width]` in `dtype`.
    pub(crate) fn forward(&self, timesteps: Tensor<1>, dtype: FloatDType, taps: &mut Taps) -> Tensor<2> {
        let device = timesteps.device();
        let half = self.frequencies.len();
        let frequencies = TensorData::new(self.frequencies.clone(), [1, half]);
        let frequencies = Tensor::<2>::from_data(frequencies, (&device, DType::F32));
        let angles = timesteps.cast(FloatDType::F32).unsqueeze_dim::<2>(1) * frequencies;
        let (cosines, sines) = (angles.clone().cos(), angles.sin());
        let waves = if self.flip_sin_to_cos { vec![cosines, sines] } else { vec![sines, cosines] };
        let waves = Tensor::cat(waves, 1);
        taps.see("time_proj", &waves);
        let embedding = self.linear_2.forward(silu(self.linear_1.forward(waves.cast(dtype))));
        taps.see("time_embedding", &embedding);
        embedding
    }
}
