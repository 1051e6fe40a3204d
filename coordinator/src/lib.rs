//! The coordinator: takes tasks in, keeps them safe, gives them to workers, and tells everyone what became of them.
//!
//! `api/` is what the outside sees, one file a service; `scheduler/` brings waiting tasks and free workers together;
//! `store/` is the only place where a task changes; `artifact_store/` keeps the bytes; `simulator/` plays the scheduler in
//! virtual time, `photo_checks.rs` looks at photos for who asks. Nothing of the model that draws is here.

mod api;
mod artifact_store;
mod check;
mod config;
mod coordinator;
mod inventory;
mod photo_checks;
mod scheduler;
mod scrubber;
pub mod simulator;
pub mod store;

pub use api::DescriptionError;
pub use artifact_store::FolderError;
pub use check::{Checked, check};
pub use config::{
    ConfigError, ConnectionConfig, CoordinatorConfig, DEFAULT_PORT, InvalidLocation, PhotoChecksConfig,
    RedisConfig, RetentionConfig, Secret, StoreLocation, UploadConfig,
};
pub use coordinator::{Coordinator, Running, StartError};
