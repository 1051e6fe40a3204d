//! Workers die, vanish, fall asleep, lose one half of their connection, or are told to stop. Rows of docs/faults.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use likeness_shared::proto::settle_request::Outcome;
use likeness_shared::proto::{CancelledSettlement, SettleRequest, SettleVerdict, Task, TaskState};
use likeness_tests::asking::{Asking, attempts, step_of};
use likeness_tests::fleet::{Coordinator, START, Setting, USUAL_TIMES, WORK, fence_of, start_simulated};
use likeness_tests::measure::recovered;
use likeness_tests::outage::Outage;
use likeness_tests::proxy::{Direction, Proxy};
use likeness_tests::service::Service;
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// Steps of a task that is to be in the middle of when something happens, and what one takes.
const STEPS: u32 = 600;
const STEP: &str = "20ms";

fn coordinator(times: &'static str) -> (Coordinator, Asking, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start_as(&Setting {
        times,
        store: None,
        data: data.path().to_owned(),
        sections: String::new(),
    });
    let asking = Asking::connect(&coordinator.address);
    (coordinator, asking, data)
}

fn is_with_another(first: &str) -> impl Fn(&Task) -> bool {
    move |task| task.worker_id != first && matches!(task.state(), TaskState::Leased | TaskState::Running)
}

/// Takes the worker that holds the task out of the map.
fn holder(workers: &mut HashMap<&str, Service>, task: &Task) -> Service {
    workers.remove(task.worker_id.as_str()).unwrap_or_else(|| panic!("no worker {:?}", task.worker_id))
}

fn two_workers(coordinator: &Coordinator) -> HashMap<&'static str, Service> {
    ["worker-a", "worker-b"].map(|name| (name, start_simulated(name, &coordinator.address, STEP, &[]))).into()
}

#[test]
fn a_killed_workers_task_goes_on_at_an_idle_peer_from_its_checkpoint() {
    let (coordinator, asking, _data) = coordinator(USUAL_TIMES);
    let mut workers = two_workers(&coordinator);
    let task = asking.invert(STEPS, "");
    let running = asking.until_step(task, 50);
    let first = running.worker_id.clone();
    let service = holder(&mut workers, &running);
    let killed = Instant::now();
    service.kill();
    asking.until("another worker", task, WORK, is_with_another(&first));
    recovered("worker SIGKILL: leased to an idle peer", Duration::from_secs(2), killed.elapsed());

    let resumed = asking.until("a report of the peer", task, WORK, |task| {
        task.worker_id != first && task.state() == TaskState::Running
    });
    assert!(step_of(&resumed) >= step_of(&running), "from {} to {}", step_of(&running), step_of(&resumed));
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (2, 1, 0), "one start more, by the first worker's fault: {ended:#?}");
}

#[test]
fn a_host_that_vanishes_without_a_word_loses_its_lease() {
    let (coordinator, asking, _data) = coordinator(USUAL_TIMES);
    let proxy = Proxy::start(&coordinator.address);
    let vanishing = start_simulated("vanishing", &proxy.address(), STEP, &[]);
    let task = asking.invert(STEPS, "");
    let running = asking.until_step(task, 50);
    let _peer = start_simulated("peer", &coordinator.address, STEP, &[]);

    let vanished = Instant::now();
    proxy.black_hole();
    asking.until("another worker", task, WORK, is_with_another("vanishing"));
    recovered("worker's host vanishes: leased to a peer", Duration::from_secs(12), vanished.elapsed());
    // whoever vanished stops by itself, and is told so when the network is back
    vanishing.wait_for("that it stops", WORK, said("lease has not been renewed in time"));
    proxy.heal();
    vanishing.wait_for("that the lease is lost", WORK, said("lease is lost"));
    let ended = asking.until_success(task, WORK);
    assert_eq!((ended.worker_id.as_str(), attempts(&ended)), ("peer", (2, 1, 0)), "{ended:#?}");
    assert!(step_of(&running) >= 50);
}

#[test]
fn a_paused_worker_cannot_settle_what_another_has_meanwhile() {
    let outage = Outage::of(Duration::from_secs(30));
    let (coordinator, asking, _data) = coordinator(outage.times);
    let mut workers = two_workers(&coordinator);
    let task = asking.invert(STEPS, "");
    let running = asking.until_step(task, 20);
    let first = running.worker_id.clone();
    let sleeper = holder(&mut workers, &running);
    let paused = Instant::now();
    sleeper.signal(Signal::SIGSTOP);
    asking.until("another worker", task, WORK, is_with_another(&first));
    recovered("worker paused: leased to a peer", outage.lease + Duration::from_secs(2), paused.elapsed());
    // what the sleeper would say of its attempt if it were quicker than the news that it has lost it
    let stale = SettleRequest {
        worker_id: first.clone(),
        task_id: task.to_string(),
        fence: fence_of(&sleeper),
        outcome: Some(Outcome::Cancelled(CancelledSettlement {})),
        device_time: None,
    };
    assert_eq!(asking.block_on(asking.client.settle(stale)).unwrap(), SettleVerdict::Stale);

    outage.wait(paused);
    sleeper.signal(Signal::SIGCONT);
    sleeper.wait_for("that it has lost the task", WORK, |line| {
        ["lease is lost", "the lease was lost"].iter().any(|lost| line.contains(lost)).then_some(())
    });
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (2, 1, 0), "{ended:#?}");
    assert_ne!(ended.worker_id, first);
    let accepted = |worker: &Service| {
        let lines = worker.lines();
        lines.iter().filter(|line| line.contains("SETTLE_VERDICT_ACCEPTED")).count()
    };
    let peer = workers.values().next().unwrap();
    peer.wait_for("that its result is taken", WORK, said("SETTLE_VERDICT_ACCEPTED"));
    assert_eq!((accepted(&sleeper), accepted(peer)), (0, 1), "one success");
}

#[test]
fn a_stream_that_is_open_on_one_side_only_is_opened_anew_and_the_task_runs_on() {
    for (direction, row) in [
        (Direction::ToServer, "stream half open towards the coordinator: connected anew"),
        (Direction::ToClient, "stream half open towards the worker: connected anew"),
    ] {
        let (coordinator, asking, _data) = coordinator(USUAL_TIMES);
        let proxies = [Proxy::start(&coordinator.address), Proxy::start(&coordinator.address)];
        let ways = format!("{},{}", proxies[0].address(), proxies[1].address());
        let worker = start_simulated("worker", &ways, STEP, &[]);
        let task = asking.invert(STEPS, "");
        let running = asking.until_step(task, 50);
        let sessions = |worker: &Service| worker.lines().iter().filter(|line| is_open(line)).count();
        assert_eq!(sessions(&worker), 1);
        let broken = Instant::now();
        // both are stopped for as long as it takes, then the network is whole again for whoever dials anew
        proxies.iter().for_each(|proxy| proxy.stop(direction));
        worker.wait_for("that it notices", WORK, |line| {
            ["session ended", "coordinator is silent"].iter().any(|word| line.contains(word)).then_some(())
        });
        proxies.iter().for_each(|proxy| {
            proxy.cut();
            proxy.heal();
        });
        while sessions(&worker) < 2 {
            assert!(broken.elapsed() < WORK, "no new session: {:#?}", worker.lines());
            std::thread::sleep(Duration::from_millis(10));
        }
        recovered(row, Duration::from_secs(6), broken.elapsed());
        let ended = asking.until_success(task, WORK);
        assert_eq!(attempts(&ended), (1, 0, 0), "{ended:#?}");
        assert!(step_of(&ended) >= step_of(&running));
    }
}

#[test]
fn a_worker_that_is_told_to_stop_hands_back_within_a_step_and_two_seconds() {
    let (coordinator, asking, _data) = coordinator(USUAL_TIMES);
    let mut workers = two_workers(&coordinator);
    let task = asking.invert(STEPS, "");
    let running = asking.until_step(task, 50);
    let first = running.worker_id.clone();
    let mut service = holder(&mut workers, &running);
    let told = Instant::now();
    service.signal(Signal::SIGTERM);
    let status = service.exit(WORK);
    recovered("worker SIGTERM: exit 0", Duration::from_millis(2020), told.elapsed());
    assert!(status.success(), "{status}");
    asking.until("another worker", task, START, is_with_another(&first));
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (2, 0, 1), "handed back, and nobody's fault: {ended:#?}");
}

fn said(words: &str) -> impl Fn(&str) -> Option<()> {
    move |line| line.contains(words).then_some(())
}

fn is_open(line: &str) -> bool {
    line.contains("session open ")
}
