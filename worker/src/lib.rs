//! The worker: learns people from photos and draws pictures of them, on one device.
//!
//! [`inversion`] and [`generation`] are the method, on a loaded model and without any networking.

pub mod generation;
pub mod inversion;
