//! Prompts to pictures: [`options`] says what to draw, [`context`] turns prompt and persons into what the
//! UNet hears, [`TextToImage`] draws one picture, [`metadata`] says in its file how. Knows neither network
//! nor queue.

pub mod context;
pub mod metadata;
pub mod options;
mod text_to_image;

pub use context::PromptContext;
pub use options::{GenerationError, GenerationOptions, Person};
pub use text_to_image::{Drawn, TextToImage};
