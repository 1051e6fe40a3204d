//! Elements of a tensor on the host: turned round and converted, on all cores.

use burn::tensor::{FloatDType, TensorData};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

/// Elements that are converted at a time; their f32 form lies on the stack.
const CHUNK: usize = 2048;
/// Outputs and inputs of a tile: it and what it becomes stay in a core's nearest cache.
const TILE: usize = 32;

/// A float type of weight files.
pub(super) trait Float: burn::tensor::Element + bytemuck::Pod {
    /// Its name.
    const TYPE: FloatDType;

    /// To f32, exactly; both slices are equally long.
    fn widen(from: &[Self], into: &mut [f32]);
    /// From f32, to the nearest; both slices are equally long.
    fn narrow(from: &[f32], into: &mut [Self]);
}

impl Float for f32 {
    const TYPE: FloatDType = FloatDType::F32;

    fn widen(from: &[Self], into: &mut [f32]) {
        into.copy_from_slice(from);
    }

    fn narrow(from: &[f32], into: &mut [Self]) {
        into.copy_from_slice(from);
    }
}

impl Float for f16 {
    const TYPE: FloatDType = FloatDType::F16;

    fn widen(from: &[Self], into: &mut [f32]) {
        from.convert_to_f32_slice(into);
    }

    fn narrow(from: &[f32], into: &mut [Self]) {
        into.convert_from_f32_slice(from);
    }
}

impl Float for bf16 {
    const TYPE: FloatDType = FloatDType::BF16;

    fn widen(from: &[Self], into: &mut [f32]) {
        from.convert_to_f32_slice(into);
    }

    fn narrow(from: &[f32], into: &mut [Self]) {
        into.convert_from_f32_slice(from);
    }
}

/// The elements as a tensor of this shape and type.
pub(super) fn tensor_data<T: Float>(elements: Vec<T>, shape: Vec<usize>, dtype: FloatDType) -> TensorData {
    match dtype {
        same if same == T::TYPE => TensorData::new(elements, shape),
        FloatDType::F32 => TensorData::new(converted::<T, f32>(&elements), shape),
        FloatDType::F16 => TensorData::new(converted::<T, f16>(&elements), shape),
        FloatDType::BF16 => TensorData::new(converted::<T, bf16>(&elements), shape),
        other => TensorData::new(elements, shape).convert_dtype(other.into()),
    }
}

fn converted<S: Float, D: Float>(elements: &[S]) -> Vec<D> {
    let mut converted = vec![D::zeroed(); elements.len()];
    converted.par_chunks_mut(CHUNK).zip(elements.par_chunks(CHUNK)).for_each(|(into, from)| {
        let mut wide = [0.0_f32; CHUNK];
        let wide = &mut wide[..from.len()];
        S::widen(from, wide);
        D::narrow(wide, into);
    });
    converted
}

/// `[outputs, inputs, taps]` to `[taps, inputs, outputs]`; `taps` is 1 for a matrix and 9 for a 3x3 kernel.
///
/// In tiles: a walk along the rows of either side would touch a new cache line with every element of the other.
pub(super) fn turned<T: bytemuck::Pod + Send + Sync>(
    elements: &[T],
    [outputs, inputs, taps]: [usize; 3],
) -> Vec<T> {
    let mut turned = vec![T::zeroed(); elements.len()];
    if turned.is_empty() {
        return turned;
    }
    // for each tile of inputs its part of every tap
    let mut tiles: Vec<Vec<&mut [T]>> =
        (0..inputs.div_ceil(TILE)).map(|_| Vec::with_capacity(taps)).collect();
    for tap in turned.chunks_mut(inputs * outputs) {
        for (tile, part) in tiles.iter_mut().zip(tap.chunks_mut(TILE * outputs)) {
            tile.push(part);
        }
    }
    tiles.into_par_iter().enumerate().for_each(|(tile, mut parts)| {
        let width = parts.first().map_or(0, |part| part.len() / outputs);
        for first in (0..outputs).step_by(TILE) {
            let last = outputs.min(first + TILE);
            for input in 0..width {
                let at = (tile * TILE + input) * taps;
                for (tap, part) in parts.iter_mut().enumerate() {
                    let row = &mut part[input * outputs..][first..last];
                    for (output, place) in (first..last).zip(row) {
                        *place = elements[output * inputs * taps + at + tap];
                    }
                }
            }
        }
    });
    turned
}

/// `[outputs, inputs, taps]` to `[outputs, taps, inputs]`.
pub(super) fn inputs_last<T: bytemuck::Pod + Send + Sync>(
    elements: &[T],
    [inputs, taps]: [usize; 2],
) -> Vec<T> {
    let output = (inputs * taps).max(1);
    let mut turned = vec![T::zeroed(); elements.len()];
    turned.par_chunks_mut(output).zip(elements.par_chunks(output)).for_each(|(into, from)| {
        for (tap, row) in into.chunks_mut(inputs.max(1)).enumerate() {
            for (place, pixel) in row.iter_mut().zip(from.chunks(taps.max(1))) {
                *place = pixel[tap];
            }
        }
    });
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_finds_its_place_in_tiles_that_do_not_come_out_even() {
        for [outputs, inputs, taps] in
            [[1, 1, 1], [3, 2, 1], [64, 32, 1], [70, 33, 9], [33, 100, 1], [5, 0, 9], [2, 65, 4]]
        {
            let elements: Vec<u32> = (0..(outputs * inputs * taps) as u32).collect();
            let found = turned(&elements, [outputs, inputs, taps]);
            let mut expected = Vec::new();
            for tap in 0..taps {
                for input in 0..inputs {
                    expected
                        .extend((0..outputs).map(|output| ((output * inputs + input) * taps + tap) as u32));
                }
            }
            assert_eq!(found, expected, "{outputs} {inputs} {taps}");
        }
    }

    #[test]
    fn inputs_come_last_where_outputs_come_first() {
        let (outputs, inputs, taps) = (3_usize, 5_usize, 9_usize);
        let elements: Vec<u32> = (0..(outputs * inputs * taps) as u32).collect();
        let found = inputs_last(&elements, [inputs, taps]);
        let place = |output: usize, tap: usize, input: usize| (output * inputs + input) * taps + tap;
        let expected: Vec<u32> = (0..outputs * taps * inputs)
            .map(|at| place(at / (taps * inputs), at / inputs % taps, at % inputs) as u32)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn conversions_round_to_the_nearest_and_keep_what_fits() {
        let numbers: Vec<f32> = (0..5000).map(|i| (i as f32 - 2500.0) * 0.37).collect();
        for (found, number) in converted::<f32, bf16>(&numbers).iter().zip(&numbers) {
            assert_eq!(*found, bf16::from_f32(*number));
        }
        let halves: Vec<f16> = numbers.iter().map(|number| f16::from_f32(*number)).collect();
        for (found, half) in converted::<f16, bf16>(&halves).iter().zip(&halves) {
            assert_eq!(*found, bf16::from_f32(half.to_f32()));
        }
        assert_eq!(converted::<f32, f16>(&converted::<f16, f32>(&halves)), halves);
        let data = tensor_data(halves.clone(), vec![5000], FloatDType::F16);
        assert_eq!(data.as_slice::<f16>().unwrap(), halves);
    }
}
