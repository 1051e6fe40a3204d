//! The memory that a piece of work takes.
//!
//! On a card: what the pools of the device hold, which are emptied of what nothing lives in before the work, and which keep
//! their pages while it goes on; looked at after each repeat, for the pools tell of no peak between. On the CPU: the most that
//! the process ever had since the work began, as Linux tells it.

use std::fs;

use burn::tensor::Device;
use likeness_worker::device::process_peak_bytes;

/// Memory from one moment on.
pub(super) struct Gauge {
    of_pools: Option<u64>,
}

impl Gauge {
    /// From now on.
    pub(super) fn begin(device: &Device) -> Self {
        device.memory_cleanup();
        let gauge = Self { of_pools: reserved(device) };
        if gauge.of_pools.is_none() {
            // the peak of the process counts from its present size on; a system that refuses keeps the old one
            let _ = fs::write("/proc/self/clear_refs", "5");
        }
        gauge
    }

    /// Takes note of what the device holds.
    pub(super) fn look(&mut self, device: &Device) {
        if self.of_pools.is_some() {
            self.of_pools = self.of_pools.max(reserved(device));
        }
    }

    /// The most bytes so far; `None` where nothing tells.
    pub(super) fn peak(&self) -> Option<u64> {
        self.of_pools.or_else(process_peak_bytes)
    }
}

fn reserved(device: &Device) -> Option<u64> {
    device.memory_pool_usage().map(|usage| usage.bytes_reserved)
}
