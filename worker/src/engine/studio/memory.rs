//! Memory of a device that is the CPU: the process's own, and what the machine or the container allows it.

use std::path::Path;

use crate::engine::machine::Memory;

/// What of the machine's memory the worker may take.
const SHARE: f64 = 0.9;

/// The process once its models are loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessMemory {
    base: u64,
    budget: u64,
}

impl ProcessMemory {
    /// As it is. `None` where the system does not tell: elsewhere than on Linux.
    pub(super) fn now() -> Option<Self> {
        let base = kilobytes(Path::new("/proc/self/status"), "VmRSS:")?;
        let machine = kilobytes(Path::new("/proc/meminfo"), "MemTotal:")?;
        let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let container = container.and_then(|limit| limit.trim().parse::<u64>().ok()).unwrap_or(u64::MAX);
        Some(Self { base, budget: (machine.min(container) as f64 * SHARE) as u64 })
    }

    /// The most that it has used so far.
    pub(super) fn usage(&self) -> Option<Memory> {
        let peak = kilobytes(Path::new("/proc/self/status"), "VmHWM:")?;
        Some(Memory { base: self.base, peak, budget: self.budget })
    }
}

/// The bytes in a line such as `VmRSS:  1024 kB`.
fn kilobytes(file: &Path, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
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
        assert!(after.peak >= before.base + (250 << 20), "{before:?} {after:?}");
        assert!(after.budget > before.base);
    }
}
