//! What a device calls itself.

use burn::tensor::Device;

/// The name of the card, or of the processor where the device is the CPU; `unknown` where the system does not tell.
#[must_use]
pub fn name(device: &Device) -> String {
    card(device).or_else(processor).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(feature = "cuda")]
fn card(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(feature = "cuda"))]
fn card(_: &Device) -> Option<String> {
    None
}

/// From Linux's `model name : AMD EPYC`.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty())
}
