//! Coordinators die, go away, or lose an answer on its way. Rows of docs/faults.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::time::{Duration, Instant};

use likeness_shared::proto::settle_request::Outcome as Settled;
use likeness_shared::proto::task::Outcome;
use likeness_shared::proto::{ListTasksRequest, SettleRequest, SettleVerdict};
use likeness_tests::asking::{Asking, attempts, generation, step_of};
use likeness_tests::fleet::{Coordinator, START, Setting, USUAL_TIMES, WORK, fence_of, start_simulated};
use likeness_tests::measure::recovered;
use likeness_tests::outage::Outage;
use likeness_tests::proxy::{Direction, Proxy};
use likeness_tests::redis::Redis;
use likeness_tests::service::Service;
use nix::sys::signal::Signal;
use tempfile::TempDir;

const STEPS: u32 = 600;
const STEP: &str = "20ms";

/// Two coordinators on one Redis.
struct Pair {
    redis: Redis,
    setting: Setting,
    coordinators: Vec<Coordinator>,
    _data: TempDir,
}

impl Pair {
    fn start(times: &'static str) -> Self {
        let (redis, data) = (Redis::start(), tempfile::tempdir().unwrap());
        let setting = Setting {
            times,
            store: Some(redis.url()),
            data: data.path().to_owned(),
            sections: String::new(),
        };
        let coordinators = (0..2).map(|_| Coordinator::start_as(&setting)).collect();
        Self { redis, setting, coordinators, _data: data }
    }

    fn addresses(&self) -> String {
        self.coordinators.iter().map(|coordinator| coordinator.address.as_str()).collect::<Vec<_>>().join(",")
    }

    /// Takes out the coordinator that the worker has its session with.
    fn of_worker(&mut self, worker: &Service) -> Coordinator {
        let address = session_with(worker);
        let place = self.coordinators.iter().position(|coordinator| address.ends_with(&coordinator.address));
        self.coordinators.remove(place.unwrap_or_else(|| panic!("no coordinator at {address}")))
    }
}

/// The address of the newest session.
fn session_with(worker: &Service) -> String {
    let address = |line: &str| {
        let (_, rest) = line.split_once("session open")?.1.split_once("coordinator=")?;
        rest.split_whitespace().next().map(|word| word.trim_matches('"').to_owned())
    };
    worker.wait_for("its session", START, address);
    worker.lines().iter().rev().find_map(|line| address(line)).unwrap()
}

fn sessions(worker: &Service) -> usize {
    worker.lines().iter().filter(|line| line.contains("session open ")).count()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < WORK, "{what}: not within {WORK:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn workers_and_watchers_of_a_killed_coordinator_go_to_its_peer() {
    let mut pair = Pair::start(USUAL_TIMES);
    let asking = Asking::connect(&pair.addresses());
    let worker = start_simulated("worker", &pair.addresses(), STEP, &[]);
    let task = asking.invert(STEPS, "");
    let running = asking.until_step(task, 50);
    // a watcher of the same coordinator
    let victim = pair.of_worker(&worker);
    let peer = pair.coordinators[0].address.clone();
    let watching = Asking::connect(&format!("{},{peer}", victim.address));
    watching.until_step(task, 50);

    let killed = Instant::now();
    victim.service.kill();
    let seen = watching.until("a later step", task, WORK, |task| step_of(task) > step_of(&running));
    recovered(
        "coordinator SIGKILL: a watcher hears of progress again",
        Duration::from_secs(3),
        killed.elapsed(),
    );
    until("the worker's new session", || sessions(&worker) == 2);
    assert!(session_with(&worker).ends_with(&peer));
    assert_eq!(attempts(&seen), (1, 0, 0));
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (1, 0, 0), "{ended:#?}");
}

#[test]
fn a_coordinator_that_is_told_to_stop_sends_its_worker_to_the_peer_without_a_restart() {
    let mut pair = Pair::start(USUAL_TIMES);
    let asking = Asking::connect(&pair.addresses());
    let worker = start_simulated("worker", &pair.addresses(), STEP, &[]);
    let task = asking.invert(STEPS, "");
    asking.until_step(task, 50);
    let mut leaving = pair.of_worker(&worker);
    let told = Instant::now();
    leaving.service.signal(Signal::SIGTERM);
    until("the worker's new session", || sessions(&worker) == 2);
    recovered("coordinator SIGTERM: the worker is with its peer", Duration::from_secs(3), told.elapsed());
    assert!(leaving.service.exit(WORK).success());
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (1, 0, 0), "{ended:#?}");
}

/// All coordinators are away for longer than a lease lives, and then a lease's life passes.
#[test]
fn work_goes_on_while_all_coordinators_are_down_and_nothing_expires_then_or_after() {
    let outage = Outage::of(Duration::from_secs(60));
    let mut pair = Pair::start(outage.times);
    let addresses: Vec<String> = pair.coordinators.iter().map(|one| one.address.clone()).collect();
    let asking = Asking::connect(&addresses.join(","));
    let worker = start_simulated("worker", &addresses.join(","), "10ms", &[]);
    let task = asking.invert(outage.steps(Duration::from_millis(10)), "");
    asking.until_step(task, 20);
    let down = Instant::now();
    pair.coordinators.drain(..).for_each(|coordinator| coordinator.service.kill());
    // the worker's own clock says when its lease would be over
    worker.wait_for("that it stops by itself", WORK, |line| {
        line.contains("lease has not been renewed in time").then_some(())
    });
    outage.wait(down);
    let up = Instant::now();
    pair.coordinators =
        addresses.iter().map(|address| Coordinator::start_at(address, &pair.setting)).collect();
    worker.wait_for("that it goes on", WORK, |line| {
        line.contains("lease is renewed, the attempt goes on").then_some(())
    });
    recovered("all coordinators down: the task goes on", Duration::from_secs(6), up.elapsed());
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (1, 0, 0), "{ended:#?}");
}

#[test]
fn a_settlement_whose_reply_is_lost_is_told_that_it_is_settled_already() {
    let data = tempfile::tempdir().unwrap();
    let setting =
        Setting { times: USUAL_TIMES, store: None, data: data.path().to_owned(), sections: String::new() };
    let coordinator = Coordinator::start_as(&setting);
    let asking = Asking::connect(&coordinator.address);
    let proxy = Proxy::start(&coordinator.address);
    let worker = start_simulated("worker", &proxy.address(), "2ms", &[]);
    // a generation's only transfer is its upload, over a connection of its own that comes later and is left alone; the
    // answers of the session's connection are stopped while the task runs, the settlement's with them
    let task = asking.generate(750, "a photo");
    // the coordinator knows of the lease before the worker does
    worker.wait_for("its lease", START, |line| line.contains("lease taken").then_some(()));
    proxy.stop_open(Direction::ToClient);
    let committed = asking.until_success(task, WORK);
    let told = worker.lines().iter().any(|line| line.contains("attempt settled"));
    assert!(!told, "the reply came through: {:#?}", worker.lines());
    proxy.cut();
    proxy.heal();
    // either its retry comes first and is told so, or its new session, which is told that the task has ended
    worker.wait_for("that the attempt is over", WORK, |line| {
        let over = ["SETTLE_VERDICT_REPEATED", "lease is lost, the attempt is dropped"];
        (over.iter().any(|words| line.contains(words)) && line.contains(&task.to_string())).then_some(())
    });
    let Some(Outcome::GenerationResult(result)) = committed.outcome.clone() else {
        panic!("no pictures: {committed:#?}");
    };
    let again = SettleRequest {
        worker_id: committed.worker_id.clone(),
        task_id: task.to_string(),
        fence: fence_of(&worker),
        outcome: Some(Settled::Generation(result)),
        device_time: None,
    };
    assert_eq!(asking.block_on(asking.client.settle(again)).unwrap(), SettleVerdict::Repeated);
    let ended = asking.task(task);
    assert_eq!(attempts(&ended), (1, 0, 0));
    assert_eq!(ended.revision, committed.revision, "the repetition changed nothing");
}

#[test]
fn a_submit_whose_reply_died_with_its_coordinator_is_the_same_task_when_it_is_repeated() {
    let mut pair = Pair::start(USUAL_TIMES);
    let peer = Asking::connect(&pair.coordinators[1].address);
    let proxy = Proxy::start(&pair.coordinators[0].address);
    let asking = Asking::connect(&format!("{},{}", proxy.address(), pair.coordinators[1].address));
    let request = generation(5, "a photo");
    proxy.stop(Direction::ToClient);
    let listed = || {
        let listing = ListTasksRequest { tenant: "faults".to_owned(), ..ListTasksRequest::default() };
        peer.block_on(peer.client.list_tasks(listing)).unwrap().tasks
    };
    let (answer, killed) = std::thread::scope(|scope| {
        // the client repeats it by itself, with its request id, where it cannot reach the first coordinator any more
        let submitting = scope.spawn(|| asking.block_on(asking.client.submit_generation(request)));
        until("the commit", || listed().len() == 1);
        pair.coordinators.remove(0).service.kill();
        let killed = Instant::now();
        proxy.cut();
        (submitting.join().unwrap().unwrap(), killed)
    });
    recovered("death between commit and reply: the same task", Duration::from_secs(3), killed.elapsed());
    assert!(answer.repeated);
    let tasks = listed();
    assert_eq!(tasks.len(), 1);
    assert_eq!(answer.task.unwrap().id, tasks[0].id);
    drop(pair.redis);
}
