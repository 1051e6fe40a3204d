//! The Redis behind the coordinators dies and comes back, or is away for longer than a lease lives. Rows of
//! docs/faults.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::time::{Duration, Instant};

use likeness_tests::asking::{Asking, attempts, generation};
use likeness_tests::fleet::{Coordinator, Setting, USUAL_TIMES, WORK, start_simulated};
use likeness_tests::measure::recovered;
use likeness_tests::outage::Outage;
use likeness_tests::redis::Redis;
use tempfile::TempDir;

fn coordinator(redis: &Redis, times: &'static str) -> (Coordinator, Asking, TempDir) {
    let data = tempfile::tempdir().unwrap();
    let setting =
        Setting { times, store: Some(redis.url()), data: data.path().to_owned(), sections: String::new() };
    let coordinator = Coordinator::start_as(&setting);
    let asking = Asking::connect(&coordinator.address);
    (coordinator, asking, data)
}

/// Submits until it is accepted, and returns when it was.
fn until_accepted(asking: &Asking) -> Instant {
    let started = Instant::now();
    let request = generation(1, "a photo");
    loop {
        match asking.block_on(asking.client.submit_generation(request.clone())) {
            Ok(_) => return Instant::now(),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        assert!(started.elapsed() < WORK, "submits are refused for good");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_server_that_comes_back_has_lost_nothing_and_work_goes_on() {
    let mut redis = Redis::start();
    let (coordinator, asking, _data) = coordinator(&redis, USUAL_TIMES);
    let _worker = start_simulated("worker", &coordinator.address, "20ms", &[]);
    let running = asking.invert(400, "");
    asking.until_step(running, 50);
    let waiting: Vec<_> = (0..20).map(|number| asking.generate(1, &format!("picture {number}"))).collect();
    redis.kill();
    let refused = Instant::now();
    let error =
        asking.block_on(asking.client.submit_generation(generation(1, "while it is away"))).unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(
        refused.elapsed() < Duration::from_secs(5),
        "submits fail fast, not after {:?}",
        refused.elapsed()
    );
    redis.restart();
    let up = Instant::now();
    recovered(
        "redis-server SIGKILL: submits are accepted again",
        Duration::from_secs(2),
        until_accepted(&asking) - up,
    );
    let ended = asking.until_success(running, WORK);
    assert_eq!(attempts(&ended), (1, 0, 0), "{ended:#?}");
    for task in waiting {
        asking.until_success(task, WORK);
    }
}

/// Redis answers nobody for longer than a lease lives, with its connections open; then a lease's life passes.
#[test]
fn running_work_outlives_a_server_that_is_away_for_longer_than_a_lease() {
    let (outage, redis) = (Outage::of(Duration::from_secs(120)), Redis::start());
    let (coordinator, asking, _data) = coordinator(&redis, outage.times);
    let worker = start_simulated("worker", &coordinator.address, "10ms", &[]);
    let task = asking.invert(outage.steps(Duration::from_millis(10)), "");
    asking.until_step(task, 20);
    redis.pause();
    let away = Instant::now();
    worker.wait_for("that it stops by itself", WORK, |line| {
        line.contains("lease has not been renewed in time").then_some(())
    });
    outage.wait(away);
    redis.resume();
    let back = Instant::now();
    worker.wait_for("that it goes on", WORK, |line| {
        line.contains("lease is renewed, the attempt goes on").then_some(())
    });
    recovered("redis away: the task goes on", Duration::from_secs(3), back.elapsed());
    let ended = asking.until_success(task, WORK);
    assert_eq!(attempts(&ended), (1, 0, 0), "0 restarts: {ended:#?}");
}
