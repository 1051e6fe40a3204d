//! Processes die, are told to stop, or are cancelled in the middle of an inversion: nothing is lost or done twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::collections::HashMap;

use likeness_tests::fleet::{Coordinator, START, WORK, in_state, trained};
use likeness_tests::service::Service;
use nix::sys::signal::Signal;
use serde_json::Value;

/// Long enough to be in the middle of when something happens.
const STEPS: u32 = 60;
/// Trained steps after which something happens.
const MIDDLE: u64 = 10;

/// Takes the worker that holds the task out of the map.
fn holder(workers: &mut HashMap<&str, Service>, task: &Value) -> (String, Service) {
    let id = task["worker_id"].as_str().unwrap();
    let service = workers.remove(id).unwrap_or_else(|| panic!("no worker {id:?}"));
    (id.to_owned(), service)
}

/// The task at its end, which must be a success.
fn success(watch: &Service) -> Value {
    watch.wait_for("the end", WORK, |line| {
        ["succeeded", "failed", "cancelled", "quarantined"].iter().find_map(|state| in_state(line, state))
    })
}

#[test]
fn a_killed_workers_inversion_is_finished_by_another_with_the_same_vectors() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let mut workers: HashMap<&str, Service> =
        ["worker-a", "worker-b"].map(|name| (name, coordinator.start_worker(name))).into();
    let task = coordinator.invert("killed", STEPS);
    let watch = coordinator.watch(&task);
    let running = watch.wait_for("some training", START, |line| trained(line, MIDDLE));
    let (first, service) = holder(&mut workers, &running);
    service.kill();

    let ended = success(&watch);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_ne!(ended["worker_id"], first.as_str());
    assert_eq!(ended["attempts"]["started"], 2, "{ended}");
    assert_eq!(ended["attempts"]["infrastructure_failures"], 1, "{ended}");
    // It went on from the last checkpoint instead of from the start.
    let reported = running["progress"]["step"].as_u64().unwrap();
    let again = watch
        .lines()
        .iter()
        .filter_map(|line| trained(line, 0))
        .find(|task| task["worker_id"] != first.as_str());
    let resumed = again.unwrap()["progress"]["step"].as_u64().unwrap();
    assert!(resumed >= reported, "went back from step {reported} to {resumed}");

    let whole = coordinator.invert("whole", STEPS);
    assert_eq!(success(&coordinator.watch(&whole))["attempts"]["started"], 1);
    assert_eq!(coordinator.vectors("killed"), coordinator.vectors("whole"), "the vectors differ");
}

#[test]
fn a_cancelled_inversion_stops_and_leaves_nobody_behind() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let _worker = coordinator.start_worker("worker-a");
    let task = coordinator.invert("nobody", 10_000);
    let mut watch = coordinator.watch(&task);
    watch.wait_for("some training", START, |line| trained(line, 1));

    let cancelled = coordinator.ask(&["task", "cancel", "--wait", &task]);
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    // The watch says so too, by its exit code.
    assert_eq!(watch.exit(WORK).code(), Some(5));
    coordinator.likeness(&["people", "get", "nobody"]).expect(4, &["nobody"]);
    // The worker's slot is free again.
    let next = coordinator.invert("next", 2);
    assert_eq!(success(&coordinator.watch(&next))["state"], "succeeded");
}

#[test]
fn a_killed_coordinator_comes_back_and_the_task_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let _worker = coordinator.start_worker("worker-a");
    let task = coordinator.invert("patient", STEPS);
    let watch = coordinator.watch(&task);
    watch.wait_for("some training", START, |line| trained(line, MIDDLE));

    let coordinator = coordinator.kill_and_restart();
    let ended = success(&watch);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["attempts"]["started"], 1, "the worker kept its lease: {ended}");
    assert_eq!(coordinator.task(&task)["state"], "succeeded");
    assert_eq!(coordinator.ask(&["people", "get", "patient"])["task_id"], task.as_str());
}

#[test]
fn a_worker_that_is_told_to_stop_hands_its_task_back() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let mut workers: HashMap<&str, Service> =
        ["worker-a", "worker-b"].map(|name| (name, coordinator.start_worker(name))).into();
    let task = coordinator.invert("handed", STEPS);
    let watch = coordinator.watch(&task);
    let running = watch.wait_for("some training", START, |line| trained(line, MIDDLE));
    let (first, mut service) = holder(&mut workers, &running);
    service.signal(Signal::SIGTERM);
    let status = service.exit(WORK);
    assert!(status.success(), "{status}");

    let ended = success(&watch);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_ne!(ended["worker_id"], first.as_str());
    assert_eq!(ended["attempts"]["hand_backs"], 1, "{ended}");
    assert_eq!(ended["attempts"]["infrastructure_failures"], 0, "{ended}");
}

/// Both are in the passes of one worker when it dies, and then in the other's.
#[test]
fn people_who_are_learned_in_the_same_passes_outlive_their_worker_and_are_as_if_each_were_alone() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let first = coordinator.start_worker_of("worker-a", 4);
    let tasks = ["ann", "bob"].map(|name| coordinator.invert(name, 2 * STEPS));
    let watches = tasks.each_ref().map(|task| coordinator.watch(task));
    for watch in &watches {
        watch.wait_for("some training", START, |line| trained(line, MIDDLE));
    }
    let running = tasks.iter().filter(|task| coordinator.task(task)["state"] == "running").count();
    assert_eq!(running, 2, "they are learned at the same time");
    let _second = coordinator.start_worker_of("worker-b", 4);
    first.kill();
    for watch in &watches {
        let ended = success(watch);
        assert_eq!(
            (&ended["state"], &ended["worker_id"]),
            (&"succeeded".into(), &"worker-b".into()),
            "{ended}"
        );
        assert_eq!(ended["attempts"]["started"], 2, "{ended}");
    }

    let alone = coordinator.invert("alone", 2 * STEPS);
    success(&coordinator.watch(&alone));
    let expected = numbers(&coordinator.vectors("alone"));
    let length = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    for name in ["ann", "bob"] {
        let found = numbers(&coordinator.vectors(name));
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        assert!(apart / length < 1e-4, "{name} is {:e} of the vectors' length away", apart / length);
    }
}

/// The f32 numbers in a tensor's bytes.
fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(4).map(|word| f64::from(f32::from_le_bytes(word.try_into().unwrap()))).collect()
}
