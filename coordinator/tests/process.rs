//! The real binary: killed without warning, asked to stop, and started where it cannot run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::path::Path;

use likeness_shared::client::Client;
use likeness_shared::proto::TaskState;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::process::{Process, command};
use support::*;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), "127.0.0.1:0");
    let client = Client::connect(&process.address).await.unwrap();
    let mut acknowledged = Vec::new();
    for number in 0..10 {
        acknowledged.push(submit(&client, &format!("picture {number}")).await);
    }
    process.child.kill().unwrap();
    process.wait();
    let process = Process::start(folder.path(), &process.address);
    let client = Client::connect(&process.address).await.unwrap();
    for task in acknowledged {
        let found = client.get_task(task_id(&task.id)).await.unwrap();
        assert_eq!((found.state(), found.revision), (TaskState::Queued, task.revision));
    }
}

#[tokio::test]
async fn a_request_to_stop_ends_it_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), "127.0.0.1:0");
    let client = Client::connect(&process.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let mut watch = client.watch_task_once(task_id(&task.id), 0).await.unwrap();
    assert!(soon("the task", watch.message()).await.unwrap().is_some());
    kill(Pid::from_raw(process.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(soon("end of the watch", watch.message()).await.unwrap().is_none());
    assert_eq!(process.wait().code(), Some(0));
}

fn refusal(data: &Path, listen: &str) -> (Option<i32>, String) {
    let output = command(data, listen).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn it_says_why_it_cannot_start() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("first"), "127.0.0.1:0");
    let (code, message) = refusal(&folder.path().join("second"), &process.address);
    assert_eq!(code, Some(2));
    assert!(message.contains(&process.address) && message.contains("in use"), "{message}");
    let (code, message) = refusal(&folder.path().join("first"), "127.0.0.1:0");
    assert_eq!(code, Some(2));
    assert!(message.contains("in use by another coordinator"), "{message}");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let (code, message) = refusal(&file.join("data"), "127.0.0.1:0");
    assert_eq!(code, Some(2));
    assert!(message.contains("cannot make the folder"), "{message}");
}
