//! The loaded model, and what it is given to do: rows, prompts, photos and pictures of no particular content.

use anyhow::Context;
use burn::tensor::{Device, FloatDType, Tensor};
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::rng::TorchRng;
use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_diffusion::tokenizer::Placeholder;
use likeness_worker::generation::{GenerationOptions, PromptContext, TextToImage};
use likeness_worker::inversion::adam::{Adam, AdamOptions};
use likeness_worker::inversion::training_pass::RowOutcome;
use likeness_worker::inversion::training_step::{TrainingBatch, TrainingStep};

use super::model_choice::OpenModel;

const PERSON: &str = "<learned>";
/// As many as the phrase of the usual start has.
const VECTORS: usize = 2;
const PROMPT: &str = "a photo of a lighthouse at the sea";

/// A model that is measured.
pub(super) struct Subject {
    pub(super) model: StableDiffusion,
    pub(super) schedule: NoiseSchedule,
    /// Width and height of pictures.
    pub(super) size: (u32, u32),
}

/// One who learns: rows, vectors, and the optimiser's moments.
pub(super) struct Learner {
    pub(super) batch: TrainingBatch,
    pub(super) vectors: Vec<Vec<f32>>,
    adam: Adam,
}

impl Subject {
    /// Loads the model and waits until all of it is on the device.
    pub(super) fn load(
        opened: &OpenModel,
        device: &Device,
        dtype: FloatDType,
        size: Option<(u32, u32)>,
    ) -> anyhow::Result<Self> {
        let model = opened.load(device, dtype)?;
        model.device().sync()?;
        let schedule = NoiseSchedule::new(&model.scheduler_config)?;
        let size = size.unwrap_or(model.native_size());
        let subject = Self { model, schedule, size };
        subject.drawing(1, 1.0, 0).validate(&subject.model).context("--size does not fit")?;
        Ok(subject)
    }

    /// A user's iteration of so many rows.
    pub(super) fn learner(&self, rows: usize, seed: u64) -> anyhow::Result<Learner> {
        let factor = self.model.vae_factor().max(1);
        let (width, height) = self.size;
        let shape =
            [rows, self.model.latent_channels(), (height / factor) as usize, (width / factor) as usize];
        let numbers = shape.iter().product();
        let mut rng = TorchRng::new(seed);
        let (latents, noise) = (rng.randn(numbers), rng.randn(numbers));
        let ids = self.caption()?;
        let steps = self.model.scheduler_config.num_train_timesteps;
        let timesteps = (0..rows).map(|row| ((2 * row + 1) * steps / (2 * rows)) as u32).collect();
        let batch =
            TrainingBatch { ids: vec![ids; rows], timesteps, latents, noise, masks: Vec::new(), shape };
        let vectors = self.vectors()?;
        let adam = Adam::new(AdamOptions::default(), vectors.iter().map(Vec::len).sum());
        Ok(Learner { batch, vectors, adam })
    }

    /// A caption with a person in it.
    pub(super) fn caption(&self) -> anyhow::Result<Vec<u32>> {
        let placeholder = Placeholder { text: PERSON.to_owned(), vectors: VECTORS };
        Ok(self.model.tokenizer.encode(&format!("a photo of {PERSON}"), &[placeholder])?.ids)
    }

    /// Vectors of a person, from the table of tokens.
    pub(super) fn vectors(&self) -> anyhow::Result<Vec<Vec<f32>>> {
        let rows = self.model.text_encoder.embedding_rows(&[0, 1])?.cast(FloatDType::F32);
        let flat: Vec<f32> =
            rows.try_into_data()?.try_to_vec().map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(flat.chunks(self.model.text_encoder.width().max(1)).map(<[f32]>::to_vec).collect())
    }

    /// The same as the text encoder takes them.
    pub(super) fn vectors_on_device(&self) -> anyhow::Result<Tensor<2>> {
        Ok(self.model.text_encoder.embedding_rows(&[0, 1])?)
    }

    pub(super) fn drawing(&self, steps: u32, guidance_scale: f64, seed: u64) -> GenerationOptions {
        let (width, height) = self.size;
        GenerationOptions {
            prompt: PROMPT.to_owned(),
            seed,
            steps,
            guidance_scale,
            width: Some(width),
            height: Some(height),
            ..GenerationOptions::default()
        }
    }

    /// So many pictures of one prompt, about to be drawn.
    pub(super) fn pictures(
        &self,
        count: usize,
        steps: u32,
        guidance_scale: f64,
    ) -> anyhow::Result<Vec<TextToImage<'_>>> {
        let context = PromptContext::new(&self.model, &self.drawing(steps, guidance_scale, 0))?;
        let picture = |seed: usize| {
            let options = self.drawing(steps, guidance_scale, seed as u64);
            Ok(TextToImage::with_context(&self.model, options, context.clone())?)
        };
        (0..count).map(picture).collect()
    }

    /// A photo of noise.
    pub(super) fn photo(&self) -> RgbPicture {
        let (width, height) = self.size;
        let numbers = TorchRng::new(7).randn(width as usize * height as usize * 3);
        let pixels = numbers.into_iter().map(|number| (128.0 + 40.0 * number) as u8).collect();
        RgbPicture { width, height, pixels }
    }
}

impl Learner {
    /// Moves the vectors by what a pass made of the rows.
    pub(super) fn learn(&mut self, rows: &[RowOutcome]) {
        let step = TrainingStep::of(rows, &[]);
        self.adam.update(self.vectors.iter_mut().flatten().zip(step.grad_v.iter().flatten()));
    }
}
