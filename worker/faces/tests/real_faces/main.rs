//! Faces on real photographs with real networks. Neither is part of the repository: where they are missing, each test says
//! loudly what it skips (see `material`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod checking;
mod detecting;
mod material;
mod recognising;
