//! The model against the published libraries, on the small models of the reference folders.
//!
//! Limits are relative L2 errors over whole tensors; f32 arithmetic usually stays below 2e-5. With
//! `LIKENESS_REFERENCE` the tests read full folders instead of the repository's slimmed ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod clip;
mod folder;
mod refusals;
mod text_encoder;
mod tokenizer;
mod unet;
mod vae;

use burn::tensor::{Device, FloatDType};
use likeness_diffusion::weights::{WeightError, WeightFile, Weights};

/// The device under test: in a build with the feature `wgpu` a Vulkan card, or Mesa's stand-in for one, and the kernels for cards
/// with it.
fn device() -> Device {
    #[cfg(feature = "wgpu")]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(not(feature = "wgpu"))]
    Device::flex()
}

/// Reads one part of a model in f32 and sees to it that its file holds nothing else.
fn load<T>(
    path: std::path::PathBuf,
    build: impl FnOnce(&Weights<'_>) -> Result<T, WeightError>,
) -> Result<T, WeightError> {
    let device = device();
    let file = WeightFile::open(&path)?;
    let part = build(&Weights::new(&file, &device, FloatDType::F32))?;
    file.finish()?;
    Ok(part)
}
