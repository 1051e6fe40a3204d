//! Kernels for the tensor cores of NVIDIA's Hopper cards (compute capability 9.0), in CUDA C++: those cores are reached by their
//! own instructions alone, which CubeCL has no words for. Linear layers, convolutions and attention, where bf16 is what they work on.
//!
//! The text goes to NVRTC as CubeCL's own does and is launched in the same queue. There is one kernel for all shapes, so nothing is
//! tuned. Weights are [packed](pack) once, when they are loaded; whether they are depends on their shape alone, so that whoever sees
//! them later knows. The few layers of a few channels are filled up with zeros when they are used.
//!
//! They are [tried](trial) on each card before they are used. Results are those of the products in f32, rounded once. A window of many inputs may be summed in parts, in a fixed order.

mod attention;
mod pack;
mod product;
mod program;
mod trial;

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::features::Tma;

pub(super) use attention::{attend, attend_gradient, attends};
pub(super) use pack::{conv_weight, linear_weight};
pub(super) use product::{convolve, convolve_gradient, linear, linear_gradient};

/// Whether there are such tensor cores for the tensor, and their answers are right.
pub(super) fn available(tensor: &CubeTensor) -> bool {
    let features = tensor.client.features();
    // Hopper is the generation that copies by tensor maps and has no wide ones yet.
    let hopper = features.tma.contains(Tma::Base) && !features.tma.contains(Tma::Im2colWide);
    hopper && tensor.client.name() == "cuda" && tensor.dtype == DType::BF16 && trial::passed(&tensor.device)
}
