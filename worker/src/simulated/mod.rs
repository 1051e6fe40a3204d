//! A device that waits instead of computing: for load tests of a fleet, and for nothing else.
//!
//! It takes the same orders as a real device and obeys the same commands; only a pass is a pause
//! ([`SimulatedConfig::step_time`]) and a digest for each task in it. What it makes is small but real: pictures are PNG files, learned
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
use crate::engine::{Fault, Machine, Order, PassError, Stage, Stepped};
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
    type Machine = Self;

    fn load(&self) -> Result<(Self, Vec<ModelInventory>), LoadError> {
        let model = |name: &String| ModelInventory { name: name.clone(), digest: MODEL_DIGEST.to_owned() };
        let inventory = self.config.models.iter().map(model).collect();
        tracing::warn!(step_time = ?self.config.step_time, "device is simulated: results mean nothing");
        Ok((self.clone(), inventory))
    }
}

impl Machine for SimulatedDevice {
    type Job<'m> = SimulatedJob;

    fn open(&self, order: Order) -> Result<SimulatedJob, Fault> {
        SimulatedJob::open(&self.config, order)
    }

    /// One pause for all of them, as on a device with room enough; troubles strike first.
    fn pass(&self, _: Stage, jobs: &mut [&mut SimulatedJob], _: u32) -> Result<Vec<Stepped>, PassError> {
        let struck: Vec<Result<(), Fault>> = jobs.iter().map(|job| job.strike()).collect();
        if !self.config.step_time.is_zero() {
            std::thread::sleep(self.config.step_time);
        }
        let step = |(job, struck): (&mut &mut SimulatedJob, Result<(), Fault>)| {
            struck?;
            job.step()
        };
        Ok(jobs.iter_mut().zip(struck).map(step).collect())
    }
}
