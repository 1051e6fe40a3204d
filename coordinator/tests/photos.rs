//! Photos that a client wants judged before it submits: what is refused, and in which words. What networks find of real photographs is
//! tested with the whole programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use likeness_shared::ids::Digest;
use likeness_shared::proto::CheckPhotosRequest;
use support::*;
use tonic::Code;

fn of(digests: &[Digest]) -> CheckPhotosRequest {
    let photo_digests = digests.iter().map(Digest::to_string).collect();
    CheckPhotosRequest { photo_digests, ..CheckPhotosRequest::default() }
}

#[tokio::test]
async fn a_coordinator_without_networks_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let error = client.check_photos(of(&[Digest::of(b"a")])).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::FailedPrecondition));
    let said = error.to_string();
    assert!(said.contains("faces.detector and faces.recogniser"), "{said}");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn networks_that_are_none_stop_the_start_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.onnx");
    std::fs::write(&file, "no network").unwrap();
    let mut config = config(folder.path());
    config.faces.detector = Some(file.clone());
    config.faces.recogniser = Some(likeness_faces::config::RecogniserConfig::of(&file));
    let said = likeness_coordinator::Coordinator::start(config).await.unwrap_err().to_string();
    assert!(said.contains("faces.detector: ") && said.contains("is not an ONNX file"), "{said}");
}
