//! Photos of people, before the model sees them.
//!
//! [`intake`] turns an uploaded file into plain upright RGB pixels in sRGB, or into a refusal that its
//! sender understands. Nothing but pixels leaves it: no position, date, camera or thumbnail. This crate
//! knows neither network nor queue.

pub mod intake;
