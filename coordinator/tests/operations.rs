//! What operators do to tasks and workers, over real gRPC: delays, deadlines, holds, retries, drains, quarantine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use std::time::{Duration, Instant};

use likeness_shared::client::Client;
use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{
    CancelMode, CancelTasksRequest, FailedSettlement, HandBackSettlement, InfrastructureSettlement,
    ListTasksRequest, ListWorkersRequest, RetryTasksRequest, SubmitGenerationRequest, Task, TaskState,
    Timing, WorkerState,
};
use support::*;
use tonic::Code;

fn seconds(seconds: f64) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(Duration::from_secs_f64(seconds)).ok()
}

fn timed(prompt: &str, delay: f64, start_within: Option<f64>) -> SubmitGenerationRequest {
    let timing = Timing { delay: seconds(delay), start_within: start_within.and_then(seconds) };
    SubmitGenerationRequest { timing: Some(timing), ..generation(prompt) }
}

fn failure(retryable: bool) -> Outcome {
    let (code, message) = ("internal".to_owned(), "something broke".to_owned());
    Outcome::Failed(FailedSettlement { code, message, retryable, photos: None })
}

async fn task(client: &Client, id: &str) -> Task {
    client.get_task(task_id(id)).await.unwrap()
}

#[tokio::test]
async fn a_delayed_task_starts_soon_after_its_time_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let submitted = Instant::now();
    let request = timed("later", 1.5, None);
    let delayed = client.submit_generation(request.clone()).await.unwrap().task.unwrap();
    assert_eq!(delayed.state(), TaskState::Scheduled);
    assert!(delayed.schedule_time.is_some());
    let lease = worker.lease().await;
    assert_eq!(lease.task_id, delayed.id);
    let waited = submitted.elapsed();
    assert!(waited >= Duration::from_millis(1500), "it was started after {waited:?}");
    assert!(waited < Duration::from_secs(5), "it was started only after {waited:?}");
    assert!(client.submit_generation(request.clone()).await.unwrap().repeated);
    let otherwise = SubmitGenerationRequest { timing: None, ..request };
    let refused = client.submit_generation(otherwise).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::AlreadyExists), "the timing belongs to the body");
    let refused = client.submit_generation(timed("never", 10.0, Some(5.0))).await.unwrap_err();
    assert!(refused.to_string().contains("timing.start_within"), "{refused}");
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_task_that_nobody_starts_in_time_expires_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let expiring = client.submit_generation(timed("soon", 0.0, Some(0.5))).await.unwrap().task.unwrap();
    let ended = client.wait_task(task_id(&expiring.id), SOON).await.unwrap();
    assert_eq!(ended.state(), TaskState::Expired);
    let Some(likeness_shared::proto::task::Outcome::Failure(failure)) = ended.outcome else {
        panic!("no failure")
    };
    assert_eq!(failure.code, "start_deadline");
    let retried = client.retry_task(task_id(&expiring.id)).await.unwrap();
    assert_eq!((retried.state(), retried.start_deadline), (TaskState::Queued, None));
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    assert_eq!(worker.lease().await.task_id, expiring.id);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_drained_worker_is_asked_at_once_and_its_task_goes_on_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut first = FakeWorker::join(&running, "w1", 2).await;
    let submitted = submit(&client, "a photo").await;
    let lease = first.lease().await;
    first.beat(&lease, 7, b"at seven").await;
    let drained = client.drain_worker(&"w1".parse().unwrap(), "upgrade", false).await.unwrap();
    assert_eq!(
        (drained.state(), drained.reason.as_str(), drained.tasks),
        (WorkerState::Draining, "upgrade", 1)
    );
    let cancel = first.cancel().await;
    assert_eq!((cancel.task_id.as_str(), cancel.mode()), (submitted.id.as_str(), CancelMode::HandBack));
    let hand_back = HandBackSettlement { checkpoint: b"at nine".to_vec(), progress: None };
    first.settle(&lease, Outcome::HandBack(hand_back)).await;
    let mut second = FakeWorker::join(&running, "w2", 1).await;
    let resumed = second.lease().await;
    assert_eq!(resumed.checkpoint, b"at nine");
    let attempts = task(&client, &submitted.id).await.attempts.unwrap();
    assert_eq!((attempts.hand_backs, attempts.application_failures), (1, 0));
    // a drain outlives the session
    first.kill();
    let (mut first, _) = FakeWorker::join_holding(&running, "w1", "second", &[]).await;
    first.credit(2).await;
    let waiting = submit(&client, "another photo").await;
    assert!(tokio::time::timeout(Duration::from_millis(700), first.lease()).await.is_err());
    let undrained = client.undrain_worker(&"w1".parse().unwrap()).await.unwrap();
    assert_eq!(undrained.state(), WorkerState::Active);
    assert_eq!(first.lease().await.task_id, waiting.id);
    let unknown = client.drain_worker(&"w9".parse().unwrap(), "", false).await.unwrap_err();
    assert_eq!(unknown.code(), Some(Code::NotFound));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_worker_that_fails_everything_is_quarantined_and_its_tasks_succeed_elsewhere_uncharged() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut ids = Vec::new();
    for number in 0..4 {
        ids.push(submit(&client, &format!("picture {number}")).await.id);
    }
    let mut sick = FakeWorker::join(&running, "sick", 1).await;
    for hit in 0..3 {
        let lease = sick.lease().await;
        let lost = InfrastructureSettlement {
            code: "device_lost".to_owned(),
            message: "the device is gone".to_owned(),
            checkpoint: Vec::new(),
        };
        sick.settle(&lease, if hit == 1 { Outcome::Infrastructure(lost) } else { failure(true) }).await;
    }
    let seen = client.get_worker(&"sick".parse().unwrap()).await.unwrap();
    assert_eq!((seen.state(), seen.failures_in_a_row, seen.settled), (WorkerState::Quarantined, 3, 3));
    assert!(
        tokio::time::timeout(Duration::from_millis(700), sick.lease()).await.is_err(),
        "three hits at most"
    );
    let mut well = FakeWorker::join(&running, "well", 1).await;
    for _ in 0..4 {
        let lease = well.lease().await;
        let picture = well.picture().await;
        well.settle(&lease, picture).await;
    }
    for id in &ids {
        let done = client.wait_task(task_id(id), SOON).await.unwrap();
        let attempts = done.attempts.unwrap();
        assert_eq!(done.state(), TaskState::Succeeded);
        assert_eq!((attempts.application_failures, attempts.infrastructure_failures), (0, 0), "{attempts:?}");
    }
    let listed = client.list_workers(ListWorkersRequest::default()).await.unwrap().workers;
    let names: Vec<(&str, WorkerState)> =
        listed.iter().map(|worker| (worker.id.as_str(), worker.state())).collect();
    assert_eq!(names, [("sick", WorkerState::Quarantined), ("well", WorkerState::Active)]);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn a_running_task_is_held_released_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let id = submit(&client, "a photo").await.id;
    let lease = worker.lease().await;
    let asked = client.hold_task(task_id(&id), "look first").await.unwrap();
    assert_eq!((asked.state(), asked.hold_reason.as_str()), (TaskState::Leased, "look first"));
    assert_eq!(worker.cancel().await.mode(), CancelMode::HandBack);
    let hand_back = HandBackSettlement { checkpoint: b"state".to_vec(), progress: None };
    worker.settle(&lease, Outcome::HandBack(hand_back)).await;
    let held = task(&client, &id).await;
    assert_eq!((held.state(), held.hold_reason.as_str()), (TaskState::Held, "look first"));
    client.release_task(task_id(&id)).await.unwrap();
    let lease = worker.lease().await;
    assert_eq!((lease.task_id.as_str(), lease.checkpoint.as_slice()), (id.as_str(), &b"state"[..]));
    let picture = worker.picture().await;
    worker.settle(&lease, picture).await;
    let refused = client.hold_task(task_id(&id), "").await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::FailedPrecondition));
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn dead_letters_are_tried_again_in_bulk_a_page_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    for number in 0..7 {
        submit(&client, &format!("picture {number}")).await;
        let lease = worker.lease().await;
        worker.settle(&lease, failure(false)).await;
    }
    worker.credit(0).await;
    let mut request =
        RetryTasksRequest { tenant: "acme".to_owned(), page_size: 3, ..RetryTasksRequest::default() };
    let other = RetryTasksRequest { code: "corrupt".to_owned(), page_size: 0, ..request.clone() };
    assert_eq!(client.retry_tasks(other).await.unwrap().retried, 0);
    let mut retried = Vec::new();
    loop {
        let page = client.retry_tasks(request.clone()).await.unwrap();
        retried.push(page.retried);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(retried, [3, 3, 1]);
    let waiting = ListTasksRequest {
        tenant: "acme".to_owned(),
        states: vec![TaskState::Queued.into()],
        max_age: seconds(3600.0),
        ..ListTasksRequest::default()
    };
    assert_eq!(client.list_tasks(waiting.clone()).await.unwrap().tasks.len(), 7);
    let old = ListTasksRequest { max_age: None, min_age: seconds(3600.0), ..waiting };
    assert!(client.list_tasks(old).await.unwrap().tasks.is_empty());
    let running_ones = RetryTasksRequest { states: vec![TaskState::Running.into()], ..request };
    assert_eq!(client.retry_tasks(running_ones).await.unwrap_err().code(), Some(Code::InvalidArgument));
    let everything = CancelTasksRequest { tenant: "acme".to_owned(), ..CancelTasksRequest::default() };
    assert_eq!(client.cancel_tasks(everything).await.unwrap().cancelled, 7);
    running.shutdown(SOON).await;
}
