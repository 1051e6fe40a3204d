//! The UNet, forward and backward.

use burn::tensor::{Tensor, TensorData};
use likeness_diffusion::UNet2DCondition;
use likeness_diffusion::unet::{Taps, UNetConfig};

use crate::{folder, load};

const LIMIT: f64 = 1e-4;

fn open(folder: &folder::Folder) -> UNet2DCondition {
    let part = folder.model().join("unet");
    let config = UNetConfig::read(&part.join("config.json")).unwrap();
    load(part.join("diffusion_pytorch_model.safetensors"), |weights| UNet2DCondition::load(weights, &config))
        .unwrap()
}

/// One timestep for each of `batch` rows.
fn times(timestep: f64, batch: usize) -> Tensor<1> {
    Tensor::full([batch], timestep, &crate::device())
}

#[test]
fn predictions_are_the_reference_predictions() {
    for folder in folder::with_weights("unet") {
        let (unet, expected) = (open(&folder), folder.tensors("unet"));
        let (sample, context) = (expected.get("sample").tensor::<4>(), expected.get("context").tensor::<3>());
        let batch = sample.dims()[0];
        let mut seen = 0;
        for (index, &timestep) in expected.get("timesteps").values.iter().enumerate() {
            let Some(expected) = expected.get("out").row(index) else { continue };
            let found = unet.forward(sample.clone(), times(timestep, batch), context.clone());
            expected.check(&format!("{} unet at {timestep}", folder.name), found, LIMIT);
            seen += 1;
        }
        assert!(seen >= 3, "{} keeps too few timesteps", folder.name);

        let timesteps = expected.get("timesteps_batch").tensor::<1>();
        let found = unet.forward(sample, timesteps, context);
        expected.get("out_batch").check(&format!("{} unet, mixed timesteps", folder.name), found, LIMIT);
    }
}

#[test]
fn latents_need_not_be_square() {
    for folder in folder::with_weights("unet") {
        let (unet, expected) = (open(&folder), folder.tensors("unet"));
        let found = unet.forward(
            expected.get("sample_nonsquare").tensor(),
            expected.get("timestep_nonsquare").tensor(),
            expected.get("context").tensor::<3>().narrow(0, 0, 1),
        );
        expected.get("out_nonsquare").check(&format!("{} unet, 8x24 latents", folder.name), found, LIMIT);
    }
}

#[test]
fn activations_are_the_reference_activations() {
    let mut seen = 0;
    for folder in folder::with_weights("unet") {
        let expected = folder.tensors("unet");
        let Some(first) = expected.find("act500_conv_in") else { continue };
        let batch = first.shape[0];
        let unet = open(&folder);
        let mut taps = Taps::recording();
        unet.forward_tapped(
            expected.get("sample").tensor::<4>().narrow(0, 0, batch),
            times(500.0, batch),
            expected.get("context").tensor::<3>().narrow(0, 0, batch),
            &mut taps,
        );
        let activations = taps.into_activations();
        for name in expected.names().filter(|name| name.starts_with("act500_")) {
            let module = module_name(name.trim_start_matches("act500_"));
            let data = activations.get(&module).unwrap_or_else(|| panic!("no activation {module}"));
            let data = TensorData::new(data.try_to_vec::<f32>().unwrap(), [data.num_elements()]);
            let found = Tensor::<1>::from_data(data, &crate::device());
            let expected = expected.get(name).flat();
            expected.check(&format!("{} {module}", folder.name), found, LIMIT);
            seen += 1;
        }
    }
    assert!(seen >= 10, "no reference folder shows the UNet's inside");
}

/// `down0_attn0_block_ff` to the reference library's module name.
fn module_name(short: &str) -> String {
    if ["time_proj", "time_embedding", "conv_in", "mid_block", "conv_norm_out"].contains(&short) {
        return short.to_owned();
    }
    let parts = short.split('_').map(|part| {
        let name = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = &part[name.len()..];
        match name {
            "down" | "up" => format!("{name}_blocks.{number}"),
            "resnet" => format!("resnets.{number}"),
            "attn" if short.contains("block_attn") && short.ends_with(part) => part.to_owned(),
            "attn" => format!("attentions.{number}"),
            "block" => "transformer_blocks.0".to_owned(),
            _ => part.to_owned(),
        }
    });
    parts.collect::<Vec<_>>().join(".")
}

#[test]
fn the_gradient_of_the_context_is_the_reference_gradient() {
    for folder in folder::with_weights("unet") {
        let (unet, expected) = (open(&folder), folder.tensors("unet_backward"));
        let context = expected.get("context").tensor::<3>().autodiff().require_grad();
        let out =
            unet.forward(expected.get("sample").tensor(), expected.get("timestep").tensor(), context.clone());
        let gradients = (out * expected.get("cotangent").tensor::<4>()).sum().backward();
        let found = context.grad(&gradients).unwrap();
        expected.get("grad_context").check(&format!("{} unet gradient", folder.name), found, LIMIT);
    }
}

/// The gradient of the context by autodiff, and the prediction and that gradient in little memory.
fn both_ways(
    unet: &UNet2DCondition,
    (sample, times, context): (Tensor<4>, Tensor<1>, Tensor<3>),
    cotangent: &Tensor<4>,
) -> (Tensor<3>, Tensor<4>, Tensor<3>) {
    let leaf = context.clone().autodiff().require_grad();
    let out = unet.forward(sample.clone(), times.clone(), leaf.clone());
    let kept = leaf.grad(&(out * cotangent.clone()).sum().backward()).unwrap();
    let (prediction, tape) = unet.forward_checkpointed(sample, times, context);
    (kept, prediction, tape.context_gradient(cotangent.clone()))
}

#[test]
fn the_way_back_in_little_memory_ends_at_the_same_gradient() {
    for folder in folder::with_weights("unet") {
        let (unet, expected) = (open(&folder), folder.tensors("unet_backward"));
        let sample = expected.get("sample").tensor::<4>();
        let (times, context) = (expected.get("timestep").tensor(), expected.get("context").tensor::<3>());
        let cotangent = expected.get("cotangent").tensor::<4>();
        // as the reference has them, and of an odd size, which the way up meets again
        let [_, _, height, width] = sample.dims();
        for [height, width] in [[height, width], [height - 1, width - 3]] {
            let cut = |x: &Tensor<4>| x.clone().narrow(2, 0, height).narrow(3, 0, width);
            let (sample, cotangent) = (cut(&sample), cut(&cotangent));
            let plain = unet.forward(sample.clone(), times.clone(), context.clone()).into_data();
            let (kept, prediction, found) =
                both_ways(&unet, (sample, times.clone(), context.clone()), &cotangent);
            assert_eq!(prediction.into_data(), plain, "{}: the prediction is the plain one", folder.name);
            let error = distance(found.clone(), kept);
            assert!(error < 1e-5, "{} at {height}x{width}: {error:e}", folder.name);
            if width == expected.get("sample").shape[3] {
                let what = format!("{} unet gradient in little memory", folder.name);
                expected.get("grad_context").check(&what, found, LIMIT);
            }
        }
    }
}

/// `|a - b| / |b|`.
fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    let length = |x: Tensor<D>| x.square().sum().sqrt().into_scalar::<f32>();
    let size = length(b.clone());
    assert!(size > 0.0, "there is nothing to compare with");
    length(a - b) / size
}

#[test]
fn a_prepared_context_serves_any_number_of_evaluations() {
    for folder in folder::with_weights("unet") {
        let (unet, expected) = (open(&folder), folder.tensors("unet"));
        let (sample, context) = (expected.get("sample").tensor::<4>(), expected.get("context").tensor::<3>());
        let prepared = unet.prepare_context(context.clone());
        for (sample, timestep) in [(sample.clone(), 981.0), (sample.clone() * 0.7, 41.0)] {
            let times = times(timestep, sample.dims()[0]);
            let found = unet.forward_prepared(sample.clone(), times.clone(), &prepared).into_data();
            assert_eq!(found, unet.forward(sample, times, context.clone()).into_data(), "{}", folder.name);
        }
    }
}
