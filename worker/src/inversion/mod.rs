//! Photos to vectors: modified textual inversion, as the method has it.
//!
//! [`options`] says what is asked for, [`refinements`] what of it the paper does not have, [`start`] where the vectors
//! begin, [`comparison`] which of several starts is the best, [`latents`] what the photos become, [`material`] what does not depend on the start, [`draws`] what chance decides; [`training_pass`] gets the gradients of many
//! tasks' rows from the model, [`training_step`] one task's of its rows, [`parameterisation`] turns it into one of lengths
//! and directions, [`adam`] applies it; [`Inversion`] runs the iterations, [`watch`] judges them on a fixed batch
//! ([`early_stop`], [`keep_best`]), and [`checkpoint`] carries them from one worker to another. Knows neither network nor
//! queue.

pub mod adam;
mod binding;
mod captions;
pub mod checkpoint;
pub mod comparison;
pub mod draws;
pub mod early_stop;
mod error;
pub mod face_mask;
pub mod keep_best;
pub mod latents;
pub mod material;
mod optimiser;
pub mod options;
pub mod parameterisation;
pub mod refinements;
mod run;
pub mod start;
pub mod templates;
pub mod training_pass;
pub mod training_step;
pub mod watch;

pub use binding::photos_digest;
pub use checkpoint::Checkpoint;
pub use error::InversionError;
pub use options::InversionOptions;
pub use refinements::Refinements;
pub use run::{Inversion, StepReport};
pub use start::Start;
