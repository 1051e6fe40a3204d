//! The autoencoder, both ways, on pictures of two shapes.

use anyhow::Context;
use burn::tensor::{Device, FloatDType, Tensor};
use likeness_diffusion::stable_diffusion::StableDiffusion;

use crate::parity::reference::{Expected, Found, RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(model) = super::model(subject, report) else { return Ok(()) };
    let Some(file) = reference.file("vae")? else {
        report.absent("everything", "left out of this folder");
        return Ok(());
    };
    let pictures = pictures(reference, &file, report)?;
    encode(&file, model, &pictures, &subject.device, report)?;
    for suffix in ["", "_nonsquare"] {
        let latents = file.input::<f32>(&format!("decode_in{suffix}"))?.tensor::<4>(&subject.device)?;
        let image = Array::read(model.vae.decode(latents / model.vae.scaling_factor()))?;
        let name = format!("decode_out{suffix}");
        report.tensor(&name, &image, file.expected(&name)?, report.limits().pass);
    }
    Ok(())
}

/// The first training pictures, as many as the folder has: (N, H, W, 3).
fn pictures(reference: &Reference, file: &RefFile<'_>, report: &mut Report) -> anyhow::Result<Array<i64>> {
    let Found::Here(mean) = file.expected::<f32>("mean")? else {
        anyhow::bail!("the reference has no mean to compare with");
    };
    let (mut shape, mut values, mut count) = (Vec::new(), Vec::new(), 0);
    for index in 0..mean.full_shape.first().copied().unwrap_or(0) {
        let Found::Here(picture) = reference.picture(&format!("images/train_{index}.png"))? else { break };
        shape = picture.full_shape;
        values.extend(picture.array.values);
        count += 1;
    }
    shape.insert(0, count);
    let pictures = Array::new(shape, values)?;
    report.integers("images", &pictures, first_rows(file.expected("images_u8")?, count)?);
    Ok(pictures)
}

fn encode(
    file: &RefFile<'_>,
    model: &StableDiffusion,
    pictures: &Array<i64>,
    device: &Device,
    report: &mut Report,
) -> anyhow::Result<()> {
    let count = pictures.rows();
    if count == 0 {
        report.absent("mean, logvar, latents", "no picture is in this folder");
        return Ok(());
    }
    let images = network_input(pictures)?;
    let moments = model.vae.encode(images.tensor::<4>(device)?);
    let (mean, logvar) = (Array::read(moments.mean.clone())?, Array::read(moments.logvar.clone())?);
    report.tensor("mean", &mean, first_rows(file.expected("mean")?, count)?, report.limits().pass);
    report.tensor("logvar", &logvar, first_rows(file.expected("logvar")?, count)?, report.limits().pass);
    if let Some(eps) = file.optional_input::<f32>("sample_eps")? {
        let eps = eps.slice(0, count)?.tensor::<4>(device)?;
        let (mean, logvar) = (moments.mean.cast(FloatDType::F32), moments.logvar.cast(FloatDType::F32));
        let latents = (mean + (logvar * 0.5).exp() * eps) * model.vae.scaling_factor();
        report.tensor(
            "latents",
            &Array::read(latents)?,
            first_rows(file.expected("latents")?, count)?,
            report.limits().pass,
        );
    }

    let Found::Here(narrow) = file.expected::<f32>("mean_nonsquare")? else {
        report.absent("mean_nonsquare", "left out of this folder");
        return Ok(());
    };
    let factor = model.vae_factor() as usize;
    let [_, _, height, width] = narrow.full_shape[..] else {
        anyhow::bail!("mean_nonsquare has the shape {:?}", narrow.full_shape);
    };
    let first: Tensor<4> = images.slice(0, 1)?.tensor(device)?;
    let crop = first.narrow(2, 0, height * factor).narrow(3, 0, width * factor);
    let moments = model.vae.encode(crop);
    report.tensor("mean_nonsquare", &Array::read(moments.mean)?, Found::Here(narrow), report.limits().pass);
    report.tensor(
        "logvar_nonsquare",
        &Array::read(moments.logvar)?,
        file.expected("logvar_nonsquare")?,
        report.limits().pass,
    );
    Ok(())
}

/// `byte / 127.5 - 1`, channels first: (N, 3, H, W).
fn network_input(pictures: &Array<i64>) -> anyhow::Result<Array<f32>> {
    let [count, height, width, 3] = pictures.shape[..] else {
        anyhow::bail!("pictures of shape {:?}", pictures.shape);
    };
    let pixels = height * width;
    let mut values = vec![0.0; pictures.values.len()];
    for (index, byte) in pictures.values.iter().enumerate() {
        let (picture, pixel, channel) = (index / 3 / pixels, index / 3 % pixels, index % 3);
        values[(picture * 3 + channel) * pixels + pixel] = *byte as f32 / 127.5 - 1.0;
    }
    Array::new(vec![count, 3, height, width], values)
}

/// The first rows of what the reference has.
fn first_rows<T: Copy>(found: Found<T>, count: usize) -> anyhow::Result<Found<T>> {
    found.map(|expected| {
        let Expected { mut full_shape, every, array, quantity } = expected;
        let first = full_shape.first_mut().context("a tensor without axes")?;
        *first = count.min(*first);
        let kept = first.div_ceil(every.first().copied().unwrap_or(1));
        Ok(Expected { array: array.slice(0, kept)?, full_shape, every, quantity })
    })
}
