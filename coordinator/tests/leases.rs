//! Tasks and workers over real gRPC: leases, checkpoints, fences, cancellation, and every way for a worker to go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::time::{Duration, Instant};

use likeness_shared::client::Client;
use likeness_shared::proto::coordinator_message::Message as FromCoordinator;
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{
    CancelledSettlement, FailedSettlement, HandBackSettlement, Hello, LeaseVerdict, SettleVerdict, TaskState,
    WorkerMessage, worker_message,
};
use support::*;
use tonic::Code;

#[tokio::test]
async fn a_killed_workers_task_is_resumed_elsewhere_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut first = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, "a photo").await;
    let lease = first.lease().await;
    assert_eq!((lease.task_id.as_str(), lease.checkpoint.len()), (task.id.as_str(), 0));
    assert!(first.beat(&lease, 7, b"state at seven").await);
    let seen = client.get_task(task_id(&task.id)).await.unwrap();
    assert_eq!((seen.state(), seen.progress.unwrap().step), (TaskState::Running, 7));

    let mut second = FakeWorker::join(&running, "w2", 1).await;
    let killed = Instant::now();
    first.kill();
    let resumed = second.lease().await;
    let recovery = killed.elapsed();
    assert!(recovery < Duration::from_secs(2), "resumed after {recovery:?}");
    assert_eq!(resumed.checkpoint, b"state at seven");
    assert!(resumed.fence > lease.fence);

    // the first one was not dead after all
    let (back, welcome) = FakeWorker::join_holding(&running, "w1", "first", &[&lease]).await;
    assert_eq!(welcome.verdicts[0].verdict(), LeaseVerdict::Abandon);
    let picture = back.picture().await;
    assert_eq!(back.settle(&lease, picture.clone()).await, SettleVerdict::Stale);
    assert_eq!(second.settle(&resumed, picture.clone()).await, SettleVerdict::Accepted);
    assert_eq!(second.settle(&resumed, picture).await, SettleVerdict::Repeated);
    let done = client.get_task(task_id(&task.id)).await.unwrap();
    let attempts = done.attempts.unwrap();
    assert_eq!(
        (done.state(), attempts.started, attempts.infrastructure_failures),
        (TaskState::Succeeded, 2, 1)
    );
    assert!(running.shutdown(SOON).await);
}

#[tokio::test]
async fn a_worker_that_reconnects_within_the_grace_keeps_its_leases() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.reconnect_grace = Duration::from_secs(5);
    let (running, client) = start_with(config).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    worker.beat(&lease, 3, b"").await;
    worker.kill();
    let (mut worker, welcome) = FakeWorker::join_holding(&running, "w1", "first", &[&lease]).await;
    assert_eq!(welcome.verdicts[0].verdict(), LeaseVerdict::Keep);
    assert!(worker.beat(&lease, 4, b"").await);
    let seen = client.get_task(task_id(&task.id)).await.unwrap();
    assert_eq!(seen.attempts.unwrap().started, 1);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_new_process_under_an_old_name_gives_its_predecessors_tasks_back_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    let (mut next, _) = FakeWorker::join_holding(&running, "w1", "second", &[]).await;
    next.credit(1).await;
    let again = next.lease().await;
    assert_eq!(again.task_id, task.id);
    assert!(again.fence > lease.fence);
    assert!(worker.next_or_end().await.is_none(), "the older session is cut");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_silent_workers_lease_runs_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.lease_ttl = Duration::from_millis(2400);
    config.beat_interval = Duration::from_millis(200);
    config.reconnect_grace = Duration::from_millis(100);
    config.expiry_interval = Duration::from_millis(50);
    let (running, client) = start_with(config).await;
    let mut silent = FakeWorker::join(&running, "w1", 1).await;
    submit(&client, "a photo").await;
    let lease = silent.lease().await;
    let mut other = FakeWorker::join(&running, "w2", 1).await;
    let resumed = other.lease_while_beating(Duration::from_millis(100)).await;
    assert_eq!(resumed.task_id, lease.task_id);
    assert!(resumed.fence > lease.fence);
    assert!(silent.next_or_end().await.is_none(), "a session that says nothing is cut");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn cancelling_reaches_waiting_and_running_tasks() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let waiting = submit(&client, "waits").await;
    let cancelled = client.cancel_task(task_id(&waiting.id)).await.unwrap();
    assert_eq!(cancelled.state(), TaskState::Cancelled);
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let running_task = submit(&client, "runs").await;
    let lease = worker.lease().await;
    let asked = client.cancel_task(task_id(&running_task.id)).await.unwrap();
    assert!(asked.cancel_requested && asked.state() == TaskState::Leased);
    let cancel = worker.cancel().await;
    assert_eq!((cancel.task_id, cancel.fence), (lease.task_id.clone(), lease.fence));
    let outcome = Outcome::Cancelled(CancelledSettlement {});
    assert_eq!(worker.settle(&lease, outcome).await, SettleVerdict::Accepted);
    let ended = client.cancel_task(task_id(&running_task.id)).await.unwrap();
    assert_eq!(ended.state(), TaskState::Cancelled);
    let unknown = client.cancel_task(likeness_shared::ids::TaskId::generate()).await.unwrap_err();
    assert_eq!(unknown.code(), Some(Code::NotFound));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn hand_backs_and_retries_go_to_the_next_free_worker() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut first = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, "a photo").await;
    let lease = first.lease().await;
    first.credit(0).await;
    let hand_back = HandBackSettlement { checkpoint: b"at the drain".to_vec(), progress: None };
    assert_eq!(first.settle(&lease, Outcome::HandBack(hand_back)).await, SettleVerdict::Accepted);
    let mut second = FakeWorker::join(&running, "w2", 1).await;
    let lease = second.lease().await;
    assert_eq!(lease.checkpoint, b"at the drain");
    let failure = |retryable| {
        let (code, message) = ("nan_loss".to_owned(), "the loss is not a number".to_owned());
        Outcome::Failed(FailedSettlement { code, message, retryable, photos: None })
    };
    second.settle(&lease, failure(true)).await;
    let lease = second.lease().await;
    second.settle(&lease, failure(false)).await;
    let failed = client.wait_task(task_id(&task.id), SOON).await.unwrap();
    assert_eq!(failed.state(), TaskState::Failed);
    let attempts = failed.attempts.unwrap();
    assert_eq!((attempts.hand_backs, attempts.application_failures), (1, 2));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_settlement_without_its_artifacts_is_refused_and_can_be_repeated_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    submit(&client, "a photo").await;
    let lease = worker.lease().await;
    let missing = likeness_shared::proto::Picture {
        artifact_digest: likeness_shared::ids::Digest::of(b"never uploaded").to_string(),
        ..likeness_shared::proto::Picture::default()
    };
    let result = likeness_shared::proto::GenerationResult { pictures: vec![missing], warnings: Vec::new() };
    let refused =
        worker.client.settle(worker.settlement(&lease, Outcome::Generation(result))).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::FailedPrecondition));
    let picture = worker.picture().await;
    assert_eq!(worker.settle(&lease, picture).await, SettleVerdict::Accepted);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_restarted_coordinator_keeps_tasks_leases_and_fences() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, "a photo").await;
    let lease = worker.lease().await;
    worker.beat(&lease, 5, b"five").await;
    let mut config = config(folder.path());
    config.listen = running.address();
    let stopping = tokio::join!(running.shutdown(SOON), async {
        assert!(matches!(worker.next().await, FromCoordinator::GoAway(_)));
        assert!(worker.next_or_end().await.is_none());
        drop(worker);
    });
    assert!(stopping.0, "nothing had to be cut");
    drop(client);
    let (running, client) = start_with(config).await;
    let (mut worker, welcome) = FakeWorker::join_holding(&running, "w1", "first", &[&lease]).await;
    assert_eq!(welcome.verdicts[0].verdict(), LeaseVerdict::Keep);
    assert!(worker.beat(&lease, 6, b"").await);
    let picture = worker.picture().await;
    assert_eq!(worker.settle(&lease, picture).await, SettleVerdict::Accepted);
    let done = client.get_task(task_id(&task.id)).await.unwrap();
    assert_eq!((done.state(), done.attempts.unwrap().started), (TaskState::Succeeded, 1));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_worker_of_another_protocol_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let hello = Hello {
        worker_id: "w1".to_owned(),
        incarnation: "first".to_owned(),
        protocol_min: 7,
        protocol_max: 9,
        ..Hello::default()
    };
    let message = WorkerMessage { message: Some(worker_message::Message::Hello(hello)) };
    let refused = client.open_session(tokio_stream::iter([message])).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::FailedPrecondition));
    assert!(refused.to_string().contains("7 to 9"), "{refused}");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn an_idle_worker_gets_a_task_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let mut waits = Vec::new();
    for number in 0..20 {
        let submitted = Instant::now();
        let prompt = format!("picture {number}");
        let (_, lease) = tokio::join!(submit(&client, &prompt), worker.lease());
        waits.push(submitted.elapsed());
        let picture = worker.picture().await;
        worker.settle(&lease, picture).await;
    }
    waits.sort();
    #[allow(clippy::print_stdout)] // the figure is for whoever runs this test by itself
    {
        println!(
            "submit to lease: median {:?}, slowest {:?}",
            waits[waits.len() / 2],
            waits[waits.len() - 1]
        );
    }
    // far below any sweep: the worker is woken, not found
    assert!(waits[waits.len() / 2] < Duration::from_millis(400), "{waits:?}");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_port_in_use_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&folder.path().join("data"));
    config.listen = taken.local_addr().unwrap();
    let error = likeness_coordinator::Coordinator::start(config).await.unwrap_err().to_string();
    assert!(error.contains(&taken.local_addr().unwrap().to_string()) && error.contains("in use"), "{error}");
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn an_unreachable_coordinator_is_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let address = running.address();
    running.shutdown(SOON).await;
    let error = client.get_task(likeness_shared::ids::TaskId::generate()).await.unwrap_err();
    assert!(error.to_string().contains("is it running there?"), "{error}");
    assert!(Client::connect(&address.to_string()).await.is_err());
}

#[tokio::test]
async fn watchers_who_do_not_read_delay_neither_beats_nor_cancellation() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let task = submit(&client, &"a long prompt ".repeat(500)).await;
    let lease = worker.lease().await;
    // more than the windows of streams and connection hold, of which nobody reads anything
    let address = running.address().to_string();
    let mut watches = Vec::new();
    for _ in 0..2 {
        let watcher = Client::connect(&address).await.unwrap();
        for _ in 0..10 {
            watches.push(watcher.watch_task_once(task_id(&task.id), 0).await.unwrap());
        }
    }
    for step in 1..=300 {
        assert!(worker.beat(&lease, step, b"").await);
    }
    client.cancel_task(task_id(&task.id)).await.unwrap();
    assert_eq!(worker.cancel().await.task_id, task.id);
    let cancelled = Outcome::Cancelled(CancelledSettlement {});
    assert_eq!(worker.settle(&lease, cancelled).await, SettleVerdict::Accepted);
    let ended = client.get_task(task_id(&task.id)).await.unwrap();
    assert_eq!(ended.state(), TaskState::Cancelled);
    drop(watches);
    running.shutdown(SOON).await;
}
