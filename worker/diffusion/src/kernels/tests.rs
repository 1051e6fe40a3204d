//! Every kernel against the same operation composed of tensor functions on the CPU, forward and backward.
//!
//! The kernels for cards run in a build with the feature `wgpu`, on whatever Vulkan device there is: Mesa's `lavapipe` is one that
//! needs no card.

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation, module, ops::ConvOptions};

use super::*;
use crate::layers::{channels_first, channels_last};

/// Relative error of all numbers of a result together.
const LIMIT: f64 = 3e-6;

/// Where the kernels are tested.
fn devices() -> Vec<Device> {
    vec![
        Device::flex(),
        #[cfg(feature = "wgpu")]
        Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
    ]
}

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

/// `parameter` on the device of `x`, untracked.
fn beside<const D: usize, const E: usize>(x: &Tensor<D>, parameter: &Tensor<E>) -> Tensor<E> {
    parameter.clone().to_device(&x.device())
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

/// Holds `kernel` on every device against `composed` on the CPU, both on `x`: values, values of a tracked input, gradient of the input.
fn compare<const D: usize, const E: usize>(
    what: &str,
    x: Tensor<D>,
    kernel: impl Fn(Tensor<D>) -> Tensor<E>,
    composed: impl Fn(Tensor<D>) -> Tensor<E>,
) {
    let expected = composed(x.clone());
    let weights = sample(expected.dims(), 99);
    let gradient = |operation: &dyn Fn(Tensor<D>) -> Tensor<E>, x: Tensor<D>| {
        let x = x.autodiff().require_grad();
        let y = operation(x.clone());
        let weights = beside(&y, &weights);
        let gradients = (y * weights).sum().backward();
        values(x.grad(&gradients).unwrap())
    };
    let (expected, expected_gradient) = (values(expected), gradient(&composed, x.clone()));
    for device in devices() {
        let what = format!("{what} on {device:?}");
        let x = x.clone().to_device(&device);
        assert_close(&what, &values(kernel(x.clone())), &expected);
        assert_close(&format!("gradient of {what}"), &gradient(&kernel, x), &expected_gradient);
    }
}

/// A kernel's weight `[3, 3, inputs, outputs]` as the device of `x` wants it.
fn laid_out(x: &Tensor<4>, weight: &Tensor<4>) -> Tensor<4> {
    let weight = match convolves_outputs_first(&x.device()) {
        true => weight.clone().permute([3, 0, 1, 2]),
        false => weight.clone(),
    };
    let packed = Tensor::<4>::from_data(weight.into_data(), &Device::flex());
    beside(x, &packed)
}

fn composed_convolution(x: Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, sampling: Sampling) -> Tensor<4> {
    let (stride, before, after) = sampling.stride_and_padding();
    let options = ConvOptions::new_with_padding([stride; 2], [(before, after); 2], [1; 2], 1);
    let weight = weight.clone().permute([3, 2, 0, 1]);
    channels_last(module::conv2d(channels_first(x), weight, Some(bias.clone()), options))
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
            compare(
                &format!("{sampling:?} on {height}x{width}"),
                x,
                |x| conv3x3(x.clone(), laid_out(&x, &weight), beside(&x, &bias), sampling),
                |x| composed_convolution(x, &weight, &bias, sampling),
            );
        }
    }
}

#[test]
fn convolution_in_several_strips() {
    let (x, weight, bias) = (sample([1, 70, 64, 32], 1), sample([3, 3, 32, 4], 2), sample([4], 3));
    compare(
        "a tall picture",
        x,
        |x| conv3x3(x.clone(), laid_out(&x, &weight), beside(&x, &bias), Sampling::Same),
        |x| composed_convolution(x, &weight, &bias, Sampling::Same),
    );
}

#[test]
fn linear_layers() {
    let (weight, bias) = (sample([6, 9], 2), sample([9], 3));
    for bias in [None, Some(bias)] {
        compare(
            &format!("a linear layer, bias {}", bias.is_some()),
            sample([3, 5, 6], 1),
            |x| linear(x.clone(), beside(&x, &weight), bias.as_ref().map(|bias| beside(&x, bias))),
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
    for [height, width, channels, groups] in [[4, 6, 12, 3], [1, 1, 12, 2], [20, 17, 32, 8], [9, 9, 20, 2]] {
        let x = sample([3, height, width, channels], 4) * 0.3 + 1.0;
        let (gamma, beta) = (sample([channels], 5) + 1.5, sample([channels], 6));
        for activate in [false, true] {
            let grouping = Grouping { groups, epsilon: 1e-5, activate };
            compare(
                &format!("group norm of {height}x{width}x{channels}, SiLU {activate}"),
                x.clone(),
                |x| group_norm(x.clone(), beside(&x, &gamma), beside(&x, &beta), grouping),
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
    for width in [5, 16, 40, 192, 1280] {
        let x = sample([2, 7, width], 7) + 1.0;
        let (gamma, beta) = (sample([width], 8) + 1.5, sample([width], 9));
        compare(
            &format!("layer norm of width {width}"),
            x,
            |x| layer_norm(x.clone(), beside(&x, &gamma), beside(&x, &beta), 1e-5),
            |x| composed_layer_norm(x, gamma.clone(), beta.clone()),
        );
    }
}

fn composed_layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    centred / (variance + 1e-5).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[test]
fn normalisation_of_rows_with_gaps_between_them() {
    // A part of wider rows is a view where the gap is as long as a card wants: its rows stay where they are.
    const GAP: usize = 128;
    let (gamma, beta) = (sample([32], 5) + 1.5, sample([32], 6));
    let grouping = Grouping { groups: 4, epsilon: 1e-5, activate: false };
    compare(
        "group norm of a part of wider pixels",
        sample([2, 5, 3, 32 + GAP], 4) + 1.0,
        |x| group_norm(x.clone().narrow(3, 0, 32), beside(&x, &gamma), beside(&x, &beta), grouping),
        |x| composed_group_norm(x.narrow(3, 0, 32), gamma.clone(), beta.clone(), 4),
    );
    compare(
        "layer norm of a part of wider rows",
        sample([2, 7, 32 + GAP], 7) + 1.0,
        |x| layer_norm(x.clone().narrow(2, 0, 32), beside(&x, &gamma), beside(&x, &beta), 1e-5),
        |x| composed_layer_norm(x.narrow(2, 0, 32), gamma.clone(), beta.clone()),
    );
}

/// Attention of tensor functions, every score there at once.
fn composed_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, weighing: Weighing) -> Tensor<4> {
    let ([_, _, n, _], [_, _, m, _]) = (query.dims(), key.dims());
    let hidden = |row: usize, column: usize| weighing.causal && column > row;
    let mask = (0..n * m).map(|index| if hidden(index / m, index % m) { f32::NEG_INFINITY } else { 0.0 });
    let mask = TensorData::new(mask.collect::<Vec<_>>(), [1, 1, n, m]);
    let mask = Tensor::<4>::from_data(mask, &Device::flex());
    activation::softmax(query.matmul(key.swap_dims(2, 3)) * weighing.scale + mask, 3).matmul(value)
}

#[test]
fn attention_to_others_and_to_earlier_ones() {
    for (n, m, causal) in [(5, 3, false), (16, 77, false), (7, 7, true), (33, 33, true)] {
        let [query, key, value] =
            [(n, 10), (m, 11), (m, 12)].map(|(n, seed)| sample([2, 3, n, 8], seed) * 3.0);
        let weighing = Weighing { scale: 0.35, causal };
        let what = |input: &str| format!("attention of {n} to {m}, causal {causal}, by its {input}");
        compare(
            &what("queries"),
            query.clone(),
            |x| attention(x.clone(), beside(&x, &key), beside(&x, &value), weighing),
            |x| composed_attention(x, key.clone(), value.clone(), weighing),
        );
        compare(
            &what("keys"),
            key.clone(),
            |x| attention(beside(&x, &query), x.clone(), beside(&x, &value), weighing),
            |x| composed_attention(query.clone(), x, value.clone(), weighing),
        );
        compare(
            &what("values"),
            value.clone(),
            |x| attention(beside(&x, &query), beside(&x, &key), x, weighing),
            |x| composed_attention(query.clone(), key.clone(), x, weighing),
        );
    }
}

#[test]
fn attention_in_several_pieces() {
    let [query, key, value] = [20, 21, 22].map(|seed| sample([1, 2, 1600, 8], seed));
    for causal in [false, true] {
        let weighing = Weighing { scale: 0.35, causal };
        compare(
            &format!("attention by all its inputs in two pieces, causal {causal}"),
            query.clone(),
            |x| attention(x.clone(), beside(&x, &key) + x.clone(), beside(&x, &value) + x, weighing),
            |x| composed_attention(x.clone(), key.clone() + x.clone(), value.clone() + x, weighing),
        );
    }
}

#[test]
fn gelu() {
    let x = sample([4, 333], 11) * 5.0;
    compare("gelu", x, exact_gelu, activation::gelu);
}

#[test]
fn gelu_as_a_gate() {
    for width in [26, 64] {
        let x = sample([3, 5, width], 12) * 3.0;
        let half = width / 2;
        compare("gated gelu", x, gated_gelu, |x| {
            x.clone().narrow(2, 0, half) * activation::gelu(x.narrow(2, half, half))
        });
    }
}

#[test]
fn views_are_read_in_their_own_order() {
    for device in devices() {
        let x = sample([3, 4, 5], 13).to_device(&device);
        let view = x.permute([2, 0, 1]).narrow(0, 1, 3);
        let copy = Tensor::<3>::from_data(view.clone().into_data(), &device);
        assert_eq!(values(exact_gelu(view)), values(exact_gelu(copy)), "{device:?}");
    }
}

#[test]
fn constants_stay_off_the_graph() {
    let y = exact_gelu(Tensor::<2>::random([2, 2], Distribution::Default, &Device::flex()));
    assert!(!y.device().is_autodiff());
    assert!(serve(&y));
    assert!(!serve(&y.cast(burn::tensor::FloatDType::BF16)));
}
