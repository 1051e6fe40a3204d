//! A store into which a hand has reached: found and set right at an operator's word, by `check`, and by the coordinator
//! itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::process::Command;
use std::time::Duration;

use likeness_coordinator::{CoordinatorConfig, RetentionConfig};
use support::redis_server::RedisServer;
use support::*;

/// A coordinator's configuration with its store on a server.
fn on(server: &RedisServer, folder: &std::path::Path) -> CoordinatorConfig {
    CoordinatorConfig { store: server.url().parse().unwrap(), ..config(folder) }
}

/// Forgets which tasks wait.
fn lose_the_queue(server: &RedisServer) {
    let deleted = server.command(&["DEL", "{likeness:default}:queue"]);
    assert!(deleted.contains(":1"), "there was no queue: {deleted}");
}

/// How `check` ends, and what it says.
fn check(server: &RedisServer, options: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_likeness-coordinator"));
    command.args(["check", "--store", &server.url()]).args(options).env("NO_COLOR", "1");
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[tokio::test]
async fn a_lost_queue_is_found_and_rebuilt_at_an_operators_word() {
    let (server, folder) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (running, client) = start_with(on(&server, folder.path())).await;
    let first = submit(&client, "first").await;
    let second = submit(&client, "second").await;
    let sound = client.scrub_store(false).await.unwrap();
    assert_eq!((sound.differences_found, sound.repaired, sound.tasks_checked), (0, false, 2));
    assert!(sound.shares_compared && sound.differences.is_empty());
    lose_the_queue(&server);
    let found = client.scrub_store(true).await.unwrap();
    assert_eq!((found.differences_found, found.repaired), (2, false));
    assert!(found.differences.iter().all(|said| said.starts_with("index queue lacks task")), "{found:?}");
    let repaired = client.scrub_store(false).await.unwrap();
    assert!(repaired.repaired, "{repaired:?}");
    assert_eq!(client.scrub_store(false).await.unwrap().differences_found, 0);
    let mut worker = FakeWorker::join(&running, "w1", 2).await;
    assert_eq!(worker.lease().await.task_id, first.id);
    assert_eq!(worker.lease().await.task_id, second.id);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn check_says_what_differs_and_rebuilds_it_while_the_coordinator_runs() {
    let (server, folder) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let (running, client) = start_with(on(&server, folder.path())).await;
    let task = submit(&client, "a picture").await;
    assert_eq!(check(&server, &[]).0, Some(0));
    lose_the_queue(&server);
    let (code, said) = check(&server, &[]);
    assert_eq!(code, Some(1), "{said}");
    let line = format!("DIFFERS index queue lacks task {}", task.id);
    assert!(said.contains(&line) && said.contains("check --repair"), "{said}");
    let (code, said) = check(&server, &["--repair"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&line) && said.contains("REPAIRED 1"), "{said}");
    let (code, said) = check(&server, &["--repair"]);
    assert!(code == Some(0) && !said.contains("DIFFERS") && !said.contains("REPAIRED"), "{said}");
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    assert_eq!(worker.lease().await.task_id, task.id);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_coordinator_that_may_repair_does_so_by_itself() {
    let (server, folder) = (RedisServer::start(), tempfile::tempdir().unwrap());
    let scrub_interval = Duration::from_millis(100);
    let retention = RetentionConfig { scrub_interval, scrub_repairs: true, ..RetentionConfig::default() };
    let (running, client) = start_with(CoordinatorConfig { retention, ..on(&server, folder.path()) }).await;
    let task = submit(&client, "a picture").await;
    lose_the_queue(&server);
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    assert_eq!(worker.lease().await.task_id, task.id);
    running.shutdown(SOON).await;
}
