//! What launching a kernel needs.

use burn::tensor::{DType, Shape};
use burn_backend::cubecl::dtype_to_storage_type;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// The tensor with its elements lying in the order of its dimensions.
pub(super) fn packed(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// The tensor with its rows, the runs of the last dimension, all as far apart, and how far: the backend's own tensors have gaps between
/// their rows on some cards. Multiples of eight elements.
pub(super) fn in_rows(x: CubeTensor) -> (CubeTensor, usize) {
    match pitch(x.meta.shape(), x.meta.strides()) {
        Some(pitch) if pitch.is_multiple_of(8) => (x, pitch),
        _ => {
            let shape = x.meta.shape();
            let length = shape[shape.num_dims() - 1];
            (packed(x), length)
        }
    }
}

/// How far rows are apart; `None` where some are nearer than others, or their elements are not side by side.
fn pitch(shape: &[usize], strides: &[usize]) -> Option<usize> {
    let (length, outer) = shape.split_last()?;
    let (step, apart) = strides.split_last()?;
    if *step != 1 {
        return None;
    }
    let mut found = None;
    let mut rows = 1;
    for (count, stride) in outer.iter().zip(apart).rev().filter(|(count, _)| **count != 1) {
        let pitch = *found.get_or_insert(*stride);
        if *stride != pitch * rows {
            return None;
        }
        rows *= count;
    }
    Some(found.unwrap_or(*length)).filter(|pitch| pitch >= length)
}

/// A tensor of the same shape and type with nothing in it yet.
pub(super) fn empty_like(x: &CubeTensor) -> CubeTensor {
    empty_of(x, x.meta.shape().clone())
}

/// A tensor of this shape and the same type with nothing in it yet.
pub(super) fn empty_of(x: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_in(x, shape, x.dtype)
}

/// A tensor of this shape and type with nothing in it yet. Its elements lie in the order of its dimensions with none between them,
/// which is not what a backend's own tensors do: on CUDA their rows begin at multiples of 512 bytes.
pub(super) fn empty_in(x: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, dtype)
}

pub(super) fn elem(x: &CubeTensor) -> ElemType {
    dtype_to_storage_type(x.dtype)
}

/// How many numbers a unit reads at once: the most that divide a run of `length`.
pub(super) fn lanes(length: usize) -> usize {
    [8, 4, 2].into_iter().find(|lanes| length.is_multiple_of(*lanes)).unwrap_or(1)
}

/// The units of a cube for `work` items: a power of two that the device can have.
pub(super) fn units(client: &Client, work: usize) -> u32 {
    let most = client.properties().hardware.max_units_per_cube.clamp(1, 512);
    let most = if most.is_power_of_two() { most } else { most.next_power_of_two() / 2 };
    u32::try_from(work.next_power_of_two()).unwrap_or(most).clamp(32.min(most), most)
}

/// At least `count` cubes, in as many dimensions as the device wants: a kernel ends those beyond.
pub(super) fn cubes(client: &Client, count: usize) -> CubeCount {
    calculate_cube_count_elemwise(client, count, CubeDim::new_single())
}

/// Rows of neighbouring numbers with a cube for each.
pub(super) struct Rows {
    /// Vectors of a row.
    pub(super) width: usize,
    /// Numbers of a vector.
    pub(super) lanes: usize,
    /// Units of a cube.
    pub(super) units: u32,
    /// Rows.
    pub(super) count: usize,
}

impl Rows {
    /// The rows along the last dimension.
    pub(super) fn of(x: &CubeTensor) -> Self {
        let shape = x.meta.shape();
        let length = shape[shape.num_dims() - 1];
        let lanes = lanes(length);
        let width = length / lanes;
        Self { width, lanes, units: units(&x.client, width), count: shape.num_elements() / length.max(1) }
    }

    pub(super) fn cubes(&self, client: &Client) -> CubeCount {
        cubes(client, self.count)
    }

    pub(super) fn cube(&self) -> CubeDim {
        CubeDim::new_1d(self.units)
    }
}

/// Vectors with a unit for each.
pub(super) struct Elements {
    /// Numbers of a vector.
    pub(super) lanes: usize,
    pub(super) cubes: CubeCount,
    pub(super) cube: CubeDim,
}

impl Elements {
    /// Those of `y`, of so many numbers each.
    pub(super) fn of(y: &CubeTensor, lanes: usize) -> Self {
        let vectors = y.meta.shape().num_elements() / lanes;
        let cube = CubeDim::new(&y.client, vectors);
        Self { lanes, cubes: calculate_cube_count_elemwise(&y.client, vectors, cube), cube }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_have_gaps_that_are_all_alike() {
        assert_eq!(pitch(&[2, 3, 5], &[15, 5, 1]), Some(5));
        assert_eq!(pitch(&[2, 3, 5], &[24, 8, 1]), Some(8));
        assert_eq!(pitch(&[5], &[1]), Some(5));
        // a dimension of one is nowhere
        assert_eq!(pitch(&[2, 1, 5], &[8, 3, 1]), Some(8));
        assert_eq!(pitch(&[2, 3, 5], &[40, 8, 1]), None);
        assert_eq!(pitch(&[2, 3, 5], &[15, 1, 3]), None);
        assert_eq!(pitch(&[2, 3, 5], &[0, 0, 1]), None);
    }
}
