//! What an inversion learns from, wherever its vectors begin: model, options, encoded photos, noise schedule, and what chance
//! draws.
//!
//! Makes batches for any number of vectors, weighs the fixed batch's rows, and says which digest a checkpoint from a start
//! has. Holds nothing that changes.

use likeness_diffusion::schedule::NoiseSchedule;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_shared::limits::MAX_CHECKPOINT_BYTES;

use super::binding::binding;
use super::captions::encode_captions;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::draws::{DrawBounds, Draws, RowDraw};
use super::error::InversionError;
use super::latents::PhotoLatents;
use super::options::InversionOptions;
use super::parameterisation::{LearnedState, Parameterisation};
use super::training_pass::RowOutcome;
use super::training_step::{TrainingBatch, TrainingStep};
use super::watch::Watch;

/// Everything of an inversion but its vectors.
pub struct Material<'m> {
    pub(super) model: &'m StableDiffusion,
    pub(super) options: InversionOptions,
    pub(super) schedule: NoiseSchedule,
    pub(super) draws: Draws,
    pub(super) latent_shape: [usize; 3],
    photos: Vec<PhotoLatents>,
    photos_digest: [u8; 32],
    model_digest: String,
    /// The length of `sphere`'s vectors; `None` where they have lengths of their own.
    radius: Option<f64>,
}

impl<'m> Material<'m> {
    /// Of encoded photos of one size and their [`super::photos_digest`].
    pub fn new(
        model: &'m StableDiffusion,
        options: InversionOptions,
        photos: Vec<PhotoLatents>,
        photos_digest: [u8; 32],
        model_digest: &str,
    ) -> Result<Self, InversionError> {
        options.validate()?;
        let latent_shape = photos.first().ok_or(InversionError::NoPhotos)?.shape();
        if let Some(index) = photos.iter().position(|photo| photo.shape() != latent_shape) {
            return Err(InversionError::UnequalPhotos(index));
        }
        let schedule = NoiseSchedule::new(&model.scheduler_config)
            .map_err(|error| InversionError::Schedule(error.to_string()))?;
        let bounds = DrawBounds {
            photos: u32::try_from(photos.len()).unwrap_or(u32::MAX),
            rows: options.rows(photos.len()),
            templates: u32::try_from(options.templates.list().len()).unwrap_or(u32::MAX),
            train_timesteps: u32::try_from(schedule.alphas_cumprod().len()).unwrap_or(u32::MAX),
            latent_len: latent_shape.iter().product(),
        };
        let draws = Draws::new(options.seed, bounds, options.flip, options.timesteps);
        let radius = radius(model, options.parameterisation)?;
        let model_digest = model_digest.to_owned();
        Ok(Self {
            model,
            options,
            schedule,
            draws,
            latent_shape,
            photos,
            photos_digest,
            model_digest,
            radius,
        })
    }

    /// Whether so many vectors can be learned from it: they fit into every caption and into a checkpoint.
    pub fn takes(&self, vectors: usize) -> bool {
        self.captions(vectors).is_ok() && self.check_room(vectors).is_ok()
    }

    /// The start, of these, that a checkpoint was made from; `None` where it was none of them, or is no checkpoint.
    pub fn start_of<'s>(&self, checkpoint: &[u8], starts: &'s [Vec<Vec<f32>>]) -> Option<&'s [Vec<f32>]> {
        let bound_to = Checkpoint::peek_binding(checkpoint)?;
        let made_it = |start: &&Vec<Vec<f32>>| self.binding(start).is_ok_and(|binding| binding == bound_to);
        starts.iter().find(made_it).map(Vec::as_slice)
    }

    /// The captions' ids with so many vectors in them.
    pub(super) fn captions(&self, vectors: usize) -> Result<Vec<Vec<u32>>, InversionError> {
        encode_captions(self.model, self.options.templates.list(), vectors)
    }

    /// The parameters of a start, K x D; on a sphere, as long as the model's token vectors are on average.
    pub(super) fn begin(&self, start: Vec<Vec<f32>>) -> Result<LearnedState, InversionError> {
        let expected = self.model.text_encoder.width();
        if let Some(found) = start.iter().map(Vec::len).find(|width| *width != expected) {
            return Err(InversionError::Width { found, expected });
        }
        let state = LearnedState::new(self.options.parameterisation, start)?;
        match self.radius {
            Some(radius) => Ok(state.at_radius(radius)?),
            None => Ok(state),
        }
    }

    /// What a checkpoint of an inversion from `start` is bound to.
    pub(super) fn binding(&self, start: &[Vec<f32>]) -> Result<[u8; 32], CheckpointError> {
        // they make a difference to the loss alone, and there only where the background is weighed
        let faces: Vec<_> = match self.options.refinements.background_weight {
            Some(_) => self.photos.iter().map(|photo| photo.face(false)).collect(),
            None => Vec::new(),
        };
        binding(&self.options, self.photos_digest, &faces, start, &self.model_digest)
    }

    /// That the largest checkpoint of so many vectors can travel.
    pub(super) fn check_room(&self, vectors: usize) -> Result<(), InversionError> {
        let refinements = &self.options.refinements;
        let numbers = vectors * self.model.text_encoder.width();
        let moments = match self.options.parameterisation {
            Parameterisation::Sphere { .. } => 0,
            _ => numbers,
        };
        let bytes = Watch::most_bytes(refinements, numbers, moments);
        if refinements.keep_best_every.is_some() && bytes > MAX_CHECKPOINT_BYTES {
            return Err(InversionError::Checkpointed { vectors, bytes });
        }
        Ok(())
    }

    /// The batch of these rows, under captions from [`Material::captions`].
    pub(super) fn batch(&self, captions: &[Vec<u32>], rows: &[RowDraw]) -> TrainingBatch {
        let scaling_factor = self.model.vae.scaling_factor();
        let [channels, height, width] = self.latent_shape;
        let mut batch = TrainingBatch {
            ids: Vec::with_capacity(rows.len()),
            timesteps: rows.iter().map(|row| row.timestep).collect(),
            latents: Vec::new(),
            noise: Vec::new(),
            masks: Vec::new(),
            shape: [rows.len(), channels, height, width],
        };
        for row in rows {
            batch.ids.push(captions[row.template].clone());
            let photo = &self.photos[row.photo];
            let moments = photo.moments(row.mirrored);
            batch.latents.extend(moments.sample(&row.sample_eps, scaling_factor));
            batch.noise.extend_from_slice(&row.noise);
            if let Some(background) = self.options.refinements.background_weight {
                batch.masks.extend(photo.face(row.mirrored).weights(height, width, background));
            }
        }
        batch
    }

    /// The fixed batch's loss from what its rows made, rows weighed as training weighs them; not a number without rows.
    pub(super) fn watch_loss(&self, rows: &[RowOutcome]) -> f64 {
        let timesteps = self.draws.watch_timesteps();
        let weights = self.options.refinements.row_weights(&self.schedule, &timesteps);
        match rows {
            [] => f64::NAN,
            rows => TrainingStep::of(rows, &weights).loss,
        }
    }
}

/// The length of the vectors of `sphere`.
fn radius(
    model: &StableDiffusion,
    parameterisation: Parameterisation,
) -> Result<Option<f64>, InversionError> {
    if !matches!(parameterisation, Parameterisation::Sphere { .. }) {
        return Ok(None);
    }
    let radius = model.text_encoder.mean_embedding_norm();
    radius.map(Some).map_err(|error| InversionError::TokenTable(error.to_string()))
}
