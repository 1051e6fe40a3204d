//! `likeness devices`: what this build and this machine can compute on, and why not.

use clap::Args;
use likeness_worker::device::{CudaTrouble, Listed, Listing};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::Voice;

const EXAMPLES: &str = "Examples:\n  likeness devices\n  likeness devices -o json";

/// Options of `devices`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevicesArguments {}

/// What `devices` prints.
#[derive(Debug, Serialize)]
struct ListingView {
    devices: Vec<DeviceView>,
    /// The version of the NVIDIA driver's kernel module; `null` where none is loaded.
    driver: Option<String>,
    /// What NVRTC compiles to and where its headers are; `null` where it does not work.
    kernel_compiler: Option<String>,
    /// What stands in the way of using cards at all.
    troubles: Vec<String>,
}

#[derive(Debug, Serialize)]
struct DeviceView {
    device: String,
    name: String,
    memory_bytes: u64,
    free_bytes: u64,
    capability: Option<String>,
    usable: bool,
    /// Why it is not usable; empty where it is.
    reason: String,
}

impl From<&Listed> for DeviceView {
    fn from(listed: &Listed) -> Self {
        Self {
            device: listed.device.clone(),
            name: listed.name.clone(),
            memory_bytes: listed.memory_bytes,
            free_bytes: listed.free_bytes,
            capability: listed.capability.clone(),
            usable: listed.trouble.is_none(),
            reason: listed.trouble.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl From<&Listing> for ListingView {
    fn from(listing: &Listing) -> Self {
        let mut troubles: Vec<&CudaTrouble> =
            listing.no_cards.iter().chain(listing.kernel_compiler.as_ref().err()).collect();
        troubles.dedup();
        Self {
            devices: listing.devices.iter().map(DeviceView::from).collect(),
            driver: listing.driver.clone(),
            kernel_compiler: listing.kernel_compiler.as_ref().ok().cloned(),
            troubles: troubles.into_iter().map(ToString::to_string).collect(),
        }
    }
}

pub(crate) fn run(voice: Voice) -> anyhow::Result<Exit> {
    let listing = ListingView::from(&Listing::of_this_machine());
    voice.rows(
        &listing,
        &["DEVICE", "USABLE", "MEMORY", "FREE", "CAPABILITY", "NAME"],
        listing.devices.iter().map(|device| {
            vec![
                device.device.clone(),
                if device.usable { "yes" } else { "no" }.to_owned(),
                gib(device.memory_bytes),
                gib(device.free_bytes),
                device.capability.clone().unwrap_or_default(),
                device.name.clone(),
            ]
        }),
    )?;
    if let Some(driver) = &listing.driver {
        voice.say(format_args!("NVIDIA driver: {driver}"));
    }
    if let Some(compiler) = &listing.kernel_compiler {
        voice.say(format_args!("NVRTC: {compiler}"));
    }
    for device in listing.devices.iter().filter(|device| !device.usable) {
        voice.say(format_args!("{} cannot be used: {}", device.device, device.reason));
    }
    for trouble in &listing.troubles {
        voice.say(format_args!("NVIDIA cards: {trouble}"));
    }
    Ok(Exit::Ok)
}

fn gib(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_cannot_be_used_says_why() {
        let trouble = CudaTrouble::OldCard { name: "Tesla V100".to_owned(), capability: (7, 0) };
        let card = Listed {
            device: "cuda:0".to_owned(),
            name: "Tesla V100".to_owned(),
            memory_bytes: 16 << 30,
            free_bytes: 15 << 30,
            capability: Some("7.0".to_owned()),
            trouble: Some(trouble),
        };
        let view = DeviceView::from(&card);
        assert!(!view.usable && view.reason.contains("compute capability 7.0"), "{view:?}");
    }

    #[test]
    fn one_reason_is_said_once() {
        let listing = Listing {
            devices: vec![],
            driver: None,
            kernel_compiler: Err(CudaTrouble::NotBuilt),
            no_cards: Some(CudaTrouble::NotBuilt),
        };
        assert_eq!(ListingView::from(&listing).troubles.len(), 1);
    }
}
