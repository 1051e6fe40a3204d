//! The options of the simulated device (`[simulated]` in the worker's configuration).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The model that a simulated worker has unless it is told others.
const DEFAULT_MODEL: &str = "simulated";

/// How the simulated device behaves. Without meaning for a real one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedConfig {
    /// What a step takes; 0s = as fast as possible.
    #[serde(with = "humantime_serde")]
    pub step_time: Duration,
    /// The models that it claims to have, the default one first.
    pub models: Vec<String>,
    /// Whether a task may make it misbehave by the words in its prompt or start phrase. For fault tests.
    pub obey_faults: bool,
}

impl Default for SimulatedConfig {
    fn default() -> Self {
        Self {
            step_time: Duration::from_millis(2),
            models: vec![DEFAULT_MODEL.to_owned()],
            obey_faults: false,
        }
    }
}

/// A configuration that no device can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulatedConfigError {
    /// Nothing to offer.
    #[error("simulated.models is empty: name at least one, such as \"simulated\"")]
    NoModels,
    /// A step without end.
    #[error("simulated.step_time is {0:?}: give 0s to 1h")]
    StepTime(Duration),
}

impl SimulatedConfig {
    /// Refuses what cannot work.
    pub fn validate(&self) -> Result<(), SimulatedConfigError> {
        if self.models.is_empty() {
            return Err(SimulatedConfigError::NoModels);
        }
        if self.step_time > Duration::from_secs(3600) {
            return Err(SimulatedConfigError::StepTime(self.step_time));
        }
        Ok(())
    }
}
