//! How the numbers that are compared were rounded: by the device and the type that the model runs in.

use std::fmt;

use burn::tensor::FloatDType;
use clap::ValueEnum;
use likeness_worker::device::DeviceChoice;
use serde::{Deserialize, Serialize};

use super::limits::Limits;

/// The type of the model's weights and of what flows between its layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dtype {
    /// Single precision. A card's matrix units read its operands as TF32.
    F32,
    /// Bfloat16, which models run in on a card.
    Bf16,
}

impl Dtype {
    pub(crate) fn of_model(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
        }
    }
}

/// What rounds. [`Limits`] has the limits of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arithmetic {
    /// f32 throughout: 24 bits.
    F32,
    /// f32 between the layers, 11 bits for what goes into a matrix product or a convolution.
    Tf32,
    /// Everything in 8 bits, sums within a product aside.
    Bf16,
}

impl Arithmetic {
    /// What rounds in a model of `dtype` on a device.
    pub(crate) fn new(dtype: Dtype, device: DeviceChoice) -> Self {
        match (dtype, device.settled()) {
            (Dtype::Bf16, _) => Self::Bf16,
            (Dtype::F32, DeviceChoice::Cuda(_)) => Self::Tf32,
            (Dtype::F32, _) => Self::F32,
        }
    }

    pub(crate) fn limits(self) -> &'static Limits {
        match self {
            Self::F32 => &Limits::F32,
            Self::Tf32 => &Limits::TF32,
            Self::Bf16 => &Limits::BF16,
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "TF32",
            Self::Bf16 => "bf16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f32_is_coarse_on_a_card_alone_and_bf16_is_everywhere() {
        assert_eq!(Arithmetic::new(Dtype::F32, DeviceChoice::Cpu), Arithmetic::F32);
        assert_eq!(Arithmetic::new(Dtype::F32, DeviceChoice::Cuda(1)), Arithmetic::Tf32);
        for device in [DeviceChoice::Cpu, DeviceChoice::Cuda(0)] {
            assert_eq!(Arithmetic::new(Dtype::Bf16, device), Arithmetic::Bf16);
        }
    }
}
