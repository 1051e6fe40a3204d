//! Where models come from: a folder of this machine, or a repository of a model hub that is brought into a cache.
//!
//! A [`ModelSource`] is what an operator writes, [`resolve`] makes a local folder in the diffusers layout of it. Only
//! what the worker reads is fetched; every file is held against the digest that the hub states for it. The cache is
//! laid out as the hub's own programs lay theirs out, so that either finds what the other has fetched.
//!
//! The crate knows neither the model nor the fleet.

mod cache;
mod digest;
mod download;
mod environment;
mod error;
mod inspection;
mod layout;
mod manifest;
mod progress;
mod reference;
mod remote;
mod resolve;
mod source;

pub use environment::{HubOptions, Pace};
pub use error::HubError;
pub use layout::Variant;
pub use progress::{Progress, Stage};
pub use reference::{HubName, ModelReference, ReferenceError};
pub use resolve::{local, resolve};
pub use source::{ModelSource, SourceError};
