//! The supervisor with programs that panic as told.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::{InversionSpec, Progress};

use super::*;
use crate::engine::{
    ActivationCheckpointing, Class, Demand, Ending, Fault, Job, Order, PassError, Side, Stage, Stepped, Work,
};

/// Panics in its first `panics` lives, when a job is first worked on.
struct Fragile {
    panics: usize,
    lives: AtomicUsize,
}

struct FragileMachine {
    panics: bool,
}

struct FragileJob;

impl DeviceProgram for Fragile {
    type Machine = FragileMachine;

    fn load(&self) -> Result<(FragileMachine, Vec<ModelInventory>), LoadError> {
        let life = self.lives.fetch_add(1, Ordering::SeqCst);
        Ok((FragileMachine { panics: life < self.panics }, Vec::new()))
    }
}

impl Machine for FragileMachine {
    type Job<'m> = FragileJob;

    fn open(&self, _: Order) -> Result<FragileJob, Fault> {
        Ok(FragileJob)
    }

    fn pass(&self, _: Stage, jobs: &mut [&mut FragileJob], _: u32) -> Result<Vec<Stepped>, PassError> {
        assert!(!self.panics, "the device is on fire");
        Ok(jobs.iter().map(|_| Ok(Some(Ending::Cancelled))).collect())
    }
}

impl Job for FragileJob {
    fn demand(&self) -> Demand {
        Demand { side: Side::Learning, stage: Stage::Train, class: Class::default(), rows: 1 }
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }

    fn checkpoint(&self) -> Option<Bytes> {
        None
    }
}

fn order() -> Order {
    let work = Work::Inversion { spec: Box::new(InversionSpec::default()), photos: vec![], start_file: None };
    let attempt = Attempt { task: TaskId::generate(), fence: Fence(1) };
    Order { attempt, number: 1, reseed: 0, work, checkpoint: Bytes::new() }
}

fn start(panics: usize) -> DeviceHandle {
    let options = EngineOptions { report_interval: Duration::from_millis(1), ..EngineOptions::default() };
    DeviceHandle::start(Fragile { panics, lives: AtomicUsize::new(0) }, options).unwrap()
}

/// The next event that is no progress.
async fn next(device: &mut DeviceHandle) -> DeviceEvent {
    loop {
        match device.events.recv().await.expect("the supervisor is gone") {
            DeviceEvent::Engine(Event::Progress { .. } | Event::Room { .. }) => {}
            event => return event,
        }
    }
}

async fn join(device: &DeviceHandle) -> Attempt {
    let order = order();
    let attempt = order.attempt;
    device.commands.send(Command::Join(Box::new(order))).await.unwrap();
    attempt
}

#[tokio::test]
async fn a_death_is_reported_with_what_was_lost_and_the_next_life_works() {
    let mut device = start(1);
    assert!(matches!(next(&mut device).await, DeviceEvent::Ready(_)));
    let lost = join(&device).await;
    let DeviceEvent::Lost { attempts, reason } = next(&mut device).await else {
        panic!("no loss was reported")
    };
    assert_eq!(attempts, [lost]);
    assert_eq!(reason, "the device is on fire");
    assert!(matches!(next(&mut device).await, DeviceEvent::Ready(_)));
    let second = join(&device).await;
    let DeviceEvent::Engine(Event::Ended { attempt, .. }) = next(&mut device).await else {
        panic!("no ending")
    };
    assert_eq!(attempt, second);
    assert!(device.stop(Duration::from_secs(10)).await);
}

#[tokio::test]
async fn three_quick_deaths_are_the_end() {
    let mut device = start(usize::MAX);
    for _ in 0..MOST_QUICK_DEATHS {
        assert!(matches!(next(&mut device).await, DeviceEvent::Ready(_)));
        join(&device).await;
        assert!(matches!(next(&mut device).await, DeviceEvent::Lost { .. }));
    }
    let DeviceEvent::Dead(reason) = next(&mut device).await else { panic!("it goes on") };
    assert!(reason.contains("3 times") && reason.contains("on fire"), "{reason}");
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_named() {
    let models = vec![("pocket".to_owned(), PathBuf::from("/nowhere"))];
    let (digests, checkpointing) = (BTreeMap::new(), ActivationCheckpointing::Auto);
    let folders = ModelFolders {
        device: DeviceChoice::Cpu,
        models,
        digests,
        checkpointing,
        photo_checker: None,
        bank: None,
        evaluation: None,
    };
    let mut device = DeviceHandle::start(folders, EngineOptions::default()).unwrap();
    let DeviceEvent::Dead(reason) = next(&mut device).await else { panic!("it was loaded") };
    assert!(reason.contains("\"pocket\"") && reason.contains("/nowhere"), "{reason}");
}

#[tokio::test]
async fn a_model_of_another_digest_than_the_pinned_one_is_not_loaded() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/pocket"));
    let digest = ModelFolder::open(&folder).unwrap().digest().unwrap();
    let start = |pinned: &str| {
        let models = vec![("pocket".to_owned(), folder.clone())];
        let digests = BTreeMap::from([("pocket".to_owned(), pinned.to_owned())]);
        let checkpointing = ActivationCheckpointing::Auto;
        let folders = ModelFolders {
            device: DeviceChoice::Cpu,
            models,
            digests,
            checkpointing,
            photo_checker: None,
            bank: None,
            evaluation: None,
        };
        DeviceHandle::start(folders, EngineOptions::default()).unwrap()
    };
    let other = "0f".repeat(32);
    let DeviceEvent::Dead(reason) = next(&mut start(&other)).await else { panic!("it was loaded") };
    assert!(reason.contains(&other) && reason.contains(&digest), "{reason}");
    let mut device = start(&digest.to_uppercase());
    let DeviceEvent::Ready(models) = next(&mut device).await else { panic!("it was not loaded") };
    assert_eq!(models[0].digest, digest);
    assert!(device.stop(Duration::from_secs(10)).await);
}

#[test]
fn devices_are_read_by_name() {
    for (text, choice) in [
        ("auto", DeviceChoice::Auto),
        ("cpu", DeviceChoice::Cpu),
        ("cuda:1", DeviceChoice::Cuda(1)),
        ("simulated", DeviceChoice::Simulated),
    ] {
        assert_eq!(text.parse(), Ok(choice));
        assert_eq!(choice.to_string(), text);
    }
    assert!("cuda:x".parse::<DeviceChoice>().is_err());
    let no_card = DeviceChoice::Cuda(99).open().unwrap_err().to_string();
    assert!(no_card.starts_with("device \"cuda:99\" is asked for"), "{no_card}");
}
