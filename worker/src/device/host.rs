//! What the system says of this machine: its CPU, its memory, its NVIDIA driver.

use std::path::Path;

/// The CPU's name and how many threads run at once.
pub(super) fn cpu_name() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or("CPU", |(_, name)| name.trim());
    format!("{name}, {threads} threads")
}

/// Memory of the machine; 0 where it does not say.
pub(crate) fn memory_bytes() -> u64 {
    bytes(Path::new("/proc/meminfo"), "MemTotal:").unwrap_or(0)
}

/// Memory that programs can still have; 0 where the system does not say.
pub(super) fn free_bytes() -> u64 {
    bytes(Path::new("/proc/meminfo"), "MemAvailable:").unwrap_or(0)
}

/// Memory that this process uses.
pub(crate) fn process_bytes() -> Option<u64> {
    bytes(Path::new("/proc/self/status"), "VmRSS:")
}

/// The most memory that this process has used, in bytes; `None` where the system does not say.
pub fn process_peak_bytes() -> Option<u64> {
    bytes(Path::new("/proc/self/status"), "VmHWM:")
}

/// The version of the loaded NVIDIA driver, where there is one.
pub(super) fn driver_version() -> Option<String> {
    driver_version_in(&std::fs::read_to_string("/proc/driver/nvidia/version").ok()?)
}

fn driver_version_in(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    line.split_whitespace().find(is_version).map(str::to_owned)
}

/// The bytes in a line such as `VmRSS:  1024 kB`.
fn bytes(file: &Path, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_found_in_what_its_module_says() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)\nGCC version: 12";
        assert_eq!(driver_version_in(open).as_deref(), Some("580.65.06"));
        let closed =
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023";
        assert_eq!(driver_version_in(closed).as_deref(), Some("535.104.05"));
        assert_eq!(driver_version_in("something else"), None);
    }
}
