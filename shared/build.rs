//! Compiles `proto/` with `protox`, so that no `protoc` is needed on the machine.

use std::path::{Path, PathBuf};

const PROTOS: [&str; 8] = [
    "likeness/v1/photos.proto",
    "likeness/v1/quality.proto",
    "likeness/v1/specs.proto",
    "likeness/v1/tasks.proto",
    "likeness/v1/artifacts.proto",
    "likeness/v1/people.proto",
    "likeness/v1/worker_sessions.proto",
    "likeness/v1/operations.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(PROTOS, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .bytes(".likeness.v1.UploadRequest")
        .bytes(".likeness.v1.DownloadResponse")
        // set on few of the many messages that pass
        .boxed(".likeness.v1.Progress.photos")
        .boxed(".likeness.v1.InversionSettlement.photos")
        .boxed(".likeness.v1.FailedSettlement.photos")
        .boxed(".likeness.v1.InversionSettlement.quality")
        .boxed(".likeness.v1.InversionResult.quality")
        .boxed(".likeness.v1.Person.quality")
        .compile_fds(descriptors)?;
    Ok(())
}
