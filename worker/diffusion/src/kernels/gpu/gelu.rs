//! The exact GELU, alone and as the gate of a feed-forward: a unit has a vector of the result.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{Elements, elem, empty_like, empty_of, lanes, packed};

/// 1 / sqrt(2).
const FRAC_1_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// 1 / sqrt(2 pi).
const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;

#[cube(launch, address_type = "dynamic")]
fn exact_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    y: &mut Tensor<Vector<E, N>>,
    #[define(E)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let x = Vector::<f32, N>::cast_from(x[ABSOLUTE_POS]);
    y[ABSOLUTE_POS] = Vector::cast_from(x * below::<N>(x));
}

#[cube(launch, address_type = "dynamic")]
fn exact_gradient_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    grad: &Tensor<Vector<E, N>>,
    dx: &mut Tensor<Vector<E, N>>,
    #[define(E)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= dx.len() {
        terminate!();
    }
    let grad = Vector::<f32, N>::cast_from(grad[ABSOLUTE_POS]);
    dx[ABSOLUTE_POS] = Vector::cast_from(grad * slope::<N>(Vector::cast_from(x[ABSOLUTE_POS])));
}

/// `half` is the vectors of a row of the result.
#[cube(launch, address_type = "dynamic")]
fn gated_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    y: &mut Tensor<Vector<E, N>>,
    #[comptime] half: usize,
    #[define(E)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= y.len() {
        terminate!();
    }
    let place = (ABSOLUTE_POS / half) * 2 * half + ABSOLUTE_POS % half;
    let value = Vector::<f32, N>::cast_from(x[place]);
    let gate = Vector::<f32, N>::cast_from(x[place + half]);
    y[ABSOLUTE_POS] = Vector::cast_from(value * gate * below::<N>(gate));
}

#[cube(launch, address_type = "dynamic")]
fn gated_gradient_kernel<E: Float, N: Size>(
    x: &Tensor<Vector<E, N>>,
    grad: &Tensor<Vector<E, N>>,
    dx: &mut Tensor<Vector<E, N>>,
    #[comptime] half: usize,
    #[define(E)] _dtype: ElemType,
) {
    if ABSOLUTE_POS >= grad.len() {
        terminate!();
    }
    let place = (ABSOLUTE_POS / half) * 2 * half + ABSOLUTE_POS % half;
    let value = Vector::<f32, N>::cast_from(x[place]);
    let gate = Vector::<f32, N>::cast_from(x[place + half]);
    let grad = Vector::<f32, N>::cast_from(grad[ABSOLUTE_POS]);
    dx[place] = Vector::cast_from(grad * gate * below::<N>(gate));
    dx[place + half] = Vector::cast_from(grad * value * slope::<N>(gate));
}

/// How much of a standard normal distribution is below `x`.
#[cube]
fn below<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    let erf = (x * Vector::new(FRAC_1_SQRT_2)).erf();
    (erf + Vector::new(1.0f32)) * Vector::new(0.5f32)
}

/// The derivative of the GELU.
#[cube]
fn slope<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    below::<N>(x) + x * Vector::new(FRAC_1_SQRT_2PI) * (x * x * Vector::new(-0.5f32)).exp()
}

pub(super) fn exact(x: CubeTensor) -> CubeTensor {
    let x = packed(x);
    let y = empty_like(&x);
    let elements = Elements::of(&y, lanes(y.meta.shape().num_elements()));
    let (client, dtype, address) = (x.client.clone(), elem(&x), x.required_address_type());
    exact_kernel::launch(
        &client,
        elements.cubes,
        elements.cube,
        address,
        elements.lanes,
        x.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        dtype,
    );
    y
}

pub(super) fn exact_gradient(x: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let (x, grad) = (packed(x), packed(grad));
    let dx = empty_like(&x);
    let elements = Elements::of(&dx, lanes(dx.meta.shape().num_elements()));
    let (client, dtype, address) = (x.client.clone(), elem(&x), x.required_address_type());
    exact_gradient_kernel::launch(
        &client,
        elements.cubes,
        elements.cube,
        address,
        elements.lanes,
        x.into_tensor_arg(),
        grad.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        dtype,
    );
    dx
}

pub(super) fn gated(x: CubeTensor) -> CubeTensor {
    let x = packed(x);
    let half = half_row(&x);
    let mut shape = x.meta.shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = half;
    let y = empty_of(&x, shape);
    let elements = Elements::of(&y, lanes(half));
    let (client, dtype, address) = (x.client.clone(), elem(&x), x.required_address_type());
    gated_kernel::launch(
        &client,
        elements.cubes,
        elements.cube,
        address,
        elements.lanes,
        x.into_tensor_arg(),
        y.clone().into_tensor_arg(),
        half / elements.lanes,
        dtype,
    );
    y
}

pub(super) fn gated_gradient(x: CubeTensor, grad: CubeTensor) -> CubeTensor {
    let (x, grad) = (packed(x), packed(grad));
    let half = half_row(&x);
    let dx = empty_like(&x);
    let elements = Elements::of(&grad, lanes(half));
    let (client, dtype, address) = (x.client.clone(), elem(&x), x.required_address_type());
    gated_gradient_kernel::launch(
        &client,
        elements.cubes,
        elements.cube,
        address,
        elements.lanes,
        x.into_tensor_arg(),
        grad.into_tensor_arg(),
        dx.clone().into_tensor_arg(),
        half / elements.lanes,
        dtype,
    );
    dx
}

/// Half the length of the last dimension.
fn half_row(x: &CubeTensor) -> usize {
    let shape = x.meta.shape();
    shape[shape.num_dims() - 1] / 2
}
