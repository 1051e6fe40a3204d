//! Portraits drawn in this process, with a model folder.

use std::path::Path;

use anyhow::Context;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::samplers::SamplerKind;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_faces::bank::Recipe;
use likeness_worker::generation::{GenerationOptions, PromptContext, TextToImage, decode_pass, sample_pass};

use crate::commands::local_generation;
use crate::output::Voice;

/// Pictures that go through the model together.
const AT_ONCE: usize = 8;
/// Rows of a pass: a guided picture has two.
const ROWS: usize = 2 * AT_ONCE;

/// A model on the CPU in 32-bit floats.
pub(super) struct Here {
    model: StableDiffusion,
    /// sha256 over its files.
    pub(super) digest: String,
}

impl Here {
    pub(super) fn load(folder: &Path, voice: Voice) -> anyhow::Result<Self> {
        let (model, digest) = local_generation::load(folder, voice)?;
        Ok(Self { model, digest })
    }

    pub(super) fn token_ids(&self, name: &str) -> anyhow::Result<Vec<u32>> {
        self.model.tokenizer.token_ids(name).with_context(|| format!("cannot tokenize {name:?}"))
    }

    /// All portraits of a name, in the order of seeds.
    pub(super) fn draw(
        &self,
        recipe: &Recipe,
        sampler: SamplerKind,
        name: &str,
    ) -> anyhow::Result<Vec<RgbPicture>> {
        let options = GenerationOptions {
            prompt: recipe.prompt_for(name),
            negative_prompt: recipe.negative_prompt.clone(),
            sampler,
            steps: recipe.steps,
            guidance_scale: recipe.guidance_scale,
            ..GenerationOptions::default()
        };
        let context = PromptContext::new(&self.model, &options)?;
        let seeds: Vec<u64> =
            (0..u64::from(recipe.portraits)).map(|index| recipe.seed.wrapping_add(index)).collect();
        let mut drawn = Vec::new();
        for seeds in seeds.chunks(AT_ONCE) {
            let begin = |seed: &u64| {
                let options = GenerationOptions { seed: *seed, ..options.clone() };
                TextToImage::with_context(&self.model, options, context.clone())
            };
            let mut pictures = seeds.iter().map(begin).collect::<Result<Vec<_>, _>>()?;
            while pictures.iter().any(|picture| !picture.is_drawn()) {
                sample_pass(&self.model, &mut pictures.iter_mut().collect::<Vec<_>>(), ROWS)?;
            }
            for picture in decode_pass(&self.model, &pictures.iter().collect::<Vec<_>>(), ROWS)? {
                drawn.push(picture?);
            }
        }
        Ok(drawn)
    }
}
