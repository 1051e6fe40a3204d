//! Memory of the device that the models are on: a card's, or the process's own where that is the CPU. What the machine, the container
//! or other programs leave of it is the budget.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Device;

use crate::device::{card_memory, memory_bytes, process_bytes, process_peak_bytes};
use crate::engine::machine::Memory;

/// What of the machine's memory the worker may take.
const SHARE: f64 = 0.9;
/// What of a card's memory is left free: kernels and the driver need some that nobody counts.
const CARD_MARGIN: f64 = 0.05;
/// Between two times that a card's pools give back what they hold: new pages cost time.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// The memory that models and passes are in.
pub(super) enum DeviceMemory {
    /// The process's.
    Process(ProcessMemory),
    /// A card's.
    Card(CardMemory),
    /// Nobody tells.
    Unknown,
}

impl DeviceMemory {
    /// The most that has been used so far.
    pub(super) fn usage(&self) -> Option<Memory> {
        match self {
            Self::Process(memory) => memory.usage(),
            Self::Card(memory) => memory.usage(),
            Self::Unknown => None,
        }
    }

    /// Gives back what is held for later, where it is time to.
    pub(super) fn tidy(&self) {
        if let Self::Card(memory) = self {
            memory.tidy();
        }
    }

    /// Gives back what is held for later: there was too little.
    pub(super) fn reclaim(&self) {
        if let Self::Card(memory) = self {
            memory.device.memory_cleanup();
        }
    }
}

/// The process once its models are loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessMemory {
    base: u64,
    budget: u64,
}

impl ProcessMemory {
    /// As it is. `None` where the system does not tell: elsewhere than on Linux.
    pub(super) fn now() -> Option<Self> {
        let base = process_bytes()?;
        let machine = Some(memory_bytes()).filter(|bytes| *bytes > 0)?;
        let container = std::fs::read_to_string(Path::new("/sys/fs/cgroup/memory.max")).ok();
        let container = container.and_then(|limit| limit.trim().parse::<u64>().ok()).unwrap_or(u64::MAX);
        Some(Self { base, budget: (machine.min(container) as f64 * SHARE) as u64 })
    }

    /// The most that it has used so far.
    pub(super) fn usage(&self) -> Option<Memory> {
        Some(Memory { base: self.base, peak: process_peak_bytes()?, budget: self.budget })
    }
}

/// A card once the models are loaded. burn keeps pools of its memory: what is in use is part of what they hold, and what they hold after
/// a pass is what the pass needed.
pub(super) struct CardMemory {
    number: u32,
    device: Device,
    base: u64,
    tidied: Mutex<Instant>,
}

impl CardMemory {
    /// As it is. `None` where burn does not tell.
    pub(super) fn now(number: u32, device: &Device) -> Option<Self> {
        let base = device.memory_pool_usage()?.bytes_in_use;
        Some(Self { number, device: device.clone(), base, tidied: Mutex::new(Instant::now()) })
    }

    fn usage(&self) -> Option<Memory> {
        let held = self.device.memory_pool_usage()?.bytes_reserved;
        let (free, all) = card_memory(self.number)?;
        Some(of_card(self.base, held, free, all))
    }

    fn tidy(&self) {
        let mut tidied = self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        if tidied.elapsed() < TIDY_INTERVAL {
            return;
        }
        *tidied = Instant::now();
        let before = self.device.memory_pool_usage();
        self.device.memory_cleanup();
        if let (Some(before), Some(after)) = (before, self.device.memory_pool_usage()) {
            let (before, after) = (before.bytes_reserved, after.bytes_reserved);
            tracing::debug!(before, after, in_models = self.base, "memory of the card was tidied, in bytes");
        }
    }
}

/// What burn's pools hold now is the peak: they do not shrink by themselves. To it comes what is free.
fn of_card(base: u64, held: u64, free: u64, all: u64) -> Memory {
    let margin = (all as f64 * CARD_MARGIN) as u64;
    Memory { base, peak: held.max(base), budget: (held + free).saturating_sub(margin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_and_used_shows() {
        let memory = ProcessMemory::now().unwrap();
        let before = memory.usage().unwrap();
        let used = vec![1_u8; 256 << 20];
        let after = memory.usage().unwrap();
        assert!(used.iter().step_by(4096).all(|byte| *byte == 1));
        // half of it: other tests of the process give theirs back meanwhile
        assert!(after.peak >= before.base + (128 << 20), "{before:?} {after:?}");
        assert!(after.budget > before.base);
    }

    #[test]
    fn a_cards_budget_is_what_is_held_and_what_is_free() {
        let gib = |n: u64| n << 30;
        let memory = of_card(gib(3), gib(10), gib(60), gib(80));
        assert_eq!(memory, Memory { base: gib(3), peak: gib(10), budget: gib(66) });
        // somebody else has the card's memory: there is less to grow into
        assert_eq!(of_card(gib(3), gib(10), gib(1), gib(80)).budget, gib(7));
        assert_eq!(of_card(gib(3), 0, gib(1), gib(80)).peak, gib(3));
    }

    #[test]
    fn the_cpu_has_no_pools() {
        assert!(CardMemory::now(0, &Device::flex()).is_none());
    }
}
