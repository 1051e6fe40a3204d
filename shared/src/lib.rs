//! What every part of the fleet agrees on: the generated protocol types, ids and units, limits, the mapping of
//! errors to gRPC status, telemetry set-up and the client.
//!
//! Depends on no model code and on no store.

pub mod artifacts;
pub mod backoff;
pub mod client;
pub mod errors;
pub mod ids;
pub mod limits;
pub mod proto;
pub mod redis_address;
pub mod series;
pub mod telemetry;
pub mod watch;
