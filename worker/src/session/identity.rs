//! Who this worker is: what `Hello` says.

use std::time::Duration;

use likeness_shared::ids::{Incarnation, WorkerId};
use likeness_shared::proto::{DeviceFacts, HeldLease, Hello, ModelFacts, PROTOCOL_RANGE};

use crate::config::WorkerConfig;
use crate::device::{DeviceChoice, ModelInventory, card_memory, memory_bytes};

/// What stays the same over reconnects.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) worker_id: String,
    incarnation: String,
    device: DeviceFacts,
    models: Vec<ModelFacts>,
    slots: u32,
}

impl Identity {
    /// `models` has the default model first.
    pub(super) fn new(config: &WorkerConfig, models: &[ModelInventory]) -> Self {
        let fact = |(index, model): (usize, &ModelInventory)| ModelFacts {
            name: model.name.clone(),
            digest: model.digest.clone(),
            is_default: index == 0,
        };
        let worker_id =
            if config.worker_id.is_empty() { default_worker_id() } else { config.worker_id.clone() };
        Self {
            worker_id,
            incarnation: Incarnation::generate().to_string(),
            device: device_facts(config),
            models: models.iter().enumerate().map(fact).collect(),
            slots: config.slots,
        }
    }

    /// Of the device, in bytes; 0 = unknown.
    pub(super) fn device_memory(&self) -> u64 {
        self.device.memory_bytes
    }

    /// The greeting of a worker that holds these leases.
    pub(super) fn hello(&self, held: Vec<HeldLease>) -> Hello {
        Hello {
            worker_id: self.worker_id.clone(),
            incarnation: self.incarnation.clone(),
            protocol_min: *PROTOCOL_RANGE.start(),
            protocol_max: *PROTOCOL_RANGE.end(),
            build: format!("likeness-worker {}", env!("CARGO_PKG_VERSION")),
            device: Some(self.device.clone()),
            models: self.models.clone(),
            held,
            slots: self.slots,
        }
    }
}

/// Host name and random letters; random alone where the host has no usable name.
pub(crate) fn default_worker_id() -> String {
    let random = WorkerId::generate().to_string();
    let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") else { return random };
    let letters = random.get(random.len().saturating_sub(8)..).unwrap_or(&random);
    let id = format!("{}-{letters}", host.trim());
    if id.parse::<WorkerId>().is_ok() { id } else { random }
}

/// The device's name and memory: the card's own, else the machine's.
fn device_facts(config: &WorkerConfig) -> DeviceFacts {
    let Ok(device) = config.device.single() else { return DeviceFacts::default() };
    let memory_bytes = match device.settled() {
        DeviceChoice::Cuda(number) => card_memory(number).map_or(0, |(_, all)| all),
        _ => memory_bytes(),
    };
    DeviceFacts { name: device.name(), memory_bytes }
}

/// The protocol's duration, where it is one and not zero.
pub(super) fn duration(given: Option<prost_types::Duration>) -> Option<Duration> {
    given.and_then(|given| Duration::try_from(given).ok()).filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_a_name_gets_one_that_is_valid_and_its_own() {
        let (first, second) = (default_worker_id(), default_worker_id());
        assert!(first.parse::<WorkerId>().is_ok(), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn the_first_model_is_the_default() {
        let models = ["b", "a"].map(|name| ModelInventory { name: name.to_owned(), digest: "0".to_owned() });
        let hello = Identity::new(&WorkerConfig::default(), &models).hello(vec![]);
        let defaults: Vec<bool> = hello.models.iter().map(|model| model.is_default).collect();
        assert_eq!(defaults, [true, false]);
        assert_eq!(hello.models[0].name, "b");
    }
}
