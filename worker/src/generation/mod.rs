//! Prompts to pictures: [`options`] says what to draw, [`context`] turns prompt and persons into what the
//! UNet hears, [`InitImage`] is what to begin at, [`TextToImage`] is one picture being drawn, [`sample_pass`] and
//! [`decode_pass`] take many of them a step further at once, [`metadata`] says in its file how. Knows neither network
//! nor queue.

mod beginning;
pub mod context;
mod decode_pass;
mod heard;
mod init_image;
pub mod metadata;
mod on_device;
pub mod options;
mod sample_pass;
mod text_to_image;

pub use context::PromptContext;
pub use decode_pass::decode_pass;
pub use init_image::{EncodedImage, InitImage};
pub use options::{GenerationError, GenerationOptions, Person};
pub use sample_pass::sample_pass;
pub use text_to_image::{Drawn, TextToImage};
