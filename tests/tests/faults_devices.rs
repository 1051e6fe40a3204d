//! Devices fail: out of memory, a thread that dies, a loss that is no number, a process that dies of its task.
//! Rows of docs/faults.md. The simulated device misbehaves as the tasks ask.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use likeness_shared::ids::TaskId;
use likeness_shared::proto::{SubmitGenerationRequest, Task, TaskState, WorkerState, task};
use likeness_tests::asking::{Asking, attempts, generation, step_of};
use likeness_tests::fleet::{Coordinator, WORK, start_simulated};
use likeness_tests::service::Service;
use tempfile::TempDir;

const OBEY: &[&str] = &["--simulated-faults"];

fn coordinator() -> (Coordinator, Asking, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let asking = Asking::connect(&coordinator.address);
    (coordinator, asking, data)
}

fn worker(coordinator: &Coordinator, name: &str) -> Service {
    start_simulated(name, &coordinator.address, "5ms", OBEY)
}

fn failure_code(task: &Task) -> &str {
    match &task.outcome {
        Some(task::Outcome::Failure(failure)) => &failure.code,
        other => panic!("no failure: {other:?}"),
    }
}

#[test]
fn a_task_whose_device_is_out_of_memory_goes_on_from_its_checkpoint_and_is_not_charged() {
    let (coordinator, asking, _data) = coordinator();
    let worker = worker(&coordinator, "worker");
    let id = asking.invert(400, "fault:oom@200x1");
    let ended = asking.until_success(id, WORK);
    assert_eq!(attempts(&ended), (2, 1, 0), "{ended:#?}");
    assert_eq!(ended.attempts.unwrap().application_failures, 0);
    assert!(
        ended.last_errors.iter().any(|error| error.contains("device_out_of_memory")),
        "{:?}",
        ended.last_errors
    );
    assert!(worker.lines().iter().any(|line| line.contains("resumes=true")), "{:#?}", worker.lines());
    assert_eq!(step_of(&ended), 400);
}

#[test]
fn a_device_that_dies_is_built_anew_and_its_task_goes_on() {
    let (coordinator, asking, _data) = coordinator();
    let worker = worker(&coordinator, "worker");
    let id = asking.invert(400, "fault:panic@200x1");
    let ended = asking.until_success(id, WORK);
    assert_eq!(attempts(&ended), (2, 1, 0), "{ended:#?}");
    assert!(ended.last_errors.iter().any(|error| error.contains("device_lost")), "{:?}", ended.last_errors);
    assert!(
        worker.lines().iter().any(|line| line.contains("device is ready again")),
        "{:#?}",
        worker.lines()
    );
}

#[test]
fn a_loss_that_is_never_a_number_fails_the_task_by_name() {
    let (coordinator, asking, _data) = coordinator();
    let _worker = worker(&coordinator, "worker");
    let id = asking.invert(50, "fault:diverge@10");
    let ended = asking.until("failure", id, WORK, |task| task.state() == TaskState::Failed);
    assert_eq!(failure_code(&ended), "nan_loss");
    assert!(ended.attempts.unwrap().started >= 2, "it was worth another attempt");
}

#[test]
fn a_loss_that_is_once_no_number_is_drawn_anew_from_another_seed() {
    let (coordinator, asking, _data) = coordinator();
    let _worker = worker(&coordinator, "worker");
    let id = asking.invert(50, "fault:nan@10");
    let ended = asking.until_success(id, WORK);
    let counts = ended.attempts.unwrap();
    assert_eq!((counts.started, counts.application_failures), (2, 1), "{ended:#?}");
    assert!(ended.last_errors.iter().any(|error| error.contains("nan_loss")), "{:?}", ended.last_errors);
}

#[test]
fn a_worker_that_fails_every_task_is_quarantined_and_the_tasks_are_not_charged() {
    let (coordinator, asking, _data) = coordinator();
    let sick = worker(&coordinator, "sick");
    // one for each user, so that none is tried again before all have failed
    let ids: Vec<TaskId> = ["anna", "bert", "carl"]
        .into_iter()
        .map(|user| {
            let request = generation(400, "a photo fault:oom@5x1");
            let request = SubmitGenerationRequest { user: user.to_owned(), ..request };
            let submitted = asking.block_on(asking.client.submit_generation(request)).unwrap();
            submitted.task.unwrap().id.parse().unwrap()
        })
        .collect();
    let sickness = asking.until_worker("sick", WORK, |worker| worker.state() == WorkerState::Quarantined);
    assert!(sickness.failures_in_a_row >= 3, "{sickness:?}");
    let _well = worker(&coordinator, "well");
    for id in ids {
        let ended = asking.until_success(id, WORK);
        let counts = ended.attempts.unwrap();
        assert_eq!((counts.application_failures, counts.infrastructure_failures), (0, 0), "{ended:#?}");
    }
    drop(sick);
}

#[test]
fn a_task_that_kills_its_workers_is_quarantined_at_the_third() {
    let (coordinator, asking, _data) = coordinator();
    let workers: Vec<Service> = ["worker-a", "worker-b", "worker-c", "worker-d"]
        .iter()
        .map(|name| worker(&coordinator, name))
        .collect();
    let id = asking.generate(50, "a photo fault:abort@5");
    let ended = asking.until("quarantine", id, WORK, |task| task.state() == TaskState::Quarantined);
    assert_eq!(attempts(&ended), (3, 3, 0), "{ended:#?}");
    assert_eq!(failure_code(&ended), "quarantined");
    // the fourth worker lives and works
    let next = asking.generate(5, "a photo");
    asking.until_success(next, WORK);
    drop(workers);
}
