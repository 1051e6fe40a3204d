//! Programs of two releases in one fleet, and a lease that arrives twice. Rows of docs/faults.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

use std::time::Duration;

use likeness_shared::ids::TaskId;
use likeness_shared::proto::TaskState;
use likeness_tests::asking::Asking;
use likeness_tests::fleet::{Coordinator, START, WORK, start_simulated};
use likeness_tests::protocol_one::proto::settle_request::Outcome;
use likeness_tests::protocol_one::proto::{
    FailedSettlement, GenerationSpec, Lease, LeaseVerdict, SettleVerdict, lease,
};
use likeness_tests::protocol_one::{OldCoordinator, OldWorker, Scene};

fn lease(prompt: &str, fence: u64) -> Lease {
    let spec = GenerationSpec { prompt: prompt.to_owned(), steps: Some(5), ..GenerationSpec::default() };
    Lease {
        task_id: TaskId::generate().to_string(),
        fence,
        tenant: "faults".to_owned(),
        user: "anna".to_owned(),
        spec: Some(lease::Spec::Generation(spec)),
        ..Lease::default()
    }
}

#[test]
fn a_worker_of_the_release_before_works_for_this_coordinator() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let asking = Asking::connect(&coordinator.address);
    let id = asking.generate(5, "a photo");
    asking.block_on(async {
        let (mut worker, welcome) = OldWorker::join(&coordinator.address, "old").await;
        assert_eq!(welcome.protocol, 1);
        let first = worker.lease().await;
        assert_eq!(first.task_id, id.to_string());
        let ack = worker.beat(&first, 3, b"state at three").await;
        assert_eq!(ack.verdicts[0].verdict(), LeaseVerdict::Keep);
        // what it would say of a device that died
        let failed = FailedSettlement {
            code: "device_lost".to_owned(),
            message: "the worker's device failed".to_owned(),
            retryable: true,
        };
        assert_eq!(worker.settle(&first, Outcome::Failed(failed)).await, SettleVerdict::Accepted);
        let second = worker.lease().await;
        assert!(second.fence > first.fence);
        let picture = worker.picture().await;
        assert_eq!(worker.settle(&second, picture.clone()).await, SettleVerdict::Accepted);
        assert_eq!(worker.settle(&second, picture).await, SettleVerdict::Repeated);
    });
    let ended = asking.until_success(id, WORK);
    assert_eq!((ended.state(), ended.worker_id.as_str()), (TaskState::Succeeded, "old"));
}

#[test]
fn this_worker_works_for_a_coordinator_of_the_release_before() {
    let mut coordinator = OldCoordinator::start(vec![lease("a photo fault:oom", 7), lease("a photo", 8)]);
    let mut worker =
        start_simulated("new", &coordinator.address, "1ms", &["--slots", "2", "--simulated-faults"]);
    let Scene::Greeted(hello) = coordinator.scene() else { panic!("no greeting") };
    assert_eq!((hello.protocol_min, hello.protocol_max), (1, 2));
    let mut outcomes = Vec::new();
    while outcomes.len() < 2 {
        if let Scene::Settled(settled) = coordinator.scene() {
            outcomes.push((settled.fence, settled.outcome.expect("an outcome that protocol 1 knows")));
        }
    }
    outcomes.sort_by_key(|(fence, _)| *fence);
    let Outcome::Failed(failed) = &outcomes[0].1 else { panic!("{outcomes:?}") };
    assert_eq!((failed.code.as_str(), failed.retryable), ("device_out_of_memory", true));
    assert!(
        matches!(&outcomes[1].1, Outcome::Generation(drawn) if drawn.pictures.len() == 1),
        "{outcomes:?}"
    );
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(worker.exit(START).success());
}

#[test]
fn a_lease_that_is_delivered_twice_is_run_once() {
    let once = lease("a photo", 7);
    let mut coordinator = OldCoordinator::start(vec![once.clone(), once.clone(), once]);
    let worker = start_simulated("new", &coordinator.address, "1ms", &["--slots", "4"]);
    assert!(matches!(coordinator.scene(), Scene::Greeted(_)));
    assert!(matches!(coordinator.scene(), Scene::Settled(_)));
    worker.wait_for("the refusal", WORK, |line| line.contains("its second start is refused").then_some(()));
    // several beats later nothing more was settled
    assert!(coordinator.scene_within(Duration::from_secs(1)).is_none());
    let taken = worker.lines().iter().filter(|line| line.contains("lease taken")).count();
    assert_eq!(taken, 1, "{:#?}", worker.lines());
}
