//! Why a worker stops by itself.

use likeness_hub::HubError;

use crate::config::ConfigError;

/// Why a worker stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A model cannot be had.
    #[error("model {name:?}: {source}")]
    Model {
        /// Its name.
        name: String,
        /// Why.
        source: Box<HubError>,
    },
    /// The device or a model cannot be used.
    #[error("the device cannot be used: {0}")]
    Device(String),
    /// The operating system refused a thread.
    #[error("the device thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A fault of the worker itself.
    #[error("the worker failed: {0}; please report this")]
    Internal(String),
}
