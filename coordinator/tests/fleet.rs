//! Two coordinator processes on one Redis: clients and workers may speak to either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::path::Path;
use std::time::Duration;

use likeness_shared::client::Client;
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{
    CancelMode, CancelledSettlement, HandBackSettlement, LeaseVerdict, SettleVerdict, TaskState, WorkerState,
};
use support::process::{Process, command};
use support::redis_server::RedisServer;
use support::*;

/// How long the coordinators of these tests wait for a worker to come back.
const GRACE: Duration = Duration::from_millis(300);

/// One of the coordinators of a fleet that shares a server and the artifacts' folder.
fn coordinator(server: &RedisServer, data: &Path) -> Process {
    let mut command = command(data, "127.0.0.1:0");
    command.args(["--store", &server.url()]).env("LIKENESS_COORDINATOR__REDIS__FLEET", "tests");
    command.env("LIKENESS_COORDINATOR__RECONNECT_GRACE", format!("{}ms", GRACE.as_millis()));
    Process::run(command)
}

#[tokio::test]
async fn a_task_goes_in_at_one_coordinator_and_is_worked_on_through_another() {
    let (folder, server) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let (one, other) = (coordinator(&server, folder.path()), coordinator(&server, folder.path()));
    let (mut worker, _) = FakeWorker::join_at(&other.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let client = Client::connect(&one.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let mut watch = client.watch_task(task_id(&task.id), 0);
    let lease = worker.lease().await;
    assert_eq!(lease.task_id, task.id);
    assert!(worker.beat(&lease, 7, b"state at seven").await);
    let picture = worker.picture().await;
    assert_eq!(worker.settle(&lease, picture).await, SettleVerdict::Accepted);
    let ended = loop {
        let seen = soon("the next state", watch.next()).await.unwrap().unwrap();
        if seen.state() == TaskState::Succeeded {
            break seen;
        }
    };
    assert_eq!(ended.attempts.unwrap().started, 1);
    assert!(!folder.path().join("store.redb").exists(), "nothing of a store lies in the folder");
}

#[tokio::test]
async fn a_cancellation_reaches_a_worker_of_another_coordinator() {
    let (folder, server) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let (one, other) = (coordinator(&server, folder.path()), coordinator(&server, folder.path()));
    let (mut worker, _) = FakeWorker::join_at(&other.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let client = Client::connect(&one.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    client.cancel_task(task_id(&task.id)).await.unwrap();
    assert_eq!(worker.cancel().await.task_id, task.id);
    worker.settle(&lease, Outcome::Cancelled(CancelledSettlement {})).await;
    let ended = client.wait_task(task_id(&task.id), SOON).await.unwrap();
    assert_eq!(ended.state(), TaskState::Cancelled);
}

#[tokio::test]
async fn a_drain_at_one_coordinator_reaches_a_worker_of_another() {
    let (folder, server) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let (one, other) = (coordinator(&server, folder.path()), coordinator(&server, folder.path()));
    let (mut worker, _) = FakeWorker::join_at(&other.address, "w1", "first", &[]).await;
    worker.credit(2).await;
    let client = Client::connect(&one.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    let drained = client.drain_worker(&"w1".parse().unwrap(), "upgrade", false).await.unwrap();
    assert_eq!((drained.state(), drained.tasks), (WorkerState::Draining, 1));
    let cancel = worker.cancel().await;
    assert_eq!((cancel.task_id.as_str(), cancel.mode()), (task.id.as_str(), CancelMode::HandBack));
    let hand_back = HandBackSettlement { checkpoint: b"state".to_vec(), progress: None };
    worker.settle(&lease, Outcome::HandBack(hand_back)).await;
    let (mut next, _) = FakeWorker::join_at(&one.address, "w2", "first", &[]).await;
    next.credit(1).await;
    assert_eq!(next.lease().await.checkpoint, b"state");
    assert_eq!(client.get_worker(&"w1".parse().unwrap()).await.unwrap().tasks, 0);
}

#[tokio::test]
async fn a_worker_that_moves_to_another_coordinator_keeps_its_lease() {
    let (folder, server) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let (one, mut other) = (coordinator(&server, folder.path()), coordinator(&server, folder.path()));
    let (mut worker, _) = FakeWorker::join_at(&one.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let client = Client::connect(&one.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    worker.kill();
    let (mut worker, welcome) = FakeWorker::join_at(&other.address, "w1", "first", &[&lease]).await;
    assert_eq!(welcome.verdicts[0].verdict(), LeaseVerdict::Keep);
    // past the grace of the coordinator that it left, which must not take it for dead
    let moved = std::time::Instant::now();
    let mut step = 0;
    while moved.elapsed() < GRACE * 4 {
        step += 1;
        assert!(worker.beat(&lease, step, b"").await, "the lease was taken away after {:?}", moved.elapsed());
    }
    // and back again, for the other one dies without a word
    other.child.kill().unwrap();
    other.wait();
    let (worker, welcome) = FakeWorker::join_at(&one.address, "w1", "first", &[&lease]).await;
    assert_eq!(welcome.verdicts[0].verdict(), LeaseVerdict::Keep);
    let picture = worker.picture().await;
    assert_eq!(worker.settle(&lease, picture).await, SettleVerdict::Accepted);
    let ended = client.wait_task(task_id(&task.id), SOON).await.unwrap();
    assert_eq!((ended.state(), ended.attempts.unwrap().started), (TaskState::Succeeded, 1));
}

#[tokio::test]
async fn a_killed_server_that_comes_back_costs_a_running_task_nothing() {
    let (folder, mut server) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let one = coordinator(&server, folder.path());
    let (mut worker, _) = FakeWorker::join_at(&one.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let client = Client::connect(&one.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    server.kill();
    let error = client.submit_generation(generation("while it is away")).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("is Redis running there?"), "{error}");
    server.restart();
    let picture = worker.picture().await;
    assert_eq!(worker.settle(&lease, picture).await, SettleVerdict::Accepted);
    let ended = client.wait_task(task_id(&task.id), SOON).await.unwrap();
    assert_eq!((ended.state(), ended.attempts.unwrap().started), (TaskState::Succeeded, 1));
}

#[tokio::test]
async fn a_server_that_would_lose_tasks_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start_with(&["--appendonly", "no"]);
    let output = command(folder.path(), "127.0.0.1:0").args(["--store", &server.url()]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("no append-only file"), "{message}");
}
