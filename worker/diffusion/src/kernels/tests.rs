//! Every kernel against the same operation composed of tensor functions, forward and backward.

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation, module, ops::ConvOptions};

use super::*;
use crate::layers::{channels_first, channels_last};

const LIMIT: f64 = 3e-6;

/// Numbers that look random but are the same every time, from -1 to 1.
fn sample<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let norm: f64 = expected.iter().map(|b| f64::from(*b).powi(2)).sum();
    let error = (difference / norm.max(1e-30)).sqrt();
    assert!(error < LIMIT, "{what}: relative error {error:.1e}");
}

/// Holds `kernel` against `composed` on `x`: values, values of a tracked input, gradient of the input.
fn compare<const D: usize, const E: usize>(
    what: &str,
    x: Tensor<D>,
    kernel: impl Fn(Tensor<D>) -> Tensor<E>,
    composed: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let expected = composed(x.clone());
    let weights = sample(expected.dims(), 99);
    assert_close(what, &values(kernel(x.clone())), &values(expected));

    let gradient = |operation: &dyn Fn(Tensor<D>) -> Tensor<E>| {
        let x = x.clone().autodiff().require_grad();
        let gradients = (operation(x.clone()) * weights.clone()).sum().backward();
        values(x.grad(&gradients).unwrap())
    };
    assert_close(&format!("gradient of {what}"), &gradient(&kernel), &gradient(&composed));
}

#[test]
fn convolution() {
    for sampling in [Sampling::Same, Sampling::HalvePadAll, Sampling::HalvePadRightBottom] {
        for [height, width] in [[8, 8], [5, 7], [2, 3], [40, 33]] {
            if sampling == Sampling::HalvePadRightBottom && height % 2 == 1 {
                continue;
            }
            let (x, weight, bias) =
                (sample([2, height, width, 6], 1), sample([3, 3, 6, 5], 2), sample([5], 3));
            let (stride, before, after) = sampling.stride_and_padding();
            compare(
                &format!("{sampling:?} on {height}x{width}"),
                x,
                |x| conv3x3(x, weight.clone(), bias.clone(), sampling),
                |x| {
                    let options = ConvOptions::new_with_padding([stride; 2], [(before, after); 2], [1; 2], 1);
                    let weight = weight.clone().permute([3, 2, 0, 1]);
                    channels_last(module::conv2d(channels_first(x), weight, Some(bias.clone()), options))
                },
            );
        }
    }
}

#[test]
fn convolution_in_several_strips() {
    let (x, weight, bias) = (sample([1, 70, 64, 32], 1), sample([3, 3, 32, 4], 2), sample([4], 3));
    let options = || ConvOptions::new([1; 2], [1; 2], [1; 2], 1);
    compare(
        "a tall picture",
        x,
        |x| conv3x3(x, weight.clone(), bias.clone(), Sampling::Same),
        |x| {
            let weight = weight.clone().permute([3, 2, 0, 1]);
            channels_last(module::conv2d(channels_first(x), weight, Some(bias.clone()), options()))
        },
    );
}

#[test]
fn linear_layers() {
    let (weight, bias) = (sample([6, 9], 2), sample([9], 3));
    for bias in [None, Some(bias)] {
        compare(
            &format!("a linear layer, bias {}", bias.is_some()),
            sample([3, 5, 6], 1),
            |x| linear(x, weight.clone(), bias.clone()),
            |x| {
                let y = x.matmul(weight.clone().unsqueeze());
                bias.clone().map_or(y.clone(), |bias| y + bias.unsqueeze())
            },
        );
    }
}

fn composed_group_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let grouped = x.reshape([batch, height * width, groups, channels / groups]);
    let centred = grouped.clone() - grouped.mean_dim(3).mean_dim(1);
    let variance = centred.clone().square().mean_dim(3).mean_dim(1);
    let normed = (centred / (variance + 1e-5).sqrt()).reshape([batch, height, width, channels]);
    normed * gamma.unsqueeze() + beta.unsqueeze()
}

#[test]
fn group_normalisation() {
    for [height, width, channels, groups] in [[4, 6, 12, 3], [1, 1, 12, 2], [20, 17, 32, 8]] {
        let x = sample([3, height, width, channels], 4) * 0.3 + 1.0;
        let (gamma, beta) = (sample([channels], 5) + 1.5, sample([channels], 6));
        for activate in [false, true] {
            compare(
                &format!("group norm of {height}x{width}x{channels}, SiLU {activate}"),
                x.clone(),
                |x| group_norm(x, gamma.clone(), beta.clone(), groups, 1e-5, activate),
                |x| {
                    let y = composed_group_norm(x, gamma.clone(), beta.clone(), groups);
                    if activate { activation::silu(y) } else { y }
                },
            );
        }
    }
}

#[test]
fn layer_normalisation() {
    for width in [5, 16, 40, 192] {
        let x = sample([2, 7, width], 7) + 1.0;
        let (gamma, beta) = (sample([width], 8) + 1.5, sample([width], 9));
        compare(
            &format!("layer norm of width {width}"),
            x,
            |x| layer_norm(x, gamma.clone(), beta.clone(), 1e-5),
            |x| {
                let centred = x.clone() - x.mean_dim(2);
                let variance = centred.clone().square().mean_dim(2);
                centred / (variance + 1e-5).sqrt() * gamma.clone().unsqueeze() + beta.clone().unsqueeze()
            },
        );
    }
}

#[test]
fn softmax_of_scaled_scores() {
    for width in [1, 3, 16, 77] {
        let x = sample([2, 3, 5, width], 10) * 20.0;
        compare(
            &format!("softmax of width {width}"),
            x,
            |x| scaled_softmax(x, 0.3),
            |x| activation::softmax(x * 0.3, 3),
        );
    }
}

#[test]
fn softmax_leaves_hidden_positions_out() {
    let scores = Tensor::<2>::from_data([[0.0, f32::NEG_INFINITY, 0.0]], &Device::flex());
    let found = values(scaled_softmax(scores, 1.0));
    assert_eq!((found[0], found[2]), (0.5, 0.5));
    assert!(found[1] < 1e-37, "a hidden position has probability {}", found[1]);
}

#[test]
fn gelu() {
    let x = sample([4, 333], 11) * 5.0;
    compare("gelu", x, exact_gelu, activation::gelu);
}

#[test]
fn gelu_as_a_gate() {
    let x = sample([3, 5, 26], 12) * 3.0;
    compare("gated gelu", x, gated_gelu, |x| {
        x.clone().narrow(2, 0, 13) * activation::gelu(x.narrow(2, 13, 13))
    });
}

#[test]
fn views_are_read_in_their_own_order() {
    let x = sample([3, 4, 5], 13);
    let view = x.clone().permute([2, 0, 1]).narrow(0, 1, 3);
    let copy = Tensor::<3>::from_data(view.clone().into_data(), &Device::flex());
    assert_eq!(values(exact_gelu(view)), values(exact_gelu(copy)));
}

#[test]
fn constants_stay_off_the_graph() {
    let y = exact_gelu(Tensor::<2>::random([2, 2], Distribution::Default, &Device::flex()));
    assert!(!y.device().is_autodiff());
    assert!(serve(&y));
    assert!(!serve(&y.cast(burn::tensor::FloatDType::BF16)));
}
