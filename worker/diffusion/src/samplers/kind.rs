//! The samplers by name, and what can be wrong with a request for one.

use std::fmt;
use std::str::FromStr;

use crate::schedule::SchedulerConfigError;

/// The samplers that are implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SamplerKind {
    /// Denoising diffusion implicit models, eta 0 (`DDIMScheduler`).
    Ddim,
    /// Pseudo linear multi-step (`PNDMScheduler` with `skip_prk_steps`).
    Pndm,
    /// Euler's method over sigmas (`EulerDiscreteScheduler`).
    Euler,
    /// DPM-Solver++(2M), midpoint (`DPMSolverMultistepScheduler`).
    DpmPp,
}

impl SamplerKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ddim, Self::Pndm, Self::Euler, Self::DpmPp];

    /// The name of the reference library's class.
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::DpmPp => "DPMSolverMultistepScheduler",
        }
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ddim => "ddim",
            Self::Pndm => "pndm",
            Self::Euler => "euler",
            Self::DpmPp => "dpmpp",
        })
    }
}

impl FromStr for SamplerKind {
    type Err = SamplerError;

    fn from_str(name: &str) -> Result<Self, SamplerError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.to_string() == name)
            .ok_or_else(|| SamplerError::UnknownName { name: name.to_owned() })
    }
}

/// Why a sampler could not be made, resumed or read.
#[derive(Debug, thiserror::Error)]
pub enum SamplerError {
    /// No sampler has this name.
    #[error("there is no sampler {name:?}; choose ddim, pndm, euler or dpmpp")]
    UnknownName {
        /// The name as given.
        name: String,
    },
    /// Zero steps were asked for.
    #[error("a picture needs at least 1 step; 20 to 50 are usual")]
    NoSteps,
    /// More steps than timesteps.
    #[error(
        "{steps} steps are more than {kind} can take on a model trained with {train} timesteps; ask for fewer"
    )]
    TooManySteps {
        /// The sampler.
        kind: SamplerKind,
        /// The steps asked for.
        steps: usize,
        /// The model's timesteps.
        train: usize,
    },
    /// Every step is left out.
    #[error(
        "of {steps} steps {skipped} are left out, so that none is left; begin earlier, or take more steps"
    )]
    NothingLeft {
        /// The steps asked for.
        steps: usize,
        /// The calls to leave out.
        skipped: usize,
    },
    /// The model's file sets something that this sampler does not implement.
    #[error(
        "the model's scheduler configuration has {key} = {value}, which {kind} does not support \
         (supported: {supported}); choose another sampler or change the file"
    )]
    Unsupported {
        /// The sampler.
        kind: SamplerKind,
        /// The key.
        key: &'static str,
        /// Its value as written.
        value: String,
        /// What is supported.
        supported: &'static str,
    },
    /// A state that no walk of this sampler can have.
    #[error("the saved state does not belong to {kind} before call {next_call}; start this picture again")]
    State {
        /// The sampler.
        kind: SamplerKind,
        /// The call that the state says comes next.
        next_call: usize,
    },
    /// The device failed while a state was read.
    #[error("cannot read the sampler's state from the device: {0}")]
    Device(String),
    /// The model's schedule is unusable.
    #[error(transparent)]
    Config(#[from] SchedulerConfigError),
}
