//! The protocol, as generated from `proto/likeness/v1`.

#[allow(missing_docs, clippy::all, unreachable_pub)]
mod generated {
    tonic::include_proto!("likeness.v1");
}

pub use generated::*;

/// The compiled descriptor set, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The oldest and the newest protocol version that this build speaks.
pub const PROTOCOL_RANGE: std::ops::RangeInclusive<u32> = 1..=2;
