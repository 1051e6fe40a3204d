//! What this build can compute on in this machine, or why it cannot: for people who set up a worker.

use super::card::{CardFacts, KernelCompiler};
use super::cuda;
use super::host;
use super::trouble::CudaTrouble;

/// What there is to compute on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The CPU first, then the cards by number.
    pub devices: Vec<Listed>,
    /// The version of the NVIDIA driver's kernel module, where one is loaded.
    pub driver: Option<String>,
    /// NVRTC: the version of the language that it compiles to and the folder of its headers, or what is wrong with it.
    pub kernel_compiler: Result<String, CudaTrouble>,
    /// Why there are no cards, where there are none.
    pub no_cards: Option<CudaTrouble>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As a configuration names it.
    pub device: String,
    /// The maker's name for it.
    pub name: String,
    /// Bytes of memory in all; 0 = unknown.
    pub memory_bytes: u64,
    /// Bytes of it that are free; 0 = unknown.
    pub free_bytes: u64,
    /// A card's compute capability, such as `9.0`.
    pub capability: Option<String>,
    /// Why it cannot be used, where it cannot.
    pub trouble: Option<CudaTrouble>,
}

impl Listing {
    /// Asks the system and the driver, and tries each card down to a kernel. Holds no card afterwards.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let (cards, no_cards) = match cuda::count() {
            Ok(count) => (count, None),
            Err(trouble) => (0, Some(trouble)),
        };
        let mut devices = vec![cpu()];
        devices.extend((0..cards).map(card));
        let compiler = |KernelCompiler { ptx_version, headers }: KernelCompiler| {
            format!("PTX {ptx_version}, headers in {}", headers.display())
        };
        Self {
            devices,
            driver: host::driver_version(),
            kernel_compiler: cuda::kernel_compiler().map(compiler),
            no_cards,
        }
    }
}

fn cpu() -> Listed {
    Listed {
        device: "cpu".to_owned(),
        name: host::cpu_name(),
        memory_bytes: host::memory_bytes(),
        free_bytes: host::free_bytes(),
        capability: None,
        trouble: None,
    }
}

fn card(number: u32) -> Listed {
    let unknown = CardFacts { name: "unknown".to_owned(), capability: (0, 0), memory: 0, free: 0 };
    // a card that does not work may still tell what it is
    let (facts, trouble) = match cuda::check(number) {
        Ok((facts, _)) => (facts, None),
        Err(trouble) => (cuda::facts(number).unwrap_or(unknown), Some(trouble)),
    };
    let (major, minor) = facts.capability;
    Listed {
        device: format!("cuda:{number}"),
        name: facts.name,
        memory_bytes: facts.memory,
        free_bytes: facts.free,
        capability: (major > 0).then(|| format!("{major}.{minor}")),
        trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_cards_or_the_lack_of_them_are_explained() {
        let listing = Listing::of_this_machine();
        let cpu = &listing.devices[0];
        assert_eq!((cpu.device.as_str(), &cpu.trouble), ("cpu", &None));
        assert!(cpu.memory_bytes > cpu.free_bytes && cpu.free_bytes > 0);
        assert_eq!(listing.devices.len() == 1, listing.no_cards.is_some());
        if cfg!(not(feature = "cuda")) {
            assert_eq!(listing.no_cards, Some(CudaTrouble::NotBuilt));
        }
    }
}
