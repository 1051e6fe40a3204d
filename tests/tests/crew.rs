//! A worker of several devices is a process for each: one that dies comes back, all end when the first is told to, and none
//! outlives it. The devices are simulated.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::cell::Cell;
use std::process::Command;
use std::time::{Duration, Instant};

use likeness_shared::proto::{Worker, WorkerState};
use likeness_tests::asking::Asking;
use likeness_tests::binaries;
use likeness_tests::fleet::{Coordinator, START, WORK, start_simulated};
use likeness_tests::service::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For a process to notice that the one that started it has died.
const ORPHANED: Duration = Duration::from_secs(15);

fn two_devices(coordinator: &Coordinator, step_time: &str) -> Service {
    start_simulated("pair", &coordinator.address, step_time, &["--device", "simulated,simulated"])
}

/// The process that was started as this worker the `life`th time, from 0.
fn process_of(crew: &Service, worker: &str, life: usize) -> Pid {
    let said = format!("worker=\"{worker}\"");
    let of_line = |line: &str| -> Option<i32> {
        let (_, facts) = line.split_once("worker process started")?;
        let (_, process) = facts.contains(&said).then(|| facts.split_once("process="))??;
        process.split_whitespace().next()?.parse().ok()
    };
    // every line is looked at once
    let seen = Cell::new(0);
    let number = crew.wait_for("the process of its worker", START, |line| {
        let process = of_line(line)?;
        (seen.replace(seen.get() + 1) == life).then_some(process)
    });
    Pid::from_raw(number)
}

fn is_alive(process: Pid) -> bool {
    kill(process, None::<Signal>).is_ok()
}

#[test]
fn a_process_that_dies_comes_back_and_all_end_together() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let asking = Asking::connect(&coordinator.address);
    let mut crew = two_devices(&coordinator, "5ms");
    let idle = |name: &str| asking.until_worker(name, START, |worker| worker.state() == WorkerState::Active);
    let first = idle("pair-0");
    idle("pair-1");

    let killed = process_of(&crew, "pair-0", 0);
    kill(killed, Signal::SIGKILL).unwrap();
    let again =
        |worker: &Worker| worker.state() == WorkerState::Active && worker.incarnation != first.incarnation;
    asking.until_worker("pair-0", START, again);

    // both work: two tasks of one slot each, at the same time
    let tasks = [asking.generate(1000, "a photo"), asking.generate(1000, "a photo")];
    for task in tasks {
        asking.until_step(task, 1);
    }
    crew.signal(Signal::SIGTERM);
    assert_eq!(crew.exit(START).code(), Some(0), "{:#?}", crew.lines());
    for worker in ["pair-0", "pair-1"] {
        asking.until_worker(worker, START, |worker| worker.tasks == 0);
    }
    // what they held was handed back and waits
    let next = start_simulated("next", &coordinator.address, "0ms", &[]);
    for task in tasks {
        asking.until_success(task, WORK);
    }
    drop(next);
}

#[test]
fn no_process_outlives_the_one_that_started_it() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let crew = two_devices(&coordinator, "2ms");
    let processes = [process_of(&crew, "pair-0", 0), process_of(&crew, "pair-1", 0)];
    assert!(processes.iter().all(|process| is_alive(*process)));
    let since = Instant::now();
    crew.signal(Signal::SIGKILL);
    while processes.iter().any(|process| is_alive(*process)) {
        assert!(since.elapsed() < ORPHANED, "they live on: {:#?}", crew.lines());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_every_process_would_refuse_ends_them_all_with_its_code() {
    let refused = |arguments: &[&str]| {
        let mut command = Command::new(binaries::path("likeness-worker"));
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = refused(&["--device", "cuda:98,cuda:99", "--model", "pocket=/nowhere"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("device \"cuda:98\" is asked for, but "), "{said}");
    let (code, said) = refused(&["--device", "cpu,tpu", "--model", "pocket=/nowhere"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("device \"tpu\" is not known"), "{said}");
}
