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
    count: usize,
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
