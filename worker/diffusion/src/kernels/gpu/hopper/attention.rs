//! Attention with heads of 64 numbers (`attention.cu`), on whatever views queries, keys and values are.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::available;
use super::program::{Argument, Program, Text};
use crate::kernels::Weighing;
use crate::kernels::gpu::launch::{empty_in, empty_of, packed};

/// Numbers of a head.
const HEAD: usize = 64;

/// Whether these kernels serve the query, `[batch, heads, n, width]`.
pub(in crate::kernels::gpu) fn attends(query: &CubeTensor) -> bool {
    let [batch, heads, _, width] = query.meta.shape().dims();
    available(query) && width == HEAD && batch * heads <= 65535
}

/// As `Kernels::attend`.
pub(in crate::kernels::gpu) fn attend(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    weighing: Weighing,
) -> CubeTensor {
    let (query, key, value) = (rows(query), rows(key), rows(value));
    let result = by_position(&query);
    let numbers = numbers(&query, &key, &value, &query, &result, weighing);
    launch("attend", 256, 128, &query, &[&query, &key, &value], &[&result.handle], &numbers);
    result
}

/// As `Gradients::attend_gradient`: the sums of the rows of scores are worked out anew.
pub(in crate::kernels::gpu) fn attend_gradient(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    grad: CubeTensor,
    weighing: Weighing,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let (query, key, value, grad) = (rows(query), rows(key), rows(value), rows(grad));
    let [batch, heads, queries, _] = query.meta.shape().dims();
    let shape = Shape::new([batch, heads, queries, 2]);
    let sums = empty_in(&query, shape, DType::F32);
    let of_query = by_position(&query);
    let (of_key, of_value) = (by_position(&key), by_position(&key));
    let inputs = [&query, &key, &value, &grad];
    let for_query = numbers(&query, &key, &value, &grad, &of_query, weighing);
    launch("attend_sums", 256, 128, &query, &inputs, &[&sums.handle], &for_query);
    let inputs = [&query, &key, &value, &grad, &sums];
    launch("gradient_of_queries", 128, 64, &query, &inputs, &[&of_query.handle], &for_query);
    let for_key = numbers(&query, &key, &value, &grad, &of_key, weighing);
    launch("gradient_of_keys", 128, 64, &key, &inputs, &[&of_key.handle, &of_value.handle], &for_key);
    (of_query, of_key, of_value)
}

/// A block for every `rows` rows of each head of `of`.
fn launch(
    entry: &'static str,
    threads: u32,
    rows: usize,
    of: &CubeTensor,
    inputs: &[&CubeTensor],
    outputs: &[&cubecl::server::Handle],
    numbers: &[u32],
) {
    let [batch, heads, count, _] = of.meta.shape().dims();
    let arguments: Vec<_> = inputs
        .iter()
        .map(|input| Argument::Read(&input.handle))
        .chain(outputs.iter().map(|output| Argument::Written(output)))
        .collect();
    let program = Program { entry, text: Text::Attention, threads };
    let blocks = [count.div_ceil(rows) as u32, (batch * heads) as u32, 1];
    program.launch(&of.client, blocks, &arguments, numbers);
}

/// `[batch, heads, n, width]` with the numbers of a head side by side, and heads and positions where 16 bytes can be read.
fn rows(x: CubeTensor) -> CubeTensor {
    let strides = x.meta.strides();
    let readable = strides[3] == 1 && strides[..3].iter().all(|stride| stride.is_multiple_of(8));
    if readable { x } else { packed(x) }
}

/// An empty tensor of the same shape in which the heads of a position are side by side, as the next layer wants them.
fn by_position(x: &CubeTensor) -> CubeTensor {
    let [batch, heads, count, width] = x.meta.shape().dims();
    let result = empty_of(x, Shape::new([batch, count, heads, width]));
    CubeBackend::float_swap_dims(result, 1, 2)
}

fn numbers(
    query: &CubeTensor,
    key: &CubeTensor,
    value: &CubeTensor,
    grad: &CubeTensor,
    result: &CubeTensor,
    weighing: Weighing,
) -> Vec<u32> {
    let [_, heads, queries, _] = query.meta.shape().dims::<4>();
    let [_, _, keys, _] = key.meta.shape().dims::<4>();
    let mut all = vec![queries as u32, keys as u32, heads as u32, u32::from(weighing.causal)];
    all.extend([(weighing.scale as f32).to_bits(), 0, 0, 0]);
    for tensor in [query, key, value, grad, result] {
        let strides = tensor.meta.strides();
        all.extend([strides[0] as u32, strides[1] as u32, strides[2] as u32, 0]);
    }
    all
}
