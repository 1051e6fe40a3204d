//! The UNet, forward and backward.

use burn::tensor::{Device, Tensor, TensorData};
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
    Tensor::full([batch], timestep, &Device::flex())
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
            let found = Tensor::<1>::from_data(data, &Device::flex());
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
