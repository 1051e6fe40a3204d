//! Photos of people, before the model sees them.
//!
//! [`intake`] turns an uploaded file into plain upright RGB pixels in sRGB, or into a refusal that its
//! sender understands. Nothing but pixels leaves it: no position, date, camera or thumbnail. [`detect`] finds the
//! faces of a picture, [`align`] brings a face to where recognisers expect it, [`recognise`] says as a direction who it
//! is. The networks are ONNX files that the caller names ([`config`] is how an operator does). [`check`] judges photos, [`portrait`]
//! cuts the head out, and [`bank`] knows which names a model can draw and who is most like a person. This crate knows no queue, no protocol, and
//! nothing of the model that draws.

pub mod align;
pub mod bank;
pub mod check;
pub mod config;
pub mod detect;
mod error;
mod face;
pub mod intake;
mod network;
pub mod portrait;
mod reader;
pub mod recognise;

pub use error::{FaceError, NetworkRole};
pub use face::{Bounds, Face, FivePoints, Point};
pub use reader::FaceReader;
