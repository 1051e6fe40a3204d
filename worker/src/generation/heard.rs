//! What the rows of a sampling pass hear: the keys and values of their prompts, worked out when pictures come together in a
//! pass, and good for as long as the same pictures make passes together.
//!
//! Putting the keys and values of single prompts together would take as many kernels in every pass as working them out. So they
//! are worked out for the rows of a pass as they stand: a pass of new company costs what it would cost without
//! any of this, all others nothing. They belong to the pictures, and are gone with the last of them or when it is drawn:
//! 4 MB a row of Stable Diffusion in 16 bits.

use std::sync::Arc;

use burn::tensor::Tensor;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::unet::PreparedContext;

use super::sample_pass::padded;
use super::text_to_image::TextToImage;
use crate::lanes::in_lanes;

/// Keys and values for the rows of a pass.
#[derive(Debug)]
pub(super) struct Heard {
    rows: usize,
    /// Rows that go through the UNet at once.
    each: usize,
    /// One for so many rows, and the rest; filled up as the rows are.
    parts: Vec<PreparedContext>,
}

/// Where a picture's rows are in them.
#[derive(Clone, Debug)]
pub(super) struct Place {
    heard: Arc<Heard>,
    first_row: usize,
}

impl Heard {
    /// By these pictures, of so many rows each, with at most `most_rows` at once (0 counts as 1).
    pub(super) fn by(
        model: &StableDiffusion,
        pictures: &mut [&mut TextToImage<'_>],
        rows: &[usize],
        most_rows: usize,
    ) -> Arc<Self> {
        let (lanes, all) = (model.lanes(), rows.iter().sum::<usize>());
        let each = most_rows.min(lanes.rows).clamp(1, all.max(1));
        if let Some(heard) = as_before(pictures, rows, each) {
            return heard;
        }
        // what was heard before makes room first
        let contexts = pictures.iter_mut().map(|picture| picture.forget_heard()).collect();
        let contexts = Tensor::cat(contexts, 0);
        let places: Vec<usize> = (0..all).collect();
        let parts = in_lanes(&places, each, lanes.threads, |places| {
            let (first, count) = (places.first().copied().unwrap_or(0), places.len());
            let padding = model.padded_rows(count).saturating_sub(count);
            model.unet.prepare_context(padded(contexts.clone().narrow(0, first, count), padding))
        });
        let heard = Arc::new(Self { rows: all, each, parts });
        let mut first_row = 0;
        for (picture, rows) in pictures.iter_mut().zip(rows) {
            picture.set_heard(Place { heard: Arc::clone(&heard), first_row });
            first_row += rows;
        }
        heard
    }

    /// What belongs to the rows, in parts: the first row's number, the rows, what they hear.
    pub(super) fn parts<'a, T>(
        &'a self,
        rows: &'a [T],
    ) -> impl Iterator<Item = (usize, &'a [T], &'a PreparedContext)> {
        let parts = rows.chunks(self.each).zip(&self.parts).enumerate();
        parts.map(|(index, (rows, context))| (index * self.each, rows, context))
    }
}

/// What exactly these pictures have heard before, in this order and in such parts.
fn as_before(pictures: &[&mut TextToImage<'_>], rows: &[usize], each: usize) -> Option<Arc<Heard>> {
    let heard = &pictures.first()?.heard()?.heard;
    let mut next_row = 0;
    for (picture, rows) in pictures.iter().zip(rows) {
        let place = picture.heard()?;
        if !Arc::ptr_eq(&place.heard, heard) || place.first_row != next_row {
            return None;
        }
        next_row += rows;
    }
    (heard.rows == next_row && heard.each == each).then(|| Arc::clone(heard))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{Device, FloatDType};
    use likeness_diffusion::model_folder::ModelFolder;

    use super::*;
    use crate::generation::{GenerationOptions, sample_pass};

    fn model() -> StableDiffusion {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-v/model");
        StableDiffusion::load(&ModelFolder::open(&folder).unwrap(), &Device::flex(), FloatDType::F32).unwrap()
    }

    fn picture<'m>(model: &'m StableDiffusion, prompt: &str, guidance_scale: f64) -> TextToImage<'m> {
        let (prompt, steps) = (prompt.to_owned(), 4);
        let options = GenerationOptions { prompt, steps, guidance_scale, ..GenerationOptions::default() };
        TextToImage::new(model, options).unwrap()
    }

    fn heard(picture: &TextToImage<'_>) -> Arc<Heard> {
        Arc::clone(&picture.heard().unwrap().heard)
    }

    #[test]
    fn the_same_company_hears_the_same_and_another_something_new() {
        let model = model();
        let prompts = [("a castle", 7.5), ("a boat", 1.0), ("a tree", 7.5)];
        let [mut a, mut b, mut c] = prompts.map(|(prompt, scale)| picture(&model, prompt, scale));
        sample_pass(&model, &mut [&mut a, &mut b], 8).unwrap();
        let first = heard(&a);
        assert!(Arc::ptr_eq(&first, &heard(&b)));
        sample_pass(&model, &mut [&mut a, &mut b], 8).unwrap();
        assert!(Arc::ptr_eq(&first, &heard(&a)), "worked out once");

        sample_pass(&model, &mut [&mut b, &mut c], 8).unwrap();
        assert!(!Arc::ptr_eq(&first, &heard(&b)), "in other company");
        assert!(Arc::ptr_eq(&heard(&b), &heard(&c)));
        sample_pass(&model, &mut [&mut a], 8).unwrap();
        assert!(!Arc::ptr_eq(&first, &heard(&a)), "alone");
        assert_eq!(Arc::strong_count(&first), 1, "nobody keeps what is not heard any more");
        sample_pass(&model, &mut [&mut a], 1).unwrap();
        assert!(a.is_drawn() && a.heard().is_none(), "drawn, it hears nothing");
        sample_pass(&model, &mut [&mut c, &mut b], 8).unwrap();
        assert!(b.is_drawn());

        // company and pieces changed with every step, and the order of the pictures too
        for (found, (prompt, scale)) in [&a, &b].into_iter().zip(prompts) {
            let mut alone = picture(&model, prompt, scale);
            while !alone.is_drawn() {
                alone.step().unwrap();
            }
            let apart = (found.latents() - alone.latents()).abs().max().into_scalar::<f32>();
            assert!(apart < 1e-5, "{prompt}: {apart:e}");
        }
    }
}
