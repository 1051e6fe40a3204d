//! The artifact store cannot take a finished result: it is kept until it can. A row of docs/faults.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::time::{Duration, Instant};

use likeness_shared::proto::TaskState;
use likeness_tests::asking::{Asking, attempts};
use likeness_tests::fleet::{Coordinator, Setting, WORK, start_simulated};
use likeness_tests::measure::recovered;
use likeness_tests::outage::Outage;

#[test]
fn a_finished_result_is_kept_while_the_artifact_store_takes_nothing() {
    let (outage, data) = (Outage::of(Duration::from_secs(15)), tempfile::tempdir().unwrap());
    let setting =
        Setting { times: outage.times, store: None, data: data.path().to_owned(), sections: String::new() };
    let coordinator = Coordinator::start_as(&setting);
    let asking = Asking::connect(&coordinator.address);
    let worker = start_simulated("worker", &coordinator.address, "2ms", &[]);
    let warm = asking.invert(5, "");
    asking.until_success(warm, WORK);
    // a file where uploads are staged: every one of them fails
    let (staging, aside) = (data.path().join("artifacts/staging"), data.path().join("artifacts/aside"));
    std::fs::rename(&staging, &aside).unwrap();
    std::fs::write(&staging, b"in the way").unwrap();
    let task = asking.invert(100, "");
    worker
        .wait_for("that the result is kept", WORK, |line| line.contains("its result is kept").then_some(()));
    // for longer than a lease lives, which is renewed all the while
    let kept = Instant::now();
    while kept.elapsed() < outage.lasts {
        let seen = asking.task(task);
        assert!(matches!(seen.state(), TaskState::Leased | TaskState::Running), "{seen:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::fs::remove_file(&staging).unwrap();
    std::fs::rename(&aside, &staging).unwrap();
    let whole = Instant::now();
    let ended = asking.until_success(task, WORK);
    recovered("artifact store broken: the result is in", Duration::from_secs(6), whole.elapsed());
    assert_eq!(attempts(&ended), (1, 0, 0), "{ended:#?}");
}
