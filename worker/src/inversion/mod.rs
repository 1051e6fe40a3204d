//! Photos to vectors: modified textual inversion, as the method has it.
//!
//! [`options`] says what is asked for, [`start`] where the vectors begin, [`latents`] what the photos become,
//! [`draws`] what chance decides; [`training_pass`] gets the gradients of many tasks' rows from the model,
//! [`training_step`] one task's of its rows, [`parameterisation`] turns it into one of lengths and directions, [`adam`] applies it; [`Inversion`] runs the iterations and
//! [`checkpoint`] carries them from one worker to another. Knows neither network nor queue.

pub mod adam;
pub mod checkpoint;
pub mod draws;
pub mod latents;
pub mod options;
pub mod parameterisation;
mod run;
pub mod start;
pub mod templates;
pub mod training_pass;
pub mod training_step;

pub use checkpoint::Checkpoint;
pub use options::InversionOptions;
pub use run::{Inversion, InversionError, StepReport, photos_digest};
pub use start::Start;
