//! What is known of an NVIDIA card and of what compiles its kernels.

use std::path::PathBuf;

use super::trouble::{CudaTrouble, LEAST_CAPABILITY};

/// A card, as the driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CardFacts {
    pub(super) name: String,
    /// Major and minor.
    pub(super) capability: (u32, u32),
    /// Bytes in all.
    pub(super) memory: u64,
    /// Bytes that nobody uses.
    pub(super) free: u64,
}

/// NVRTC with its headers, tried with a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KernelCompiler {
    /// The version of the language that it compiles to, such as `9.0` for CUDA 13.0.
    pub(super) ptx_version: String,
    /// Where its headers are.
    pub(super) headers: PathBuf,
}

impl CardFacts {
    /// Refuses a card that cannot do what models need.
    #[cfg_attr(not(any(test, feature = "cuda")), expect(dead_code, reason = "there are no cards"))]
    pub(super) fn check(&self) -> Result<(), CudaTrouble> {
        if self.capability < LEAST_CAPABILITY {
            return Err(CudaTrouble::OldCard { name: self.name.clone(), capability: self.capability });
        }
        Ok(())
    }

    /// What NVRTC calls its architecture.
    #[cfg_attr(not(any(test, feature = "cuda")), expect(dead_code, reason = "there are no cards"))]
    pub(super) fn architecture(&self) -> String {
        let (major, minor) = self.capability;
        // as cubecl asks for it: from Hopper on with the instructions of that generation alone
        format!("sm_{major}{minor}{}", if major >= 9 { "a" } else { "" })
    }

    /// What kernels and measurements of this card may be shared with: cards of the same name, with kernels of one language.
    pub(super) fn kernel_class(&self, compiler: &KernelCompiler) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.name.chars().map(letter).collect();
        let (major, minor) = self.capability;
        format!("{name}-sm{major}{minor}-ptx{}", compiler.ptx_version)
    }
}

/// Bytes for people.
pub(super) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str, capability: (u32, u32)) -> CardFacts {
        CardFacts { name: name.to_owned(), capability, memory: 80 << 30, free: 79 << 30 }
    }

    #[test]
    fn cards_from_ampere_on_are_taken() {
        assert!(card("Tesla T4", (7, 5)).check().is_err());
        for capability in [(8, 0), (8, 9), (9, 0), (12, 0)] {
            assert_eq!(card("x", capability).check(), Ok(()));
        }
    }

    #[test]
    fn kernels_are_shared_by_cards_of_a_kind_alone() {
        let compiler = KernelCompiler { ptx_version: "9.0".to_owned(), headers: "/cuda/include".into() };
        let hopper = card("NVIDIA H100 80GB HBM3", (9, 0));
        assert_eq!(hopper.architecture(), "sm_90a");
        assert_eq!(hopper.kernel_class(&compiler), "nvidia-h100-80gb-hbm3-sm90-ptx9.0");
        assert_eq!(card("x", (8, 9)).architecture(), "sm_89");
        let newer = KernelCompiler { ptx_version: "9.1".to_owned(), ..compiler.clone() };
        assert_ne!(hopper.kernel_class(&compiler), hopper.kernel_class(&newer));
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(gib(2_791_728_742), "2.6 GiB");
    }
}
