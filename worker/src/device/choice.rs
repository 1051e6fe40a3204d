//! Which device a worker computes on, by the name in its configuration.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

/// Which device computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first NVIDIA card, where this build supports them and there is one; else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA card, by number.
    Cuda(u32),
    /// A stand-in that waits instead of computing, for load tests: see [`crate::simulated`].
    Simulated,
}

/// A device that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not the name of a device.
    #[error("device {0:?} is not known: use \"auto\", \"cpu\", \"cuda:0\" or, for load tests, \"simulated\"")]
    Unknown(String),
    /// The program was built without it.
    #[error(
        "device \"cuda:{0}\" is asked for, but this build of the worker has no CUDA support: use device = \"cpu\""
    )]
    NoCuda(u32),
    /// There is no such card.
    #[error(
        "device \"cuda:{number}\" is asked for, and {found} CUDA devices can be used here: {}",
        if *.found == 0 { "install the NVIDIA driver, or use device = \"cpu\"" } else { "choose a smaller number" }
    )]
    Absent {
        /// The card.
        number: u32,
        /// How many there are.
        found: usize,
    },
    /// No model can run on it.
    #[error("device \"simulated\" runs no models: leave [models] empty, or use device = \"cpu\"")]
    NoModels,
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            "simulated" => Ok(Self::Simulated),
            other => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Ok(Self::Cuda(number)),
                _ => Err(DeviceError::Unknown(other.to_owned())),
            },
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Simulated => f.write_str("simulated"),
        }
    }
}

impl DeviceChoice {
    /// The device and the type that models run in on it: bf16 on a card, f32 on the CPU.
    pub fn open(self) -> Result<(Device, FloatDType), DeviceError> {
        let cpu = || (Device::flex(), FloatDType::F32);
        match self {
            Self::Auto => Ok(cuda::card(0).unwrap_or_else(|_| cpu())),
            Self::Cpu => Ok(cpu()),
            Self::Cuda(number) => cuda::card(number),
            Self::Simulated => Err(DeviceError::NoModels),
        }
    }

    /// The device's name for reports.
    pub fn name(self) -> String {
        match self {
            Self::Auto if cuda::card(0).is_ok() => Self::Cuda(0).to_string(),
            Self::Auto => Self::Cpu.to_string(),
            chosen => chosen.to_string(),
        }
    }
}

/// NVIDIA cards, in a build that supports them.
#[cfg(feature = "cuda")]
mod cuda {
    use burn::tensor::{Device, DeviceType, FloatDType};

    use super::DeviceError;

    /// Asks the driver for its cards, which a missing driver answers with none: opening a missing card would panic, and
    /// only at the first operation.
    pub(super) fn card(number: u32) -> Result<(Device, FloatDType), DeviceError> {
        let cards = Device::enumerate(DeviceType::Cuda).into_vec();
        let found = cards.len();
        let card = cards.into_iter().nth(number as usize).ok_or(DeviceError::Absent { number, found })?;
        Ok((card, FloatDType::BF16))
    }
}

/// A build without them.
#[cfg(not(feature = "cuda"))]
mod cuda {
    use burn::tensor::{Device, FloatDType};

    use super::DeviceError;

    pub(super) fn card(number: u32) -> Result<(Device, FloatDType), DeviceError> {
        Err(DeviceError::NoCuda(number))
    }
}
