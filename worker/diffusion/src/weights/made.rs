//! Weights that are in no file: random ones, to time a model of any size, and none at all, to count one.

use std::cell::Cell;

use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor};

/// Makes up every tensor that it is asked for, and counts their numbers.
#[derive(Debug)]
pub struct MadeWeights {
    fill: Fill,
    parameters: Cell<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    Random,
    Nothing,
}

impl MadeWeights {
    /// Numbers that keep activations of about unit variance: normal ones of deviation `1/sqrt(inputs)`, and where there is one
    /// dimension, ones for a `weight` (a normalisation's) and zeros for a `bias`. They are made on the device; whoever wants
    /// them again seeds the device before.
    pub fn random() -> Self {
        Self { fill: Fill::Random, parameters: Cell::new(0) }
    }

    /// Tensors that have a shape and take no room: to be counted, not to be computed with.
    pub fn counted() -> Self {
        Self { fill: Fill::Nothing, parameters: Cell::new(0) }
    }

    /// Numbers in all tensors so far.
    pub fn parameters(&self) -> u64 {
        self.parameters.get()
    }

    /// A tensor as the device is to have it, of so many outputs in whatever order; rows of a table count as outputs.
    pub(super) fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        outputs: usize,
        device: &Device,
        dtype: FloatDType,
    ) -> Tensor<D> {
        let numbers: usize = shape.iter().product();
        self.parameters.set(self.parameters.get() + numbers as u64);
        let options = (device, DType::from(dtype));
        match (self.fill, name) {
            (Fill::Nothing, _) => Tensor::<D>::zeros([1; D], options).expand(shape),
            (Fill::Random, "bias") if D == 1 => Tensor::zeros(shape, options),
            (Fill::Random, _) if D == 1 => Tensor::ones(shape, options),
            (Fill::Random, _) => {
                let inputs = numbers / outputs.max(1);
                let normal = Distribution::Normal(0.0, 1.0 / (inputs.max(1) as f64).sqrt());
                // not every device draws in a narrower type
                Tensor::<D>::random(shape, normal, (device, DType::F32)).cast(dtype)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Weights;

    #[test]
    fn random_weights_keep_the_variance_and_come_again_with_their_seed() {
        let device = Device::flex();
        let made = MadeWeights::random();
        let root = Weights::made(&made, &device, FloatDType::F32);
        device.seed(3);
        let kernel = root.kernel("weight", [64, 32, 3, 3]).unwrap();
        assert_eq!(kernel.dims(), [3, 3, 32, 64]);
        let table = root.tensor("token_embedding.weight", [100, 64]).unwrap();
        let variance = |tensor: Tensor<2>| tensor.square().mean().into_scalar::<f32>();
        let relative = variance(kernel.reshape([288, 64])) * 288.0;
        assert!((relative - 1.0).abs() < 0.05, "{relative}");
        assert!((variance(table) * 64.0 - 1.0).abs() < 0.1);
        let norm: Vec<f32> = root.tensor("weight", [4]).unwrap().into_data().try_to_vec().unwrap();
        let bias: Vec<f32> = root.tensor("bias", [4]).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!((norm, bias), (vec![1.0; 4], vec![0.0; 4]));
        assert_eq!(made.parameters(), 64 * 32 * 9 + 6400 + 8);

        let draw = || {
            device.seed(5);
            root.matrix("weight", [3, 2]).unwrap().into_data()
        };
        // the seed may be the whole process's, where another test can draw in between
        assert!((0..5).any(|_| draw() == draw()));
    }
}
