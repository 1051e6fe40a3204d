//! The worker: learns people from photos and draws pictures of them, on one device.
//!
//! [`inversion`] and [`generation`] are the method, on a loaded model and without any networking. [`engine`] gives
//! the device's time to live tasks, [`device`] is the thread on which it does ([`simulated`] is a stand-in for it), `session` the one connection to the
//! coordinator, and [`Worker`] all of it together. Each knows those before it and none after. [`crew`] starts a process of them
//! for each of several devices; [`faces`] is which networks look at photos; [`hardware`] and [`launches`] say what a device is and does.

pub mod config;
pub mod crew;
pub mod device;
pub mod engine;
mod error;
pub mod faces;
pub mod generation;
pub mod hardware;
pub mod inversion;
mod lanes;
pub mod launches;
mod models;
pub mod names;
pub mod panics;
mod session;
pub mod simulated;
mod worker;

pub use config::{ConfigError, WorkerConfig};
pub use device::{DeviceChoice, Devices};
pub use error::WorkerError;
pub use worker::Worker;
