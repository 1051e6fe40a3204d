//! The embedded store, against real files.

mod faults;
mod random;
mod scenarios;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use likeness_shared::ids::{Digest, Fence, Incarnation, RequestId, TaskId, WorkerId};
use likeness_shared::proto::{GenerationSpec, InversionSpec, Progress};

use crate::store::record::{Outcome, Owner, Spec};
use crate::store::transition::{AttemptEnd, AttemptSettlement};
use crate::store::{
    Claimant, Claimed, EmbeddedStore, LearnedPerson, NewTask, Settlement, StoreClock, StoreTimes, TaskBeat,
};

const TTL: Duration = Duration::from_secs(10);

fn times() -> StoreTimes {
    StoreTimes {
        lease_ttl: TTL,
        request_ids: Duration::from_secs(24 * 3600),
        ended_tasks: Duration::from_secs(30 * 24 * 3600),
    }
}

/// A clock that stands still until told otherwise.
fn clock() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(1_000_000_000))
}

fn advance(clock: &AtomicU64, by: Duration) {
    clock.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
}

fn open(folder: &Path, clock: &Arc<AtomicU64>) -> EmbeddedStore {
    EmbeddedStore::open(&folder.join("store.redb"), times(), StoreClock::Manual(Arc::clone(clock))).unwrap()
}

fn owner(user: &str) -> Owner {
    Owner { tenant: "acme".parse().unwrap(), user: user.parse().unwrap() }
}

fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

fn incarnation(name: &str) -> Incarnation {
    name.parse().unwrap()
}

fn claimant(name: &str) -> Claimant {
    Claimant { worker: worker(name), incarnation: incarnation("first"), pools: vec![String::new()] }
}

fn generation(user: &str, request: &str) -> NewTask {
    let spec = GenerationSpec { prompt: request.to_owned(), ..GenerationSpec::default() };
    NewTask {
        owner: owner(user),
        request: request.parse::<RequestId>().unwrap(),
        body: Digest::of(request.as_bytes()),
        spec: Spec::Generation(spec),
    }
}

fn inversion(user: &str, request: &str, name: &str) -> NewTask {
    let spec = InversionSpec {
        person_name: name.to_owned(),
        placeholder: "sks".to_owned(),
        ..InversionSpec::default()
    };
    NewTask { spec: Spec::Inversion(spec), ..generation(user, request) }
}

fn beat(claimed: &Claimed, step: u32, checkpoint: &'static [u8]) -> TaskBeat {
    TaskBeat {
        task: claimed.task.id,
        fence: claimed.fence,
        progress: Some(Progress { step, total_steps: 100, ..Progress::default() }),
        checkpoint: Bytes::from_static(checkpoint),
    }
}

fn settlement(worker_name: &str, task: TaskId, fence: Fence, end: AttemptEnd) -> Settlement {
    let digest = Digest::of(format!("{end:?}").as_bytes());
    let inversion = matches!(end, AttemptEnd::Succeeded(Outcome::Inversion(_)));
    Settlement {
        task,
        attempt: AttemptSettlement { worker: worker(worker_name), fence, digest, end, device_time_us: 5 },
        person: inversion.then(|| LearnedPerson {
            artifact: Digest::of(b"person"),
            vectors: 2,
            width: 64,
            model_digest: String::new(),
        }),
        checkpoint: Bytes::new(),
    }
}

fn failed(retryable: bool) -> AttemptEnd {
    AttemptEnd::Failed {
        code: "nan_loss".to_owned(),
        message: "the loss is not a number".to_owned(),
        retryable,
    }
}
