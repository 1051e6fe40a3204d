//! Group normalisation of channels-last pictures, with SiLU after it where wanted.
//!
//! A cube has one group of one picture: `pixels` runs of `channels / groups` neighbouring numbers. It reads them once for the mean,
//! once for the centred variance and once for the result; after the first time they come from the caches.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{cubes, elem, empty_like, in_rows, lanes, packed, units};
use super::moments::moments;
use super::reduce::{cube_sum, lane_sum};
use crate::kernels::Grouping;

#[cube(launch, address_type = "dynamic")]
fn forward_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    gamma: &Tensor<Vector<E, N>>,
    beta: &Tensor<Vector<E, N>>,
    y: &mut Tensor<Vector<E, N>>,
    pictures: usize,
    x_pitch: usize,
    pixels: usize,
    groups: usize,
    epsilon: f32,
    #[comptime] width: usize,
    #[comptime] activate: bool,
    #[comptime] units: u32,
    #[define(E)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(units as usize);
    let picture = CUBE_POS / groups;
    if picture >= pictures {
        terminate!();
    }
    let first = (CUBE_POS % groups) * width;
    let row = groups * width;
    let base = picture * pixels * row + first;
    let x_base = picture * pixels * x_pitch + first;
    let count = pixels * width;
    let (mean, scale) = moments::<E, N>(x, x_base, x_pitch, count, epsilon, &mut scratch, width, units);

    let mut at = UNIT_POS as usize;
    while at < count {
        let column = at % width;
        let (pixel, place) = (at / width, base + (at / width) * row + column);
        let normed = (Vector::<f32, N>::cast_from(x[x_base + pixel * x_pitch + column]) - Vector::new(mean))
            * Vector::new(scale);
        let z = normed * Vector::<f32, N>::cast_from(gamma[first + column])
            + Vector::<f32, N>::cast_from(beta[first + column]);
        if comptime!(activate) {
            y[place] = Vector::cast_from(z * sigmoid::<N>(z));
        } else {
            y[place] = Vector::cast_from(z);
        }
        at += units as usize;
    }
}

/// With `u` the normalised values and `g` their gradient, `dx = (g - mean(g) - u mean(g u)) * scale`.
#[cube(launch, address_type = "dynamic")]
fn gradient_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    gamma: &Tensor<Vector<E, N>>,
    beta: &Tensor<Vector<E, N>>,
    grad: &Tensor<Vector<E, N>>,
    dx: &mut Tensor<Vector<E, N>>,
    pictures: usize,
    x_pitch: usize,
    grad_pitch: usize,
    pixels: usize,
    groups: usize,
    epsilon: f32,
    #[comptime] width: usize,
    #[comptime] activate: bool,
    #[comptime] units: u32,
    #[define(E)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(units as usize);
    let picture = CUBE_POS / groups;
    if picture >= pictures {
        terminate!();
    }
    let first = (CUBE_POS % groups) * width;
    let row = groups * width;
    let base = picture * pixels * row + first;
    let x_base = picture * pixels * x_pitch + first;
    let grad_base = picture * pixels * grad_pitch + first;
    let count = pixels * width;
    let (mean, scale) = moments::<E, N>(x, x_base, x_pitch, count, epsilon, &mut scratch, width, units);

    let mut levels = Vector::<f32, N>::new(0.0f32);
    let mut slopes = Vector::<f32, N>::new(0.0f32);
    let mut at = UNIT_POS as usize;
    while at < count {
        let column = at % width;
        let pixel = at / width;
        let u = (Vector::<f32, N>::cast_from(x[x_base + pixel * x_pitch + column]) - Vector::new(mean))
            * Vector::new(scale);
        let weight = Vector::<f32, N>::cast_from(gamma[first + column]);
        let shift = Vector::<f32, N>::cast_from(beta[first + column]);
        let g = normalised_gradient::<N>(
            Vector::cast_from(grad[grad_base + pixel * grad_pitch + column]),
            u,
            weight,
            shift,
            activate,
        );
        levels += g;
        slopes += g * u;
        at += units as usize;
    }
    let total = (count * N::value()) as f32;
    let level = cube_sum(lane_sum::<N>(levels), &mut scratch) / total;
    let slope = cube_sum(lane_sum::<N>(slopes), &mut scratch) / total;

    let mut at = UNIT_POS as usize;
    while at < count {
        let column = at % width;
        let pixel = at / width;
        let u = (Vector::<f32, N>::cast_from(x[x_base + pixel * x_pitch + column]) - Vector::new(mean))
            * Vector::new(scale);
        let weight = Vector::<f32, N>::cast_from(gamma[first + column]);
        let shift = Vector::<f32, N>::cast_from(beta[first + column]);
        let g = normalised_gradient::<N>(
            Vector::cast_from(grad[grad_base + pixel * grad_pitch + column]),
            u,
            weight,
            shift,
            activate,
        );
        dx[base + pixel * row + column] =
            Vector::cast_from((g - Vector::new(level) - u * Vector::new(slope)) * Vector::new(scale));
        at += units as usize;
    }
}

#[cube]
fn sigmoid<N: Size>(z: Vector<f32, N>) -> Vector<f32, N> {
    Vector::new(1.0f32) / (Vector::new(1.0f32) + (Vector::new(0.0f32) - z).exp())
}

/// The gradient of the normalised values `u`, given that of the result.
#[cube]
fn normalised_gradient<N: Size>(
    grad: Vector<f32, N>,
    u: Vector<f32, N>,
    weight: Vector<f32, N>,
    shift: Vector<f32, N>,
    #[comptime] activate: bool,
) -> Vector<f32, N> {
    if comptime!(activate) {
        let z = u * weight + shift;
        let s = sigmoid::<N>(z);
        grad * weight * s * (Vector::new(1.0f32) + z * (Vector::new(1.0f32) - s))
    } else {
        grad * weight
    }
}

pub(super) fn forward(x: CubeTensor, gamma: CubeTensor, beta: CubeTensor, grouping: Grouping) -> CubeTensor {
    let Grouping { groups, epsilon, activate } = grouping;
    let ((x, pitch), gamma, beta) = (in_rows(x), packed(gamma), packed(beta));
    let geometry = Geometry::of(&x, groups);
    let y = empty_like(&x);
    let client = x.client.clone();
    let dtype = elem(&x);
    let address = x.required_address_type();
    forward_kernel::launch(
        &client,
        cubes(&client, geometry.cubes),
        CubeDim::new_1d(geometry.units),
        address,
        geometry.lanes,
        x.into_tensor_arg(),
        gamma.into_tensor_arg(),
        beta.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        geometry.pictures,
        pitch / geometry.lanes,
        geometry.pixels,
        groups,
        epsilon as f32,
        geometry.width,
        activate,
        geometry.units,
        dtype,
    );
    y
}

pub(super) fn gradient(
    x: CubeTensor,
    gamma: CubeTensor,
    beta: CubeTensor,
    grad: CubeTensor,
    grouping: Grouping,
) -> CubeTensor {
    let Grouping { groups, epsilon, activate } = grouping;
    let ((x, pitch), (grad, grad_pitch)) = (in_rows(x), in_rows(grad));
    let (gamma, beta) = (packed(gamma), packed(beta));
    let geometry = Geometry::of(&x, groups);
    let dx = empty_like(&x);
    let client = x.client.clone();
    let dtype = elem(&x);
    let address = x.required_address_type();
    gradient_kernel::launch(
        &client,
        cubes(&client, geometry.cubes),
        CubeDim::new_1d(geometry.units),
        address,
        geometry.lanes,
        x.into_tensor_arg(),
        gamma.into_tensor_arg(),
        beta.into_tensor_arg(),
        grad.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        geometry.pictures,
        pitch / geometry.lanes,
        grad_pitch / geometry.lanes,
        geometry.pixels,
        groups,
        epsilon as f32,
        geometry.width,
        activate,
        geometry.units,
        dtype,
    );
    dx
}

struct Geometry {
    cubes: usize,
    units: u32,
    pictures: usize,
    pixels: usize,
    /// Vectors of a group in one pixel.
    width: usize,
    /// Numbers of a vector.
    lanes: usize,
}

impl Geometry {
    /// Of `x` `[batch, height, width, channels]`.
    fn of(x: &CubeTensor, groups: usize) -> Self {
        let [batch, height, width, channels] = x.meta.shape().dims();
        let (pixels, group) = (height * width, channels / groups);
        let lanes = lanes(group);
        let width = group / lanes;
        Self {
            cubes: batch * groups,
            units: units(&x.client, pixels * width),
            pictures: batch,
            pixels,
            width,
            lanes,
        }
    }
}
