//! Why a task waits: each constraint in turn, with an estimate that can be given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a helper that fails fails its test

mod support;

use likeness_shared::client::{Client, ClientError};
use likeness_shared::proto::{BindingConstraint, ExplainTaskResponse, Task};
use support::*;
use tonic::Code;

async fn explain(client: &Client, task: &Task) -> ExplainTaskResponse {
    client.explain_task(task_id(&task.id)).await.unwrap()
}

#[tokio::test]
async fn every_constraint_is_named_in_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.fairness.user_in_flight = 1;
    let (running, client) = start_with(config).await;
    let first = submit(&client, "one").await;
    let lonely = explain(&client, &first).await;
    assert_eq!(lonely.constraint(), BindingConstraint::NoWorker, "{lonely:?}");
    assert_eq!((lonely.start_p50, lonely.fitting_workers), (None, 0), "nothing can be said of its start");

    let mut worker = FakeWorker::join(&running, "w1", 1).await;
    let lease = worker.lease().await;
    worker.credit(0).await;
    let runs = explain(&client, &first).await;
    assert_eq!(runs.constraint(), BindingConstraint::None);
    assert!(runs.explanation.contains("w1"), "{}", runs.explanation);

    let second = submit(&client, "two").await;
    let third = submit(&client, "three").await;
    let capped = explain(&client, &third).await;
    assert_eq!(capped.constraint(), BindingConstraint::UserCap, "{capped:?}");
    assert!(capped.explanation.contains("acme/anna"), "{}", capped.explanation);
    assert_eq!(capped.ahead_of_own, 1);

    let mut other = generation("another user's");
    other.user = "bert".to_owned();
    let other = client.submit_generation(other).await.unwrap().task.unwrap();
    let full = explain(&client, &other).await;
    assert_eq!(full.constraint(), BindingConstraint::FleetFull, "{full:?}");
    let mut later = generation("his next");
    later.user = "bert".to_owned();
    let later = client.submit_generation(later).await.unwrap().task.unwrap();
    let queued = explain(&client, &later).await;
    assert_eq!(queued.constraint(), BindingConstraint::Queue, "{queued:?}");
    let seconds = |time: Option<prost_types::Duration>| {
        let time = std::time::Duration::try_from(time.unwrap()).unwrap();
        time.as_secs_f64()
    };
    assert!(seconds(queued.start_p50) > seconds(full.start_p50), "{queued:?} {full:?}");
    assert!(seconds(queued.start_p90) >= seconds(queued.start_p50));
    assert_eq!(queued.fitting_workers, 1);

    let picture = worker.picture().await;
    worker.settle(&lease, picture).await;
    let ended = explain(&client, &first).await;
    assert_eq!(ended.constraint(), BindingConstraint::None);
    assert_ne!(explain(&client, &second).await.constraint(), BindingConstraint::UserCap);
    running.shutdown(SOON).await;
}

#[tokio::test]
async fn an_unknown_task_cannot_be_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (running, client) = start(folder.path()).await;
    let unknown = task_id("01JD3W6F0ZQ4T8X6G2R5K9M1NB");
    let refused: ClientError = client.explain_task(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFound));
    running.shutdown(SOON).await;
}
