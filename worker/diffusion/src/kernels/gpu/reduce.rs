//! Sums and maxima over all units of a cube.

use cubecl::prelude::*;

/// The sum of one value of each unit, in every unit. The cube's size is a power of two, and `scratch` has a place for each unit.
#[cube]
pub(super) fn cube_sum(value: f32, scratch: &mut Shared<[f32]>) -> f32 {
    over_cube(value, scratch, false)
}

/// The largest of one value of each unit, as [`cube_sum`].
#[cube]
pub(super) fn cube_max(value: f32, scratch: &mut Shared<[f32]>) -> f32 {
    over_cube(value, scratch, true)
}

#[cube]
fn over_cube(value: f32, scratch: &mut Shared<[f32]>, #[comptime] largest: bool) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    scratch[unit] = value;
    sync_cube();
    let mut half = CUBE_DIM / 2;
    while half > 0 {
        if UNIT_POS < half {
            let other = scratch[unit + half as usize];
            let own = scratch[unit];
            if comptime!(largest) {
                scratch[unit] = max(own, other);
            } else {
                scratch[unit] = own + other;
            }
        }
        half /= 2;
        sync_cube();
    }
    scratch[0]
}

/// The sum over a vector's lanes.
#[cube]
pub(super) fn lane_sum<N: Size>(vector: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..N::value() {
        sum += vector.extract(lane);
    }
    sum
}
