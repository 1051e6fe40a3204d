//! Why an NVIDIA card cannot be used, as a sentence that says what to do. Each goes on after "but".

use std::path::PathBuf;

/// The least compute capability: from it on the tensor cores multiply bf16, in which models run on a card.
pub const LEAST_CAPABILITY: (u32, u32) = (8, 0);
/// The oldest driver that serves CUDA 13, which this program is built for.
const OLDEST_DRIVER: &str = "580";

/// Why NVIDIA cards, or one of them, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CudaTrouble {
    /// The program was built without them.
    #[error("this build has no CUDA support: use device = \"cpu\", or build with --features cuda")]
    NotBuilt,
    /// The driver's library is not there.
    #[error(
        "there is no NVIDIA driver (libcuda.so.1 is not found): install driver {OLDEST_DRIVER} or newer, run a container with its \
         cards (docker run --gpus all), or use device = \"cpu\""
    )]
    NoDriver,
    /// The driver is there and lists no card.
    #[error(
        "the NVIDIA driver lists no card: see what nvidia-smi says, and what CUDA_VISIBLE_DEVICES leaves, or use device = \"cpu\""
    )]
    NoCards,
    /// There are cards, but not so many.
    #[error("only {found} can be used here, counted from 0: likeness devices lists them")]
    Absent {
        /// How many there are.
        found: u32,
    },
    /// The driver serves an older CUDA than the program or the kernel compiler speaks.
    #[error(
        "the NVIDIA driver is too old for CUDA 13 or for the installed NVRTC ({said}): install driver {OLDEST_DRIVER} or newer"
    )]
    OldDriver {
        /// What the driver says.
        said: String,
    },
    /// The driver says something else.
    #[error("the NVIDIA driver refuses it ({said}): see what nvidia-smi and dmesg say")]
    Driver {
        /// What it says.
        said: String,
    },
    /// A card without what models need.
    #[error(
        "{name} has compute capability {}.{}, and models run in bf16, which tensor cores multiply from {}.{} on (Ampere, 2020): use \
         a newer card, or device = \"cpu\"",
        .capability.0, .capability.1, LEAST_CAPABILITY.0, LEAST_CAPABILITY.1
    )]
    OldCard {
        /// The card's name.
        name: String,
        /// Major and minor.
        capability: (u32, u32),
    },
    /// The library that compiles kernels is not there.
    #[error(
        "NVRTC, which compiles kernels, is not found (libnvrtc.so): install the CUDA toolkit 13, or the PyPI package \
         nvidia-cuda-nvrtc and name its folder in LD_LIBRARY_PATH"
    )]
    NoCompiler,
    /// NVRTC is older than the card.
    #[error(
        "the installed NVRTC does not know {architecture}: install that of a newer CUDA toolkit ({said})"
    )]
    OldCompiler {
        /// Such as `sm_90a`.
        architecture: String,
        /// What it says.
        said: String,
    },
    /// The headers that kernels include are not there.
    #[error(
        "the CUDA header {header} is not found in {}: install the CUDA toolkit 13, or the PyPI packages nvidia-cuda-runtime, \
         nvidia-cuda-crt and nvidia-cuda-cccl, and name the folder that holds include/ in CUDA_PATH",
        .looked_in.as_ref().map_or_else(|| "/usr/local/cuda, and CUDA_PATH is not set".to_owned(), |path| path.display().to_string())
    )]
    NoHeaders {
        /// The first one that is missing.
        header: String,
        /// Where it should be; `None` = there is no such folder.
        looked_in: Option<PathBuf>,
    },
    /// NVRTC does not compile the simplest kernel.
    #[error(
        "NVRTC does not compile a kernel ({said}): its folder belongs in LD_LIBRARY_PATH, and its headers must be of the same CUDA \
         version"
    )]
    Compiler {
        /// What it says.
        said: String,
    },
}

impl CudaTrouble {
    /// What a call of the driver's said, be it an error's name or the panic of whoever loads its library.
    #[cfg_attr(not(any(test, feature = "cuda")), expect(dead_code, reason = "nobody asks the driver"))]
    pub(super) fn of_driver(said: &str) -> Self {
        const OLD: [&str; 5] = [
            "Missing symbol",
            "INSUFFICIENT_DRIVER",
            "UNSUPPORTED_PTX_VERSION",
            "SYSTEM_DRIVER_MISMATCH",
            "COMPAT_NOT_SUPPORTED",
        ];
        let said = said.to_owned();
        if said.contains("Unable to dynamically load") || said.contains("STUB_LIBRARY") {
            Self::NoDriver
        } else if said.contains("CUDA_ERROR_NO_DEVICE") {
            Self::NoCards
        } else if OLD.iter().any(|word| said.contains(word)) {
            Self::OldDriver { said }
        } else {
            Self::Driver { said }
        }
    }

    /// What NVRTC said of the kernel that tries it, for this architecture and these headers.
    #[cfg_attr(not(any(test, feature = "cuda")), expect(dead_code, reason = "nobody asks NVRTC"))]
    pub(super) fn of_compiler(said: &str, architecture: &str, headers: PathBuf) -> Self {
        const MISSING: &str = "open source file \"";
        let short: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect();
        if said.contains("Unable to dynamically load") {
            return Self::NoCompiler;
        }
        if let Some((_, rest)) = said.split_once(MISSING)
            && let Some((header, _)) = rest.split_once('"')
        {
            return Self::NoHeaders { header: header.to_owned(), looked_in: Some(headers) };
        }
        if said.contains("gpu-architecture") {
            return Self::OldCompiler { architecture: architecture.to_owned(), said: short };
        }
        Self::Compiler { said: short }
    }

    /// Whether there is simply nothing: no driver, no card, no support for them.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::NotBuilt | Self::NoDriver | Self::NoCards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_says_becomes_a_sentence() {
        for (said, word) in [
            (
                "Unable to dynamically load the \"cuda\" shared library - searched for library names: [..]",
                "there is no NVIDIA driver",
            ),
            ("DriverError(CUDA_ERROR_STUB_LIBRARY, \"..\")", "there is no NVIDIA driver"),
            ("DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")", "lists no card"),
            ("Missing symbol cuCtxCreate_v4: undefined symbol", "too old"),
            ("DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \"..\")", "too old"),
            ("DriverError(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, \"..\")", "too old"),
            ("DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, \"..\")", "ECC_UNCORRECTABLE"),
        ] {
            let sentence = CudaTrouble::of_driver(said).to_string();
            assert!(sentence.contains(word), "{said}: {sentence}");
        }
    }

    #[test]
    fn what_nvrtc_says_becomes_a_sentence() {
        let of = |said| CudaTrouble::of_compiler(said, "sm_90a", "/cuda/include".into()).to_string();
        let missing =
            of("default_program(1): catastrophic error: cannot open source file \"cuda_fp16.h\"\n  #include");
        assert!(missing.contains("cuda_fp16.h is not found in /cuda/include"), "{missing}");
        assert!(missing.contains("CUDA_PATH"), "{missing}");
        let none = of("Unable to dynamically load the \"nvrtc\" shared library - searched for ..");
        assert!(none.contains("libnvrtc.so") && none.contains("LD_LIBRARY_PATH"), "{none}");
        let old = of("nvrtc: error: invalid value for --gpu-architecture (-arch)");
        assert!(old.contains("does not know sm_90a"), "{old}");
        assert!(of("error: expected a \";\"").contains("expected a"));
    }

    #[test]
    fn an_old_card_is_told_what_it_lacks() {
        let old = CudaTrouble::OldCard { name: "Tesla V100".to_owned(), capability: (7, 0) }.to_string();
        assert!(old.contains("Tesla V100 has compute capability 7.0") && old.contains("8.0"), "{old}");
    }
}
