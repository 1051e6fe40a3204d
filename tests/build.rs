//! Compiles the protocol's previous version (`proto-v1/`), for tests of old workers with new coordinators and of new
//! workers with old ones.

use std::path::Path;

const PROTOS: [&str; 5] = [
    "likeness/v1/specs.proto",
    "likeness/v1/tasks.proto",
    "likeness/v1/artifacts.proto",
    "likeness/v1/people.proto",
    "likeness/v1/worker_sessions.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("proto-v1");
    println!("cargo:rerun-if-changed={}", root.display());
    tonic_prost_build::configure().compile_fds(protox::compile(PROTOS, [&root])?)?;
    Ok(())
}
