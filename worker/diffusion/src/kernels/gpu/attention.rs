//! Attention: burn's fused forward, and a gradient by pieces of the queries. No score is kept between the two, and in the gradient
//! no more than a piece's are there at once.
//!
//! With `P = softmax(scale Q K^T)` row by row, `D` the gradient of the result and `G = D V^T` that of `P`: of the scores it is
//! `scale P (G - sum(P G))`, of the values `P^T D`. Products run on tensor cores and hand their results over in f32; a kernel of
//! ours makes probabilities and gradients of a piece's rows.

use std::ops::Range;

use burn::backend::ops::{AttentionModuleOptions, FloatTensorOps, ModuleOps};
use burn::tensor::{DType, FloatDType, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{Rows, elem, empty_in, packed};
use super::reduce::{cube_max, cube_sum, lane_sum};
use crate::kernels::Weighing;

/// Scores of a piece, at most; a piece has one query at least. Four matrices of so many numbers are there at once.
const SCORES: usize = if cfg!(test) { 1 << 22 } else { 1 << 26 };

/// From a piece's scores and the gradient `grad` of its probabilities to the probabilities and the gradient of the scores.
/// `rows` is the queries of the piece, `first` the first of them.
#[cube(launch, address_type = "dynamic")]
fn weigh_kernel<E: Float, N: Size>(
    scores: &Tensor<Vector<f32, N>>,
    grad: &Tensor<Vector<f32, N>>,
    probabilities: &mut Tensor<Vector<E, N>>,
    of_scores: &mut Tensor<Vector<E, N>>,
    scale: f32,
    first: usize,
    rows: usize,
    #[comptime] width: usize,
    #[comptime] causal: bool,
    #[comptime] units: u32,
    #[define(E)] _dtype: ElemType,
) {
    let mut scratch = Shared::<[f32]>::new_slice(units as usize);
    let base = CUBE_POS * width;
    if base >= scores.len() {
        terminate!();
    }
    let seen = first + CUBE_POS % rows + 1;

    let mut highest = f32::new(-3.0e38f32);
    let mut at = UNIT_POS as usize;
    while at < width {
        let row = scores[base + at];
        #[unroll]
        for lane in 0..N::value() {
            let score = row.extract(lane);
            if (!causal || at * N::value() + lane < seen) && score > highest {
                highest = score;
            }
        }
        at += units as usize;
    }
    let highest = cube_max(highest, &mut scratch);

    let mut totals = Vector::<f32, N>::new(0.0f32);
    let mut means = Vector::<f32, N>::new(0.0f32);
    let mut at = UNIT_POS as usize;
    while at < width {
        let weight = weights::<N>(scores[base + at], highest, scale, at, seen, causal);
        totals += weight;
        means += weight * grad[base + at];
        at += units as usize;
    }
    let share = 1.0f32 / cube_sum(lane_sum::<N>(totals), &mut scratch);
    let mean = cube_sum(lane_sum::<N>(means), &mut scratch) * share;

    let mut at = UNIT_POS as usize;
    while at < width {
        let weight = weights::<N>(scores[base + at], highest, scale, at, seen, causal) * Vector::new(share);
        probabilities[base + at] = Vector::cast_from(weight);
        let slope = (grad[base + at] - Vector::new(mean)) * weight * Vector::new(scale);
        of_scores[base + at] = Vector::cast_from(slope);
        at += units as usize;
    }
}

/// Probabilities before they are divided by their sum; hidden ones are 0.
#[cube]
fn weights<N: Size>(
    scores: Vector<f32, N>,
    highest: f32,
    scale: f32,
    at: usize,
    seen: usize,
    #[comptime] causal: bool,
) -> Vector<f32, N> {
    let mut weights = ((scores - Vector::new(highest)) * Vector::new(scale)).exp();
    if comptime!(causal) {
        #[unroll]
        for lane in 0..N::value() {
            if at * N::value() + lane >= seen {
                weights.insert(lane, 0.0f32);
            }
        }
    }
    weights
}

pub(super) fn forward(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    weighing: Weighing,
) -> CubeTensor {
    let options =
        AttentionModuleOptions { scale: Some(weighing.scale), softcap: None, is_causal: weighing.causal };
    CubeBackend::attention(query, key, value, None, None, options)
}

/// The gradients of queries, keys and values.
pub(super) fn gradients(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    grad: CubeTensor,
    weighing: Weighing,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let dtype = query.dtype;
    let turned = CubeBackend::float_swap_dims(key.clone(), 2, 3);
    let values = CubeBackend::float_swap_dims(value, 2, 3);
    let mut of_query = Vec::new();
    let (mut of_key, mut of_value) = (None, None);
    for piece in pieces(&query, &key) {
        let query = queries(query.clone(), &piece);
        let grad = queries(grad.clone(), &piece);
        let scores = product(query.clone(), turned.clone(), DType::F32);
        let of_probabilities = product(grad.clone(), values.clone(), DType::F32);
        let (probabilities, of_scores) = weigh(scores, of_probabilities, dtype, &piece, weighing);
        let probabilities = CubeBackend::float_swap_dims(probabilities, 2, 3);
        add_to(&mut of_value, product(probabilities, grad, DType::F32));
        let turned_of_scores = CubeBackend::float_swap_dims(of_scores.clone(), 2, 3);
        add_to(&mut of_key, product(turned_of_scores, query, DType::F32));
        of_query.push(product(of_scores, key.clone(), dtype));
    }
    let float = FloatDType::from(dtype);
    let narrowed = |sum: Option<CubeTensor>| match sum {
        Some(sum) => CubeBackend::float_cast(sum, float),
        None => CubeBackend::float_zeros(key.meta.shape().clone(), &key.device, float),
    };
    let of_query = match of_query.len() {
        1 => of_query.remove(0),
        _ => CubeBackend::float_cat(of_query, 2),
    };
    (of_query, narrowed(of_key), narrowed(of_value))
}

fn weigh(
    scores: CubeTensor,
    grad: CubeTensor,
    dtype: DType,
    piece: &Range<usize>,
    weighing: Weighing,
) -> (CubeTensor, CubeTensor) {
    let (scores, grad) = (packed(scores), packed(grad));
    let rows = Rows::of(&scores);
    let empty = || empty_in(&scores, scores.meta.shape().clone(), dtype);
    let (probabilities, of_scores) = (empty(), empty());
    let (client, address) = (scores.client.clone(), scores.required_address_type());
    let narrow = elem(&probabilities);
    weigh_kernel::launch(
        &client,
        rows.cubes(&client),
        rows.cube(),
        address,
        rows.lanes,
        scores.into_tensor_arg(),
        grad.into_tensor_arg(),
        probabilities.clone().into_tensor_arg(),
        of_scores.clone().into_tensor_arg(),
        weighing.scale as f32,
        piece.start,
        piece.len(),
        rows.width,
        weighing.causal,
        rows.units,
        narrow,
    );
    (probabilities, of_scores)
}

/// A matrix product with its result in this type.
fn product(left: CubeTensor, right: CubeTensor, dtype: DType) -> CubeTensor {
    let wide = |x: CubeTensor| CubeBackend::float_cast(x, FloatDType::from(dtype));
    matmul(left.clone(), right.clone(), None, MatmulStrategy::default(), dtype)
        .unwrap_or_else(|_| CubeBackend::float_matmul(wide(left), wide(right)))
}

fn add_to(sum: &mut Option<CubeTensor>, term: CubeTensor) {
    *sum = Some(match sum.take() {
        Some(sum) => CubeBackend::float_add(sum, term),
        None => term,
    });
}

/// A piece of the queries, or of what goes with them.
fn queries(x: CubeTensor, piece: &Range<usize>) -> CubeTensor {
    let [batch, heads, all, width] = x.meta.shape().dims();
    if piece.len() == all {
        return x;
    }
    let slices = [0..batch, 0..heads, piece.clone(), 0..width].map(Slice::from);
    CubeBackend::float_slice(x, &slices)
}

/// Runs of queries.
fn pieces(query: &CubeTensor, key: &CubeTensor) -> impl Iterator<Item = Range<usize>> {
    let [batch, heads, queries, _] = query.meta.shape().dims();
    let [_, _, keys, _] = key.meta.shape().dims();
    let piece = (SCORES / (batch * heads * keys).max(1)).clamp(1, queries.max(1));
    // Tiles of tensor cores are whole where a piece is a multiple of their side.
    let piece = if piece < queries && piece > 64 { piece / 64 * 64 } else { piece };
    (0..queries).step_by(piece).map(move |first| first..(first + piece).min(queries))
}
