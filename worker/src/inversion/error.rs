//! Why an inversion cannot begin or go on.

use likeness_shared::limits::MAX_CHECKPOINT_BYTES;

use super::checkpoint::CheckpointError;
use super::latents::LatentsError;
use super::options::OptionsError;
use super::parameterisation::ParameterisationError;
use super::training_step::StepError;

/// Why an inversion cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum InversionError {
    /// A setting.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The start vectors.
    #[error(transparent)]
    Start(#[from] ParameterisationError),
    /// The model's token table, whose mean length `sphere` takes.
    #[error("the model's token vectors could not be measured: {0}")]
    TokenTable(String),
    /// The start vectors' width.
    #[error(
        "the start vectors are {found} wide, the model's token vectors {expected}: use a start of this model's family"
    )]
    Width {
        /// Width of the start.
        found: usize,
        /// Width of the model.
        expected: usize,
    },
    /// More state than a checkpoint can carry.
    #[error(
        "with keep_best {vectors} vectors need a checkpoint of {bytes} bytes, at most {MAX_CHECKPOINT_BYTES} travel: leave keep_best out, or start from fewer vectors"
    )]
    Checkpointed {
        /// Vectors to be learned.
        vectors: usize,
        /// Bytes of the largest checkpoint.
        bytes: usize,
    },
    /// No photos.
    #[error("there are no photos to learn from")]
    NoPhotos,
    /// The photos differ in size.
    #[error("photo {0} differs in size from photo 0: bring all photos to one size")]
    UnequalPhotos(usize),
    /// A photo.
    #[error(transparent)]
    Latents(#[from] LatentsError),
    /// The scheduler configuration of the model.
    #[error("the model's noise schedule cannot be used: {0}")]
    Schedule(String),
    /// A caption template.
    #[error("the caption {caption:?} cannot be tokenized: {reason}")]
    Caption {
        /// The caption.
        caption: String,
        /// What the tokenizer said.
        reason: String,
    },
    /// A caption lost the learned vectors to truncation.
    #[error("the caption {0:?} is too long for the model's text length: the learned vectors do not fit")]
    CaptionTooLong(String),
    /// The checkpoint to resume from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A training step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The loss or gradient is not a number any more.
    #[error(
        "the loss became {loss} in iteration {iteration}: try another seed, a smaller learning rate or other photos"
    )]
    NanLoss {
        /// Which iteration, from 1.
        iteration: u32,
        /// What the loss was.
        loss: f64,
    },
    /// All iterations are made.
    #[error("all {0} iterations are made")]
    Finished(u32),
    /// The fixed batch has not been measured after the last iteration.
    #[error("the fixed batch is to be measured after iteration {0} before another is made")]
    WatchDue(u32),
}

impl InversionError {
    /// A stable word for the kind of error, as tasks report it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options(_) | Self::Schedule(_) | Self::Checkpointed { .. } => "bad_options",
            Self::Start(_) | Self::Width { .. } => "bad_start",
            Self::NoPhotos => "too_few",
            Self::Latents(_) | Self::UnequalPhotos(_) => "bad_photo",
            Self::Caption { .. } | Self::CaptionTooLong(_) => "bad_caption",
            Self::Checkpoint(_) => "bad_checkpoint",
            Self::TokenTable(_) | Self::Step(_) | Self::Finished(_) | Self::WatchDue(_) => "internal",
            Self::NanLoss { .. } => "nan_loss",
        }
    }
}
