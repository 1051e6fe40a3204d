//! Names of what is measured. Dashboards know them, so they stay.

/// Smoothed training loss of a task.
pub const LOSS: &str = "loss";
/// Mean |v| / |v0| over the vectors that a task learns.
pub const NORM_RATIO: &str = "norm_ratio";
/// Steps of a task a second.
pub const STEPS_PER_SECOND: &str = "steps_per_second";

/// Share of a worker's slots that are taken, 0 to 1.
pub const BUSY_SHARE: &str = "busy_share";
/// Tasks that a worker holds, with those of which only the outcome is on the way.
pub const TASKS_HELD: &str = "tasks_held";
/// Memory of a worker's device, in bytes.
pub const DEVICE_MEMORY_BYTES: &str = "device_memory_bytes";
/// What of it is in use: on a card by anybody, on the CPU by the worker.
pub const DEVICE_MEMORY_USED_BYTES: &str = "device_memory_used_bytes";
