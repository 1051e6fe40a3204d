//! Runs the coordinator.

fn main() {}
