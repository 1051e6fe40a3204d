//! NVIDIA cards: the driver and the kernel compiler are asked, and tried, before burn meets them, because burn panics where
//! they are missing, at the first kernel and on a thread of its own.
//!
//! The driver's and NVRTC's libraries are loaded when they are first called, which panics where there are none. That is caught.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use cubecl::config::cache::CacheConfig;
use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use cudarc::driver::{CudaContext, DriverError};
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};

use super::card::{CardFacts, KernelCompiler};
use super::trouble::CudaTrouble;
use crate::panics::quietly;

/// Includes what burn's kernels include. The large ones are looked for and not read.
const TRIAL: &str = "\
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <mma.h>
#if !__has_include(<cooperative_groups.h>)
#include <cooperative_groups.h>
#endif
#if !__has_include(<cuda/barrier>)
#include <cuda/barrier>
#endif
extern \"C\" __global__ void trial(float *x) { *x = __bfloat162float(__float2bfloat16(*x)); }
";

/// An architecture that every NVRTC of today knows.
const USUAL_ARCHITECTURE: &str = "sm_80";

/// How many cards there are; at least one.
pub(super) fn count() -> Result<u32, CudaTrouble> {
    let count = driver(CudaContext::device_count)?;
    u32::try_from(count).ok().filter(|count| *count > 0).ok_or(CudaTrouble::NoCards)
}

/// What the driver says of a card.
pub(super) fn facts(number: u32) -> Result<CardFacts, CudaTrouble> {
    let context = context(number)?;
    driver(|| {
        let (major, minor) = context.compute_capability()?;
        let (free, memory) = context.mem_get_info()?;
        let capability = (major.unsigned_abs(), minor.unsigned_abs());
        Ok(CardFacts { name: context.name()?, capability, memory: memory as u64, free: free as u64 })
    })
}

/// Tries everything that a card needs, down to a kernel that it loads.
pub(super) fn check(number: u32) -> Result<(CardFacts, KernelCompiler), CudaTrouble> {
    let facts = facts(number)?;
    facts.check()?;
    let (compiler, kernel) = compile(&facts.architecture())?;
    let context = context(number)?;
    driver(|| context.load_module(kernel))?;
    Ok((facts, compiler))
}

/// Tries NVRTC and its headers, without a card.
pub(super) fn kernel_compiler() -> Result<KernelCompiler, CudaTrouble> {
    compile(USUAL_ARCHITECTURE).map(|(compiler, _)| compiler)
}

/// A card that has been checked.
pub(super) fn open(number: u32) -> Result<Device, CudaTrouble> {
    check(number)?;
    Ok(Device::cuda(number))
}

/// Has cubecl keep compiled kernels and the outcome of tuning in `folder`, in a file of this name; nowhere without one.
/// False where it has begun its work already: it takes no other settings then.
pub(super) fn keep_kernels(folder: Option<&Path>, name: &str) -> bool {
    let mut config = CubeClRuntimeConfig::default().override_from_env();
    config.autotune.disable_cache = folder.is_none();
    config.compilation.cache = folder.is_some();
    if let Some(folder) = folder {
        config.environment.name = name.to_owned();
        config.environment.path = CacheConfig::Directory(folder.to_owned());
        // Kernels are kept by the build that made them. Without a name for it, those of another build would be taken for its own.
        if buildid::build_id().is_none() {
            tracing::warn!("this program was linked without a build id: compiled kernels are not kept");
            config.compilation.cache = false;
        }
    }
    CubeClRuntimeConfig::try_set(config)
}

fn context(number: u32) -> Result<Arc<CudaContext>, CudaTrouble> {
    let found = count()?;
    if number >= found {
        return Err(CudaTrouble::Absent { found });
    }
    driver(|| CudaContext::new(number as usize))
}

fn driver<T>(call: impl FnOnce() -> Result<T, DriverError>) -> Result<T, CudaTrouble> {
    // an error's own words come from the library, too
    match quietly(|| call().map_err(|error| error.to_string())) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(said)) | Err(said) => Err(CudaTrouble::of_driver(&said)),
    }
}

/// Compiles the trial kernel as cubecl compiles its own.
fn compile(architecture: &str) -> Result<(KernelCompiler, Ptx), CudaTrouble> {
    let no_headers = || CudaTrouble::NoHeaders { header: "cuda_fp16.h".to_owned(), looked_in: None };
    let headers = cubecl::cuda::install::cuda_path().ok_or_else(no_headers)?.join("include");
    let folders = [headers.clone(), headers.join("cccl")];
    let options = CompileOptions {
        include_paths: folders.iter().map(|folder| folder.display().to_string()).collect(),
        options: vec![format!("--gpu-architecture={architecture}")],
        ..CompileOptions::default()
    };
    let compiled = quietly(|| {
        let ptx = compile_ptx_with_opts(TRIAL, options).map_err(words)?;
        let text = ptx.to_src();
        Ok::<_, String>((ptx, text))
    });
    let (ptx, text) = match compiled {
        Ok(Ok(compiled)) => compiled,
        Ok(Err(said)) | Err(said) => return Err(CudaTrouble::of_compiler(&said, architecture, headers)),
    };
    let version = text.lines().find_map(|line| line.strip_prefix(".version "));
    let ptx_version = version.map_or("unknown", str::trim).to_owned();
    Ok((KernelCompiler { ptx_version, headers }, ptx))
}

fn words(error: CompileError) -> String {
    match error {
        CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
        other => other.to_string(),
    }
}
