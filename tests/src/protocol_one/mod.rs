//! Protocol 1, as the release before spoke it: its messages are compiled from its own files (`tests/proto-v1`), and
//! nothing here knows a later one. [`OldWorker`] is a worker of that release, [`OldCoordinator`] as much of a
//! coordinator as a worker needs.

mod coordinator;
mod worker;

pub use coordinator::{OldCoordinator, Scene};
pub use worker::OldWorker;

/// The messages of protocol 1.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod proto {
    tonic::include_proto!("likeness.v1");
}

/// The one version that this protocol's programs speak.
pub const VERSION: u32 = 1;
