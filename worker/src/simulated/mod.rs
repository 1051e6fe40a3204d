//! A device that waits instead of computing: for load tests of a fleet, and for nothing else.
//!
//! It takes the same orders as a real device and obeys the same commands; only the work between them is a pause
//! ([`SimulatedConfig::step_time`]) and a digest. What it makes is small but real: pictures are PNG files, learned
//! people are person files, and both go the way of all results. A learned person depends on every step before it, so
//! a step that was lost or made twice shows in the file.
//!
//! Where the configuration allows it ([`SimulatedConfig::obey_faults`]), a task can make the device misbehave: see
//! [`Trouble`](trouble::Trouble).

mod artifacts;
mod config;
mod job;
mod state;
#[cfg(test)]
mod tests;
mod trouble;

pub use config::{SimulatedConfig, SimulatedConfigError};

use crate::device::{DeviceProgram, LoadError, ModelInventory};
use crate::engine::{Fault, Job, JobOpener, Order};
use job::SimulatedJob;

/// Stands for the digest of a model's files: a simulated model has none.
const MODEL_DIGEST: &str = "51d0000000000000000000000000000000000000000000000000000000000000";

/// The program of the simulated device.
#[derive(Clone, Debug)]
pub struct SimulatedDevice {
    config: SimulatedConfig,
}

impl SimulatedDevice {
    /// A device of this configuration.
    #[must_use]
    pub fn new(config: SimulatedConfig) -> Self {
        Self { config }
    }
}

impl DeviceProgram for SimulatedDevice {
    type Opener = Self;

    fn load(&self) -> Result<(Self, Vec<ModelInventory>), LoadError> {
        let model = |name: &String| ModelInventory { name: name.clone(), digest: MODEL_DIGEST.to_owned() };
        let inventory = self.config.models.iter().map(model).collect();
        tracing::warn!(step_time = ?self.config.step_time, "device is simulated: results mean nothing");
        Ok((self.clone(), inventory))
    }
}

impl JobOpener for SimulatedDevice {
    fn open<'m>(&'m self, order: Order) -> Result<Box<dyn Job + 'm>, Fault> {
        Ok(Box::new(SimulatedJob::open(&self.config, order)?))
    }
}
