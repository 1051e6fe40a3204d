//! NVIDIA cards in a build that does not support them: there are none.

use std::path::Path;

use burn::tensor::Device;

use super::card::{CardFacts, KernelCompiler};
use super::trouble::CudaTrouble;

pub(super) fn count() -> Result<u32, CudaTrouble> {
    Err(CudaTrouble::NotBuilt)
}

pub(super) fn facts(_: u32) -> Result<CardFacts, CudaTrouble> {
    Err(CudaTrouble::NotBuilt)
}

pub(super) fn check(_: u32) -> Result<(CardFacts, KernelCompiler), CudaTrouble> {
    Err(CudaTrouble::NotBuilt)
}

pub(super) fn kernel_compiler() -> Result<KernelCompiler, CudaTrouble> {
    Err(CudaTrouble::NotBuilt)
}

pub(super) fn open(_: u32) -> Result<Device, CudaTrouble> {
    Err(CudaTrouble::NotBuilt)
}

pub(super) fn keep_kernels(_: Option<&Path>, _: &str) -> bool {
    false
}
