//! Two coordinator processes on one Redis: clients and workers may speak to either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::path::Path;
use std::time::Duration;

use likeness_shared::client::Client;
use likeness_shared::proto::coordinator_message::Message as FromCoordinator;
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{
    CancelMode, CancelledSettlement, Durability, HandBackSettlement, LeaseVerdict, SettleVerdict, TaskState,
    WorkerState,
};
use likeness_shared::redis_address::{Connector, Patience};
use likeness_shared::series::{Cursor, Point, RedisSeries, Series, Subject, names};
use support::process::{Process, command};
use support::redis_server::RedisServer;
use support::sentinels::Sentinels;
use support::signpost::Signpost;
use support::*;

/// How long the coordinators of these tests wait for a worker to come back.
const GRACE: Duration = Duration::from_millis(300);

/// Between two beats of a worker that a test has on a short lease.
const BEAT: Duration = Duration::from_millis(200);

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

// the signpost must go on while this test waits for the coordinator's first words
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_replica_in_the_primarys_place_costs_running_work_nothing() {
    let ttl = Duration::from_millis(2400);
    let (folder, primary) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let (signpost, replica) = (Signpost::to(&primary).await, RedisServer::replica_of(&primary));
    let mut command = command(folder.path(), "127.0.0.1:0");
    command.args(["--store", &signpost.url()]).env("LIKENESS_COORDINATOR__REDIS__FLEET", "tests");
    command.env("LIKENESS_COORDINATOR__LEASE_TTL", format!("{}ms", ttl.as_millis()));
    command.env("LIKENESS_COORDINATOR__BEAT_INTERVAL", format!("{}ms", BEAT.as_millis()));
    command.env("LIKENESS_COORDINATOR__EXPIRY_INTERVAL", "100ms");
    let one = Process::run(command);
    let client = Client::connect(&one.address).await.unwrap();
    let running = submit(&client, "a photo").await;
    let waiting = submit(&client, "another photo").await;
    replica.catch_up_with(&primary);
    replica.promote();
    let (mut worker, _) = FakeWorker::join_at(&one.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let lease = worker.lease().await;
    assert_eq!(lease.task_id, running.id);
    assert!(worker.beat(&lease, 7, b"state at seven").await);

    signpost.turn_to(&replica);
    drop(primary);
    let lost = std::time::Instant::now();
    // asked to greet anew, without a word that its lease is over
    loop {
        match worker.next().await {
            FromCoordinator::GoAway(_) => break,
            FromCoordinator::BeatAck(ack) => assert!(ack.verdicts.is_empty()),
            other => panic!("not a request to greet anew: {other:?}"),
        }
    }
    worker.kill();
    let (mut worker, welcome) = FakeWorker::join_at(&one.address, "w1", "first", &[&lease]).await;
    assert_eq!(welcome.verdicts[0].verdict(), LeaseVerdict::Keep);
    let (mut idle, _) = FakeWorker::join_at(&one.address, "w2", "first", &[]).await;
    idle.credit(2).await;
    let mut pace = tokio::time::interval(BEAT);
    let goes_on = async {
        loop {
            pace.tick().await;
            assert!(worker.beat(&lease, 9, b"state at nine").await, "the lease is kept");
        }
    };
    let next = tokio::select! {
        next = idle.lease_while_beating(BEAT) => next,
        () = goes_on => panic!("the worker stops"),
    };
    assert!(lost.elapsed() >= ttl, "nothing is leased for the lifetime of a lease: {:?}", lost.elapsed());
    assert_eq!(next.task_id, waiting.id);
    for (worker, lease) in [(&worker, &lease), (&idle, &next)] {
        let picture = worker.picture().await;
        assert_eq!(worker.settle(lease, picture).await, SettleVerdict::Accepted);
    }
    for task in [running, waiting] {
        let ended = client.wait_task(task_id(&task.id), SOON).await.unwrap();
        assert_eq!((ended.state(), ended.attempts.unwrap().started), (TaskState::Succeeded, 1));
    }
}

#[tokio::test]
async fn a_failover_by_sentinels_needs_nobody() {
    let (folder, mut primary) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let _replicas = [RedisServer::replica_of(&primary), RedisServer::replica_of(&primary)];
    let sentinels = Sentinels::over(&primary, None);
    let mut command = command(folder.path(), "127.0.0.1:0");
    command.args(["--store", &sentinels.url()]).env("LIKENESS_COORDINATOR__REDIS__FLEET", "tests");
    command.env("LIKENESS_COORDINATOR__REDIS__REPLICAS", "1");
    let one = Process::run(command);
    let client = Client::connect(&one.address).await.unwrap();
    let (mut worker, _) = FakeWorker::join_at(&one.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let answer = client.submit_generation(generation("a photo")).await.unwrap();
    assert_eq!(answer.durability(), Durability::Replicated);
    let task = answer.task.unwrap();
    let lease = worker.lease().await;
    assert!(worker.beat(&lease, 7, b"state at seven").await);
    primary.kill();
    let killed = std::time::Instant::now();
    let request = generation("while there is no primary");
    let (code, after) = loop {
        match client.submit_generation(request.clone()).await {
            Ok(answer) => break (answer.durability(), answer.task.unwrap()),
            Err(error) => assert!(error.is_transient() && killed.elapsed() < SOON, "{error}"),
        }
    };
    assert_eq!(code, Durability::Replicated);
    let picture = worker.picture().await;
    assert_eq!(worker.settle(&lease, picture).await, SettleVerdict::Accepted);
    let ended = client.wait_task(task_id(&task.id), SOON).await.unwrap();
    assert_eq!((ended.state(), ended.attempts.unwrap().started), (TaskState::Succeeded, 1));
    assert_eq!(worker.lease().await.task_id, after.id);
}

#[tokio::test]
async fn a_watch_has_the_points_that_a_worker_wrote() {
    let (folder, server) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let one = coordinator(&server, folder.path());
    let (mut worker, _) = FakeWorker::join_at(&one.address, "w1", "first", &[]).await;
    worker.credit(1).await;
    let client = Client::connect(&one.address).await.unwrap();
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    let patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_secs(1) };
    let connector = Connector::new(server.url().parse().unwrap(), "", patience).unwrap();
    let series = RedisSeries::new(connector, "tests");
    let mut writing = tokio::task::JoinSet::new();
    writing.spawn(series.writer().run());
    let subject = Subject::Task(task_id(&task.id));
    for step in 1..=3 {
        series.record(&subject, Point::at_this_moment(step, [(names::LOSS, f64::from(step) / 4.0)]));
    }
    let written = std::time::Instant::now();
    while series.read(&subject, Cursor::default(), 9).await.unwrap().points.len() < 3 {
        assert!(written.elapsed() < SOON, "the points are never written");
    }
    assert!(worker.beat(&lease, 3, b"").await);
    let mut watch = client.watch_task_once(task_id(&task.id), 0).await.unwrap();
    let seen = soon("the state", watch.message()).await.unwrap().unwrap();
    let points: Vec<(u32, f64)> =
        seen.metrics.iter().map(|point| (point.step, point.values["loss"])).collect();
    assert_eq!(points, [(1, 0.25), (2, 0.5), (3, 0.75)]);
    series.record(&subject, Point::at_this_moment(4, [(names::LOSS, 1.0)]));
    while series.read(&subject, Cursor::default(), 9).await.unwrap().points.len() < 4 {
        assert!(written.elapsed() < SOON, "the point is never written");
    }
    assert!(worker.beat(&lease, 4, b"").await);
    let seen = soon("the next state", watch.message()).await.unwrap().unwrap();
    assert_eq!(seen.metrics.iter().map(|point| point.step).collect::<Vec<_>>(), [4]);
    let key = format!("{{likeness:tests}}:series:task:{}", task.id);
    let remaining = server.command(&["PTTL", &key]);
    assert!(!remaining.starts_with(":-"), "a series goes by itself: {remaining}");
}

#[tokio::test]
async fn series_whose_redis_is_away_hold_nobody_up() {
    let server = RedisServer::start();
    let address = server.url().parse().unwrap();
    drop(server);
    let patience = Patience { connect: Duration::from_secs(1), answer: Duration::from_secs(1) };
    let series = RedisSeries::new(Connector::new(address, "", patience).unwrap(), "tests");
    let mut writing = tokio::task::JoinSet::new();
    writing.spawn(series.writer().run());
    let subject = Subject::Worker("w1".parse().unwrap());
    let started = std::time::Instant::now();
    for step in 0..20_000 {
        series.record(&subject, Point::at_this_moment(step, [(names::BUSY_SHARE, 0.5)]));
    }
    assert!(started.elapsed() < SOON);
    assert!(series.read(&subject, Cursor::default(), 9).await.is_err());
    assert!(writing.try_join_next().is_none(), "the writer goes on trying");
}
