//! Prompts to pictures: [`options`] says what to draw, [`context`] turns prompt and persons into what the
//! UNet hears, [`InitImage`] is what to begin at, [`TextToImage`] draws one picture, [`metadata`] says in its file how. Knows neither network
//! nor queue.

mod beginning;
pub mod context;
mod init_image;
pub mod metadata;
pub mod options;
mod text_to_image;

pub use context::PromptContext;
pub use init_image::{EncodedImage, InitImage};
pub use options::{GenerationError, GenerationOptions, Person};
pub use text_to_image::{Drawn, TextToImage};
