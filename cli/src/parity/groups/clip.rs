//! CLIP: the folder's model in `clip/` on the reference's pictures and the manifest's prompts.

use anyhow::Context;
use likeness_diffusion::clip::{Clip, cosines};
use likeness_diffusion::picture::RgbPicture;

use crate::parity::reference::{RefFile, Reference};
use crate::parity::report::Report;
use crate::parity::subject::Subject;
use crate::parity::values::Array;

pub(crate) fn check(reference: &Reference, subject: &Subject, report: &mut Report) -> anyhow::Result<()> {
    let Some(file) = reference.file("clip")? else {
        report.absent("everything", "this folder has no CLIP model");
        return Ok(());
    };
    let clip = Clip::load(&reference.folder().join("clip"), &subject.device, subject.dtype)
        .context("cannot load the model of clip/")?;
    let pictures = pictures(&file)?;
    let mut cropped = Vec::new();
    for picture in &pictures {
        cropped.extend(clip.preprocessing().cropped(picture)?.pixels.into_iter().map(i64::from));
    }
    let [height, width] = clip.preprocessing().crop();
    let cropped = Array::new([pictures.len(), height, width, 3], cropped)?;
    report.integers("cropped", &cropped, file.expected("cropped")?);

    let prompts: Vec<&str> = reference.manifest.prompts.iter().map(String::as_str).collect();
    let mut ids = Vec::new();
    for prompt in &prompts {
        ids.extend(clip.tokenizer().encode(prompt, &[])?.ids.into_iter().map(i64::from));
    }
    let ids = Array::new([prompts.len(), clip.tokenizer().max_length()], ids)?;
    report.integers("input_ids", &ids, file.expected("input_ids")?);

    let limit = report.limits().text;
    let states = clip.vision_tower().hidden_states(clip.pixel_values(pictures.get(..1).unwrap_or_default())?);
    for (index, state) in states.into_iter().enumerate() {
        let name = format!("vision_hidden_{index}");
        let expected = file.expected(&name)?;
        report.tensor(name, &Array::read(state)?, expected, limit);
    }
    let (images, texts) = (clip.images(&pictures)?, clip.texts(&prompts)?);
    let cosines = cosines(images.clone(), texts.clone());
    for (name, found) in [("image_embeds", images), ("text_embeds", texts), ("cosines", cosines.clone())] {
        report.tensor(name, &Array::read(found)?, file.expected(name)?, limit);
    }
    let logits = Array::read(cosines * clip.logit_scale())?;
    report.tensor("logits_per_image", &logits, file.expected("logits_per_image")?, limit);
    Ok(())
}

/// `picture_0`, `picture_1` and so on: (H, W, 3) each.
fn pictures(file: &RefFile<'_>) -> anyhow::Result<Vec<RgbPicture>> {
    let count = file.names().filter(|name| name.starts_with("picture_")).count();
    let picture = |index| {
        let bytes = file.input::<i64>(&format!("picture_{index}"))?;
        let [height, width, 3] = bytes.shape[..] else {
            anyhow::bail!("picture_{index} has the shape {:?}, which is no picture's", bytes.shape);
        };
        let pixels = bytes.values.iter().map(|byte| *byte as u8).collect();
        Ok(RgbPicture::new(u32::try_from(width)?, u32::try_from(height)?, pixels)?)
    };
    (0..count).map(picture).collect()
}
