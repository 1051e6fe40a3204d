//! Arrays on the host, and the measures of how far two of them are apart.

use anyhow::{Context, bail, ensure};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

/// Numbers in row-major order: `f32` for tensors, `i64` for ids, indices and bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<T>,
}

impl<T: Copy> Array<T> {
    /// An array of `shape`; `values` must fill it.
    pub(crate) fn new(shape: impl Into<Vec<usize>>, values: Vec<T>) -> anyhow::Result<Self> {
        let shape = shape.into();
        let expected: usize = shape.iter().product();
        ensure!(values.len() == expected, "{} values do not fill the shape {shape:?}", values.len());
        Ok(Self { shape, values })
    }

    /// Length of the first axis.
    pub(crate) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Numbers in one row of the first axis.
    fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Row `index` of the first axis, as a flat slice.
    pub(crate) fn row(&self, index: usize) -> anyhow::Result<&[T]> {
        let len = self.row_len();
        self.values
            .get(index * len..(index + 1) * len)
            .with_context(|| format!("row {index} is asked of an array of shape {:?}", self.shape))
    }

    /// Rows `start..start + count` of the first axis.
    pub(crate) fn slice(&self, start: usize, count: usize) -> anyhow::Result<Self> {
        ensure!(start + count <= self.rows(), "rows {start}..{} of shape {:?}", start + count, self.shape);
        let len = self.row_len();
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = count;
        }
        Self::new(shape, self.values[start * len..(start + count) * len].to_vec())
    }

    /// Every `every[axis]`-th element along each axis, from the first on.
    pub(crate) fn strided(&self, every: &[usize]) -> anyhow::Result<Self> {
        if every.iter().all(|stride| *stride == 1) {
            return Ok(self.clone());
        }
        ensure!(every.len() == self.shape.len(), "strides {every:?} of an array of shape {:?}", self.shape);
        let shape = strided_shape(&self.shape, every);
        let count: usize = shape.iter().product();
        let mut values = Vec::with_capacity(count);
        for flat in 0..count {
            let (mut rest, mut source, mut pitch) = (flat, 0, 1);
            for axis in (0..shape.len()).rev() {
                source += rest % shape[axis] * every[axis] * pitch;
                rest /= shape[axis];
                pitch *= self.shape[axis];
            }
            values.push(self.values[source]);
        }
        Self::new(shape, values)
    }
}

/// The shape of an array of `shape` after [`Array::strided`].
pub(crate) fn strided_shape(shape: &[usize], every: &[usize]) -> Vec<usize> {
    shape.iter().zip(every).map(|(len, stride)| len.div_ceil((*stride).max(1))).collect()
}

impl Array<f32> {
    /// The numbers of a tensor.
    pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<Self> {
        let shape = tensor.dims().to_vec();
        let values = tensor.cast(FloatDType::F32).into_data().try_to_vec::<f32>();
        Self::new(
            shape,
            values.map_err(|error| anyhow::anyhow!("the device gave no numbers back: {error:?}"))?,
        )
    }

    /// The numbers as a tensor of `D` axes.
    pub(crate) fn tensor<const D: usize>(&self, device: &Device) -> anyhow::Result<Tensor<D>> {
        let Ok(shape) = <[usize; D]>::try_from(self.shape.clone()) else {
            bail!("an array of shape {:?} where {D} axes are needed", self.shape);
        };
        Ok(Tensor::from_data(TensorData::new(self.values.clone(), shape), device))
    }

    /// Rows of the first axis as vectors.
    pub(crate) fn vectors(&self) -> Vec<Vec<f32>> {
        self.values.chunks(self.row_len().max(1)).map(<[f32]>::to_vec).collect()
    }

    /// Vectors of one length under each other.
    pub(crate) fn stack(vectors: &[Vec<f32>]) -> anyhow::Result<Self> {
        let width = vectors.first().map_or(0, Vec::len);
        Self::new(vec![vectors.len(), width], vectors.concat())
    }
}

impl Array<i64> {
    /// Ids of one row.
    pub(crate) fn ids(&self, row: usize) -> anyhow::Result<Vec<u32>> {
        self.row(row)?.iter().map(|id| u32::try_from(*id).context("a token id is negative")).collect()
    }

    /// Ids of all rows.
    pub(crate) fn all_ids(&self) -> anyhow::Result<Vec<Vec<u32>>> {
        (0..self.rows()).map(|row| self.ids(row)).collect()
    }
}

/// `||x - reference|| / ||reference||` in f64; where the reference is zero, `||x||`.
pub(crate) fn relative_l2(found: &[f32], reference: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = squares(&mut found.iter().zip(reference).map(|(x, r)| f64::from(*x) - f64::from(*r)));
    let scale = squares(&mut reference.iter().map(|r| f64::from(*r)));
    if scale > 0.0 { difference / scale } else { difference }
}

/// How many numbers are not the same, bit for bit.
pub(crate) fn unequal_bits(found: &[f32], reference: &[f32]) -> usize {
    found.iter().zip(reference).filter(|(x, r)| x.to_bits() != r.to_bits()).count()
        + lengths_apart(found, reference)
}

/// How many numbers are not the same.
pub(crate) fn unequal<T: PartialEq>(found: &[T], reference: &[T]) -> usize {
    found.iter().zip(reference).filter(|(x, r)| x != r).count() + lengths_apart(found, reference)
}

fn lengths_apart<T>(found: &[T], reference: &[T]) -> usize {
    found.len().abs_diff(reference.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_pick_what_numpy_picks() {
        let full = Array::new([3, 4], (0..12).collect()).unwrap();
        let kept = full.strided(&[2, 3]).unwrap();
        assert_eq!((kept.shape, kept.values), (vec![2, 2], vec![0, 3, 8, 11]));
        assert_eq!(full.slice(1, 2).unwrap().values, (4..12).collect::<Vec<_>>());
        assert!(full.slice(2, 2).is_err() && full.row(3).is_err() && full.strided(&[2]).is_err());
    }

    #[test]
    fn errors_are_relative_to_the_reference() {
        assert!((relative_l2(&[3.0, 4.5], &[3.0, 4.0]) - 0.1).abs() < 1e-12);
        assert_eq!(relative_l2(&[0.0, 2.0], &[0.0, 0.0]), 2.0);
        assert!(relative_l2(&[f32::NAN], &[1.0]).is_nan());
        assert_eq!(unequal_bits(&[0.0, 1.0], &[-0.0, 1.0]), 1);
        assert_eq!(unequal(&[1, 2], &[1, 2, 3]), 1);
    }
}
