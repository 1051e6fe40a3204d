//! Random lives: operations in any order, repeated, with restarts between. After each: every invariant, the answer
//! that a worker with that lease must get, and the checkpoint that the next one must find.

mod steps;

use std::collections::BTreeMap;

use likeness_shared::proto::{GenerationResult, InversionResult, PersonBinding};
use tokio::sync::broadcast;

pub(in crate::store) use self::steps::{Step, step};
use super::*;
use crate::store::StoreEvent;
use crate::store::invariants::{Snapshot, of_change, of_snapshot};
use crate::store::record::{PersonRecord, State, TaskRecord};
use crate::store::transition::{Asked, BeatVerdict, DIVERGED, SettleVerdict};
use crate::store::worker_record::{Drain, WorkerRecord};

/// Between two steps.
const TICK: Duration = Duration::from_millis(1);
/// For a change to be told.
const SOON: Duration = Duration::from_secs(20);

/// The store, and all that a fleet remembers of it.
pub(in crate::store) struct Life<'b> {
    bench: &'b dyn Bench,
    pub(super) store: Arc<dyn TaskStore>,
    events: broadcast::Receiver<StoreEvent>,
    revisions: BTreeMap<TaskId, u64>,
    tasks: Vec<TaskId>,
    leases: Vec<(String, TaskId, Fence)>,
    successes: BTreeMap<TaskId, u32>,
    /// Settlements that were accepted, with how they ended.
    settled: BTreeMap<(TaskId, Fence), u8>,
    /// The checkpoint that the next attempt must begin with.
    checkpoints: BTreeMap<TaskId, Bytes>,
    beats: u64,
    /// The store as the newest check has seen it.
    pub(super) before: Snapshot,
}

impl<'b> Life<'b> {
    pub(in crate::store) async fn begin(bench: &'b dyn Bench) -> Self {
        let store = bench.open().await;
        let events = store.events();
        Self {
            bench,
            store,
            events,
            revisions: BTreeMap::new(),
            tasks: Vec::new(),
            leases: Vec::new(),
            successes: BTreeMap::new(),
            settled: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            beats: 0,
            before: Snapshot::default(),
        }
    }

    fn lease(&self, index: usize) -> Option<(String, TaskId, Fence)> {
        // counted from the newest, so that most hit a live one
        self.leases.len().checked_sub(index + 1).map(|index| self.leases[index].clone())
    }

    fn worker(&self, number: u8) -> Option<&WorkerRecord> {
        self.before.workers.get(&worker(&format!("w{number}"))).map(|(record, _)| record)
    }

    /// People, oldest first.
    fn people(&self) -> Vec<&PersonRecord> {
        let mut people: Vec<&PersonRecord> = self.before.people.values().collect();
        people.sort_by_key(|person| person.created);
        people
    }

    /// A generation of the user's newest person, with a body of its own.
    fn drawing(&self, user: &str, request: &str) -> NewTask {
        let mut new = generation(user, request);
        let newest = self.people().into_iter().rfind(|person| person.owner == new.owner);
        if let (Spec::Generation(spec), Some(person)) = (&mut new.spec, newest) {
            let person_id = person.id.to_string();
            spec.people = vec![PersonBinding { placeholder: String::new(), person_id }];
        }
        new
    }

    pub(super) async fn take(&mut self, step: Step) {
        // every store that lives this life sees the same time at the same step
        advance(self.bench.clock(), TICK);
        match step {
            Step::Submit { user, request, inversion: learn, delay, start_within } => {
                let (user, request) = (format!("u{user}"), format!("r{request}"));
                let mut new =
                    if learn { inversion(&user, &request, "name") } else { self.drawing(&user, &request) };
                let seconds = |seconds: u8| Duration::from_secs(seconds.into());
                new.times = StartTimes { delay: seconds(delay), start_within: start_within.map(seconds) };
                if let Ok(submitted) = self.store.submit(new).await
                    && !submitted.repeated
                {
                    self.tasks.push(submitted.task.id);
                }
            }
            Step::Claim { worker, most } => {
                let name = format!("w{worker}");
                let leased = self.store.claim(claimant(&name), most).await.unwrap();
                let takes_work = self.worker(worker).is_none_or(WorkerRecord::takes_work);
                assert!(takes_work || leased.is_empty(), "{name} got a lease");
                for claimed in leased {
                    let expected = self.checkpoints.get(&claimed.task.id).cloned().unwrap_or_default();
                    assert_eq!(claimed.checkpoint, expected, "the checkpoint of {}", claimed.task.id);
                    self.leases.push((name.clone(), claimed.task.id, claimed.fence));
                }
            }
            Step::Beat { lease, step, checkpoint } => {
                let Some((name, task, fence)) = self.lease(lease) else { return };
                self.beat(&name, task, fence, step, checkpoint).await;
            }
            Step::Settle { lease, end, times } => {
                let Some((name, task, fence)) = self.lease(lease) else { return };
                for _ in 0..times {
                    self.settle(&name, task, fence, end).await;
                }
            }
            Step::WorkerLost { worker: number } => {
                self.store
                    .worker_lost(worker(&format!("w{number}")), incarnation("first"), Duration::ZERO)
                    .await
                    .unwrap();
            }
            Step::Undelivered { lease } => {
                let Some((name, task, fence)) = self.lease(lease) else { return };
                self.store.undelivered(worker(&name), vec![(task, fence)]).await.unwrap();
            }
            Step::Readopt { worker: number, restarted, held } => {
                let name = format!("w{number}");
                let held = self.leases.iter().rev().take(held).filter(|(holder, _, _)| *holder == name);
                let held: Vec<(TaskId, Fence)> = held.map(|(_, task, fence)| (*task, *fence)).collect();
                let process = incarnation(if restarted { "second" } else { "first" });
                let kept = self.store.readopt(worker(&name), process, held.clone()).await.unwrap();
                let expected =
                    held.iter().map(|(task, fence)| holds(&self.before.tasks[task], &name, *fence));
                assert_eq!(kept, expected.collect::<Vec<_>>(), "what {name} may keep");
            }
            Step::Cancel { task } => {
                if let Some(id) = self.tasks.get(task) {
                    self.store.request_cancel(*id).await.unwrap();
                }
            }
            Step::Join { worker, restarted } => {
                let process = if restarted { "second" } else { "first" };
                self.store.worker_joined(facts(&format!("w{worker}"), process)).await.unwrap();
            }
            Step::Seen { worker: number } => {
                self.store.worker_seen(worker(&format!("w{number}")), incarnation("first")).await.unwrap();
            }
            Step::Drain { worker: number, finish_running } => {
                let drain = Drain { reason: "upgrade".to_owned(), finish_running };
                let drained = self.store.drain_worker(worker(&format!("w{number}")), drain).await;
                assert_eq!(drained.is_ok(), self.worker(number).is_some(), "{drained:?}");
            }
            Step::Undrain { worker: number } => {
                let undrained = self.store.undrain_worker(worker(&format!("w{number}"))).await;
                assert_eq!(undrained.is_ok(), self.worker(number).is_some(), "{undrained:?}");
            }
            Step::Hold { task } => {
                if let Some(id) = self.tasks.get(task) {
                    let held = self.store.hold(*id, "look first".to_owned()).await;
                    let before = &self.before.tasks[id];
                    let possible = !before.state.is_terminal() && !before.cancel_requested;
                    assert_eq!(held.is_ok(), possible, "holding {id}: {held:?}");
                }
            }
            Step::Release { task } => {
                if let Some(id) = self.tasks.get(task) {
                    let released = self.store.release(*id).await;
                    assert_eq!(released.is_ok(), !self.before.tasks[id].state.is_terminal(), "{released:?}");
                }
            }
            Step::Retry { task } => {
                if let Some(id) = self.tasks.get(task) {
                    let retried = self.store.retry(*id).await;
                    let state = &self.before.tasks[id].state;
                    let possible = matches!(
                        state,
                        State::Queued
                            | State::Scheduled
                            | State::Failed(_)
                            | State::Expired(_)
                            | State::Quarantined(_)
                    );
                    assert_eq!(retried.is_ok(), possible, "retrying {id}, {state:?}: {retried:?}");
                }
            }
            Step::Import { user, request } => {
                let (user, request) = (format!("u{user}"), format!("r{request}"));
                // the name may be taken, and the id of the request may be that of a person deleted since
                drop(self.store.import_person(person(&user, "name", &request)).await);
            }
            Step::DeletePerson { person } => {
                let people = self.people();
                if let Some(person) = people.get(person) {
                    self.store.delete_person(person.id).await.unwrap();
                }
            }
            Step::Pass { seconds } => advance(self.bench.clock(), Duration::from_secs(seconds)),
            Step::Expire => drop(self.store.expire_leases().await.unwrap()),
            Step::FallDue => drop(self.store.fall_due().await.unwrap()),
            Step::Sweep => drop(self.store.sweep().await.unwrap()),
            Step::Restart => self.restart().await,
        }
    }

    async fn settle(&mut self, name: &str, task: TaskId, fence: Fence, end: u8) {
        let learns = matches!(self.before.tasks[&task].spec, Spec::Inversion(_));
        let result = if learns {
            Outcome::Inversion(InversionResult::default())
        } else {
            Outcome::Generation(GenerationResult::default())
        };
        // two numbers may mean the same settlement
        let number = end.max(1);
        let end = match number {
            1 => AttemptEnd::Succeeded(result),
            2 => failed(true),
            3 => AttemptEnd::Cancelled,
            4 => AttemptEnd::Failed { code: DIVERGED.to_owned(), message: "nan".to_owned(), retryable: true },
            5 => AttemptEnd::Infrastructure { code: "device_lost".to_owned(), message: String::new() },
            _ => AttemptEnd::HandBack { progress: None },
        };
        let succeeds = matches!(end, AttemptEnd::Succeeded(_));
        let failure = matches!(end, AttemptEnd::Failed { .. });
        let before = self.store.task(task).await.unwrap();
        let expected = match self.settled.get(&(task, fence)) {
            Some(earlier) if *earlier == number => SettleVerdict::Repeated,
            None if holds(&before, name, fence) => SettleVerdict::Accepted,
            _ => SettleVerdict::Stale,
        };
        let verdict = self.store.settle(settlement(name, task, fence, end)).await.unwrap();
        assert_eq!(verdict, expected, "the answer to {name} for {task} under {fence}");
        let after = self.store.task(task).await.unwrap();
        if verdict != SettleVerdict::Accepted {
            assert_eq!(before, after, "a {verdict:?} settlement changed something");
            return;
        }
        self.settled.insert((task, fence), number);
        if failure || after.state.is_terminal() {
            self.checkpoints.remove(&task);
        }
        if succeeds {
            *self.successes.entry(task).or_default() += 1;
        }
    }

    async fn beat(&mut self, name: &str, task: TaskId, fence: Fence, step: u32, with_checkpoint: bool) {
        self.beats += 1;
        let checkpoint =
            if with_checkpoint { Bytes::from(format!("state {}", self.beats)) } else { Bytes::new() };
        let progress = Some(Progress { step, ..Progress::default() });
        let device_time_us = u64::from(step) * 1000;
        let beat = TaskBeat { task, fence, progress, checkpoint: checkpoint.clone(), device_time_us };
        let verdicts = self.store.beat(worker(name), vec![beat]).await.unwrap();
        let before = &self.before.tasks[&task];
        let record = self.before.workers.get(&worker(name));
        let gives_back = record.is_some_and(|(record, _)| record.gives_back());
        let asked = before.asked().or(gives_back.then_some(Asked::HandBack));
        let expected =
            if holds(before, name, fence) { BeatVerdict::Renewed { asked } } else { BeatVerdict::Stale };
        assert_eq!(verdicts, [expected], "the answer to a beat of {name} for {task}");
        if with_checkpoint && expected != BeatVerdict::Stale {
            self.checkpoints.insert(task, checkpoint);
        }
    }

    async fn restart(&mut self) {
        self.store.close().await;
        self.store = self.bench.open().await;
        self.events = self.store.events();
        // every event of the old store was waited for; what the restart itself changes has no revision
    }

    /// Every revision is told once, in order, and soon.
    async fn await_events(&mut self, after: &Snapshot, step: &Step) {
        let told = |revisions: &BTreeMap<TaskId, u64>| {
            after.tasks.values().all(|task| revisions.get(&task.id) >= Some(&task.revision))
        };
        while !told(&self.revisions) {
            let event = tokio::time::timeout(SOON, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("a revision was not told after {step:?}")).unwrap();
            self.note(event);
        }
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
    }

    fn note(&mut self, event: StoreEvent) {
        let StoreEvent::Changed(event) = event else { panic!("events were missed") };
        let last = self.revisions.entry(event.task).or_default();
        *last += 1;
        assert_eq!(event.revision, *last, "events of {} skip or repeat a revision", event.task);
    }

    pub(super) async fn check(&mut self, step: &Step) {
        let after = self.store.snapshot().await.unwrap();
        assert_eq!(of_snapshot(&after), Vec::<String>::new(), "after {step:?}");
        self.await_events(&after, step).await;
        for (id, task) in &after.tasks {
            assert_eq!(self.revisions.get(id), Some(&task.revision), "revision and events of {id}, {step:?}");
            self.check_task(self.before.tasks.get(id), task, step);
            if task.state.is_terminal() {
                self.checkpoints.remove(id);
            }
        }
        for id in &self.tasks {
            assert!(after.tasks.contains_key(id), "acknowledged task {id} is gone after {step:?}");
        }
        assert!(self.successes.values().all(|count| *count <= 1), "two successes after {step:?}");
        self.before = after;
    }

    /// Nothing that has happened has left anything to set right.
    pub(super) async fn end(self) {
        assert_nothing_differs(&*self.store).await;
        self.store.close().await;
    }

    fn check_task(&self, before: Option<&TaskRecord>, after: &TaskRecord, step: &Step) {
        let Some(before) = before else { return };
        assert!(after.last_fence >= before.last_fence, "a fence went back in {step:?}");
        if before.state.is_terminal() && !matches!(step, Step::Retry { .. }) {
            assert_eq!(before, after, "an ended task changed in {step:?}");
        }
        if after.revision <= before.revision + 1 {
            assert_eq!(of_change(Some(before), after), Vec::<String>::new(), "in {step:?}");
        }
        let succeeded = matches!(after.state, State::Succeeded(_));
        assert_eq!(
            succeeded,
            self.successes.contains_key(&after.id),
            "a success without its settlement, {step:?}"
        );
    }
}

/// Whether a worker has the task under this very lease.
fn holds(task: &TaskRecord, name: &str, fence: Fence) -> bool {
    task.state.tenure().is_some_and(|tenure| tenure.worker.as_str() == name && tenure.fence == fence)
}

/// Lives through every step.
pub(in crate::store) async fn live(bench: &dyn Bench, steps: Vec<Step>) {
    let mut life = Life::begin(bench).await;
    for step in steps {
        life.take(step.clone()).await;
        life.check(&step).await;
    }
    life.end().await;
}

/// Runs a life to its end.
pub(in crate::store) fn block_on(life: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(life);
}
