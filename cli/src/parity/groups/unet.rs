//! The UNet's forward pass, and its inside where the reference keeps it.

use burn::tensor::{Device, Tensor, TensorData};
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::unet::Taps;

use crate::parity::reference::{Found, RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(model) = super::model(subject, report) else { return Ok(()) };
    let Some(file) = reference.file("unet")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let device = &subject.device;
    let sample: Array<f32> = file.input("sample")?;
    let context: Array<f32> = file.input("context")?;
    let forward = |sample: &Array<f32>, times: Vec<f32>, context: &Array<f32>| {
        let out = model.unet.forward(sample.tensor(device)?, column(times, device), context.tensor(device)?);
        Array::read(out)
    };

    each_timestep(&file, &sample, &context, report, &forward)?;
    let times = floats(&file.input::<i64>("timesteps_batch")?.values);
    report.tensor(
        "out_batch",
        &forward(&sample, times, &context)?,
        file.expected("out_batch")?,
        report.limits().pass,
    );
    let narrow: Array<f32> = file.input("sample_nonsquare")?;
    let times = floats(&file.input::<i64>("timestep_nonsquare")?.values);
    let out = forward(&narrow, times, &context.slice(0, narrow.rows())?)?;
    report.tensor("out_nonsquare", &out, file.expected("out_nonsquare")?, report.limits().pass);
    inside(&file, model, &sample, &context, device, report)
}

/// The UNet on a sample, a timestep for each row, and a context.
type Forward<'a> = dyn Fn(&Array<f32>, Vec<f32>, &Array<f32>) -> anyhow::Result<Array<f32>> + 'a;

/// `out[i]`: all rows at `timesteps[i]`. A folder may keep every n-th of them.
fn each_timestep(
    file: &RefFile<'_>,
    sample: &Array<f32>,
    context: &Array<f32>,
    report: &mut Report,
    forward: &Forward<'_>,
) -> anyhow::Result<()> {
    let times: Array<i64> = file.input("timesteps")?;
    let mut out = Vec::new();
    for time in floats(&times.values) {
        out.extend(forward(sample, vec![time; sample.rows()], context)?.values);
    }
    let shape = [vec![times.rows()], sample.shape.clone()].concat();
    report.tensor("out", &Array::new(shape, out)?, file.expected("out")?, report.limits().pass);
    Ok(())
}

/// Activations named `act500_down0_resnet0`: module and time step in the name.
fn inside(
    file: &RefFile<'_>,
    model: &StableDiffusion,
    sample: &Array<f32>,
    context: &Array<f32>,
    device: &Device,
    report: &mut Report,
) -> anyhow::Result<()> {
    let names: Vec<&str> = file.names().filter(|name| name.starts_with("act")).collect();
    if names.is_empty() {
        report.absent("act500_*", "not in this folder's manifest");
        return Ok(());
    }
    let mut seen = None;
    for name in names {
        let expected = file.expected::<f32>(name)?;
        let Found::Here(kept) = &expected else {
            report.absent(name, "left out of this folder");
            continue;
        };
        let rows = kept.full_shape.first().copied().unwrap_or(0);
        let Some((time, module)) = module_of(name) else {
            report.failed(name, "no module of the UNet has this name");
            continue;
        };
        if seen.as_ref().is_none_or(|(key, _)| *key != (time, rows)) {
            let mut taps = Taps::recording();
            let times = column(vec![time as f32; rows], device);
            let (sample, context) = (sample.slice(0, rows)?, context.slice(0, rows)?);
            model.unet.forward_tapped(sample.tensor(device)?, times, context.tensor(device)?, &mut taps);
            seen = Some(((time, rows), taps.into_activations()));
        }
        match seen.as_ref().and_then(|(_, activations)| activations.get(&module)) {
            Some(activation) => {
                let values = activation.clone().convert::<f32>().try_to_vec();
                let values = values.map_err(|error| anyhow::anyhow!("cannot read {module}: {error:?}"))?;
                report.tensor(
                    name,
                    &Array::new(activation.shape().to_vec(), values)?,
                    expected,
                    report.limits().pass,
                );
            }
            None => report.failed(name, format!("the UNet shows no activation of {module}")),
        }
    }
    Ok(())
}

/// `act500_down0_attn0_block_ff` is `down_blocks.0.attentions.0.transformer_blocks.0.ff` at 500.
fn module_of(name: &str) -> Option<(u32, String)> {
    let (time, path) = name.strip_prefix("act")?.split_once('_')?;
    let numbered = |word: &str, stem: &str, module: &str| {
        let index: usize = word.strip_prefix(stem)?.parse().ok()?;
        Some(format!("{module}.{index}"))
    };
    let whole = ["time_proj", "time_embedding", "conv_in", "mid_block", "conv_norm_out"];
    if whole.contains(&path) {
        return Some((time.parse().ok()?, path.to_owned()));
    }
    let parts = path.split('_').map(|word| match word {
        "block" => Some("transformer_blocks.0".to_owned()),
        "attn1" | "attn2" | "ff" if path.contains("_block_") => Some(word.to_owned()),
        _ => numbered(word, "down", "down_blocks")
            .or_else(|| numbered(word, "up", "up_blocks"))
            .or_else(|| numbered(word, "resnet", "resnets"))
            .or_else(|| numbered(word, "attn", "attentions")),
    });
    Some((time.parse().ok()?, parts.collect::<Option<Vec<_>>>()?.join(".")))
}

/// Time steps as a tensor, one a row.
pub(super) fn column(times: Vec<f32>, device: &Device) -> Tensor<1> {
    let rows = times.len();
    Tensor::from_data(TensorData::new(times, [rows]), device)
}

pub(super) fn floats(times: &[i64]) -> Vec<f32> {
    times.iter().map(|time| *time as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_activations_are_modules() {
        let module = |name| module_of(name).unwrap();
        assert_eq!(module("act500_time_proj"), (500, "time_proj".to_owned()));
        assert_eq!(module("act12_down0_resnet1"), (12, "down_blocks.0.resnets.1".to_owned()));
        let ff = "down_blocks.0.attentions.0.transformer_blocks.0.ff".to_owned();
        assert_eq!(module("act500_down0_attn0_block_ff"), (500, ff));
        let attention = "down_blocks.0.attentions.0.transformer_blocks.0.attn2".to_owned();
        assert_eq!(module("act500_down0_attn0_block_attn2"), (500, attention));
        assert_eq!(module("act500_up3"), (500, "up_blocks.3".to_owned()));
        assert!(module_of("act500_sideways0").is_none());
    }
}
