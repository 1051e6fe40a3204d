//! Which device a worker computes on, by the name in its configuration.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

use super::card::gib;
use super::cuda;
use super::trouble::CudaTrouble;

/// Which device computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first NVIDIA card, where this build supports them and it can be used; else the CPU.
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
    #[error(
        "device {0:?} is not known: use \"auto\", \"cpu\", \"cuda:0\", \"cuda:all\", several separated by commas or, for load tests, \
         \"simulated\""
    )]
    Unknown(String),
    /// A card that cannot be used.
    #[error("device \"cuda:{number}\" is asked for, but {trouble}")]
    Cuda {
        /// Which one.
        number: u32,
        /// Why.
        trouble: CudaTrouble,
    },
    /// There is no card at all.
    #[error("device \"cuda:all\" is asked for, but {0}")]
    NoCards(CudaTrouble),
    /// The same card twice.
    #[error("device \"cuda:{0}\" is asked for twice: name each card once")]
    Twice(u32),
    /// Several devices for one process.
    #[error(
        "{0} devices are asked for, and this process computes on one: start likeness-worker with them, or choose one"
    )]
    Several(usize),
    /// No room for the models.
    #[error(
        "the models need {} of memory and {} to work in, and device \"{device}\" has {} of {} free: end what else runs on it \
         (nvidia-smi lists it), serve fewer models, or use a larger card",
        gib(*.models), gib(*.work), gib(*.free), gib(*.memory)
    )]
    NoRoom {
        /// The device.
        device: String,
        /// Bytes of the models' weights on it.
        models: u64,
        /// Bytes for the least pass.
        work: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes in all.
        memory: u64,
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
    /// The device and the type that models run in on it: bf16 on a card, f32 on the CPU. A card is tried first, down to a kernel.
    ///
    /// # Errors
    /// [`DeviceError`] with what to do about it. Nothing panics where there is no card, driver or compiler.
    pub fn open(self) -> Result<(Device, FloatDType), DeviceError> {
        match self.settled() {
            Self::Cuda(number) => {
                let card = cuda::open(number).map_err(|trouble| DeviceError::Cuda { number, trouble })?;
                Ok((card, FloatDType::BF16))
            }
            Self::Simulated => Err(DeviceError::NoModels),
            Self::Auto | Self::Cpu => Ok((Device::flex(), FloatDType::F32)),
        }
    }

    /// Whether there is such a device, without trying what it needs.
    ///
    /// # Errors
    /// As [`DeviceChoice::open`].
    pub fn check_presence(self) -> Result<(), DeviceError> {
        let Self::Cuda(number) = self else { return Ok(()) };
        let found = cuda::count().map_err(|trouble| DeviceError::Cuda { number, trouble })?;
        if number >= found {
            return Err(DeviceError::Cuda { number, trouble: CudaTrouble::Absent { found } });
        }
        Ok(())
    }

    /// The same for [`DeviceChoice::Auto`] everywhere in this process: it is tried once what it stands for.
    #[must_use]
    pub fn settled(self) -> Self {
        static AUTO: OnceLock<DeviceChoice> = OnceLock::new();
        if self != Self::Auto {
            return self;
        }
        *AUTO.get_or_init(|| match cuda::check(0) {
            Ok(_) => Self::Cuda(0),
            Err(trouble) => {
                if trouble.is_absence() {
                    tracing::debug!(%trouble, "no card is used");
                } else {
                    tracing::warn!(%trouble, "the card is not used, the CPU computes");
                }
                Self::Cpu
            }
        })
    }

    /// The device's name for reports, such as `cpu` or `cuda:0 NVIDIA H100 80GB HBM3`.
    #[must_use]
    pub fn name(self) -> String {
        match self.settled() {
            Self::Cuda(number) => match cuda::facts(number) {
                Ok(card) => format!("cuda:{number} {}", card.name),
                Err(_) => format!("cuda:{number}"),
            },
            other => other.to_string(),
        }
    }
}
