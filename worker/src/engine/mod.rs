//! The engine: the loop that gives the device's time to the tasks that are live, many of them in one pass.
//!
//! A *turn* is commands first (joins, cancels, drops, hand-backs, pauses, drain), then one *pass*: one step of as many
//! tasks as share a stage and fit, in one go through the model. Tasks join and leave between passes; a step is
//! the smallest thing there is, so a cancel or a drain acts within one pass, and no task waits for another's end.
//! [`plan`] says who is in the pass, [`batch_sizes`] how large it should be, the [`Machine`] makes it, and every
//! member pays for its rows. The engine runs on the device's own thread; it blocks on commands while there is
//! nothing to do, and ends when the commands' other end is gone.
//!
//! It knows tasks as [`Job`]s alone: what they are made of is [`studio`]'s affair, or the simulated device's.

mod batch_sizes;
mod machine;
mod order;
mod plan;
mod slot;
mod studio;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{Receiver, Sender};

pub use machine::{Class, Demand, Job, Machine, Memory, PassError, Side, Stage, Stepped};
pub use order::{
    Attempt, Blame, BoundPerson, Command, DrawnPicture, DrawnPictures, DrawnReport, Ending, Event, Fault,
    LearnedPerson, Order, Preview, Quality, Work,
};
pub use slot::LiveAttempts;
pub use studio::{ActivationCheckpointing, LoadedModel, Studio, UnknownCheckpointing};

use plan::{Candidate, Pass, Planner};
use slot::Slot;

/// How the engine shares the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineOptions {
    /// How often a task's progress and checkpoint are told.
    pub report_interval: Duration,
    /// What generations get of the device's time where inversions want it too; between 0 and 1.
    pub drawing_share: f64,
    /// Passes are not filled beyond this, so that cancels and other tasks never wait longer.
    pub longest_pass: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            report_interval: Duration::from_millis(100),
            drawing_share: 0.75,
            longest_pass: Duration::from_millis(500),
        }
    }
}

/// Runs turns until the commands' sender is gone or nobody listens to the events.
///
/// `live` always names the attempts that are on the device, for whoever has to answer for them if this thread dies.
pub fn run<M: Machine, E: From<Event>>(
    machine: &M,
    commands: &mut Receiver<Command>,
    events: &Sender<E>,
    live: &LiveAttempts,
    options: EngineOptions,
) {
    let planner = Planner::new(options.drawing_share, options.longest_pass);
    let mut engine = Engine { machine, options, planner, slots: Vec::new(), told_room: None };
    if !engine.tell_room(events) {
        return;
    }
    while let Some(arrived) = next_commands(commands, engine.slots.iter().any(Slot::is_busy)) {
        for command in arrived {
            engine.obey(command, live);
        }
        live.set(engine.slots.iter().map(Slot::attempt));
        if !engine.tell(events) {
            return;
        }
        if let Some(pass) = engine.planner.plan(&engine.candidates()) {
            engine.make(&pass);
        }
        if !(engine.tell(events) && engine.tell_room(events)) {
            return;
        }
        let before = engine.slots.len();
        engine.slots.retain(|slot| !slot.is_over());
        if engine.slots.len() < before {
            machine.tidy();
        }
        live.set(engine.slots.iter().map(Slot::attempt));
    }
}

/// The commands that have arrived; waits for one where there is no work. `None` when no more can come.
fn next_commands(commands: &mut Receiver<Command>, busy: bool) -> Option<Vec<Command>> {
    let mut arrived = Vec::new();
    if !busy {
        arrived.push(commands.blocking_recv()?);
    }
    loop {
        match commands.try_recv() {
            Ok(command) => arrived.push(command),
            Err(TryRecvError::Empty) => return Some(arrived),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

struct Engine<'m, M: Machine> {
    machine: &'m M,
    options: EngineOptions,
    planner: Planner,
    slots: Vec<Slot<M::Job<'m>>>,
    told_room: Option<u32>,
}

impl<'m, M: Machine> Engine<'m, M> {
    fn obey(&mut self, command: Command, live: &LiveAttempts) {
        match command {
            Command::Join(order) => {
                let attempt = order.attempt;
                if self.slots.iter().any(|slot| slot.attempt() == attempt) {
                    tracing::warn!(%attempt, "this attempt is live already, its second start is refused");
                    return;
                }
                live.add(attempt);
                let opened = self.machine.open(*order);
                self.slots.push(Slot::new(attempt, opened, self.options.report_interval));
                self.enter(attempt);
            }
            Command::Cancel(attempt) => self.with_slot(attempt, Slot::cancel),
            Command::Drop(attempt) => self.slots.retain(|slot| slot.attempt() != attempt),
            Command::HandBack(attempt) => self.with_slot(attempt, Slot::hand_back),
            Command::Pause(attempt) => self.with_slot(attempt, Slot::pause),
            Command::Resume(attempt) => {
                self.with_slot(attempt, Slot::resume);
                self.enter(attempt);
            }
            Command::Drain => self.slots.iter_mut().for_each(Slot::hand_back),
        }
    }

    /// An attempt that is not live any more has ended by itself: its event is on the way, the command has no object.
    fn with_slot(&mut self, attempt: Attempt, act: impl FnOnce(&mut Slot<M::Job<'m>>)) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.attempt() == attempt) {
            act(slot);
        }
    }

    /// A task that joins or comes back is as far as those that are at work.
    fn enter(&mut self, attempt: Attempt) {
        let planner = &self.planner;
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.attempt() == attempt)
            && let Some(demand) = slot.demand()
        {
            slot.clock = planner.clock_at_joining(demand.side, slot.clock);
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let candidate = |(place, slot): (usize, &Slot<M::Job<'m>>)| {
            Some(Candidate { place, demand: slot.demand()?, clock: slot.clock, alone: slot.alone })
        };
        self.slots.iter().enumerate().filter_map(candidate).collect()
    }

    /// Makes one step of every member; after a pass that failed, none has changed.
    fn make(&mut self, pass: &Pass) {
        let member_at = |place: usize| pass.members.iter().find(|member| member.place == place);
        let mut members: Vec<(&mut Slot<M::Job<'m>>, u32)> = Vec::with_capacity(pass.members.len());
        for (place, slot) in self.slots.iter_mut().enumerate() {
            members.extend(member_at(place).map(|member| (slot, member.rows)));
        }
        let mut jobs: Vec<&mut M::Job<'m>> =
            members.iter_mut().filter_map(|(slot, _)| slot.job_mut()).collect();
        let began = Instant::now();
        let outcome = self.machine.pass(pass.stage, &mut jobs, pass.most_rows);
        let took = began.elapsed();
        match outcome {
            Ok(stepped) => {
                self.planner.made(pass, took, || self.machine.memory());
                for ((slot, rows), stepped) in members.into_iter().zip(stepped) {
                    slot.charge(pass.share(rows, took));
                    slot.stepped(stepped);
                }
            }
            Err(PassError::OutOfMemory) => {
                self.planner.spent(pass, took);
                if !self.planner.sizes.shrink(pass.stage, pass.class, pass.rows()) {
                    let message = "the device has not the memory for a single row: use a larger one";
                    let fault = Fault::of_worker("device_oom", message);
                    members.into_iter().for_each(|(slot, _)| slot.fail(fault.clone()));
                }
            }
            Err(PassError::Failed(fault)) => {
                self.planner.spent(pass, took);
                match members.as_mut_slice() {
                    [(slot, _)] => slot.fail(fault),
                    members => members.iter_mut().for_each(|(slot, _)| slot.alone = true),
                }
            }
        }
    }

    /// Says what there is to say of every task. False when nobody listens any more.
    fn tell<E: From<Event>>(&mut self, events: &Sender<E>) -> bool {
        self.slots.iter_mut().flat_map(Slot::tell).all(|event| tell(events, event))
    }

    /// Says how many tasks there is room for, where that has changed. False when nobody listens any more.
    fn tell_room<E: From<Event>>(&mut self, events: &Sender<E>) -> bool {
        let tasks = self.planner.room(&self.candidates());
        if self.told_room == Some(tasks) {
            return true;
        }
        match events.try_send(Event::Room { tasks }.into()) {
            Ok(()) => self.told_room = Some(tasks),
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Closed(_)) => return false,
        }
        true
    }
}

/// Progress may be lost when the listener is behind: a newer one follows. Endings wait for the listener.
/// False when nobody listens any more.
fn tell<E: From<Event>>(events: &Sender<E>, event: Event) -> bool {
    match event {
        Event::Progress { .. } | Event::Previewed { .. } | Event::Room { .. } => {
            !matches!(events.try_send(event.into()), Err(TrySendError::Closed(_)))
        }
        Event::Ended { .. } => events.blocking_send(event.into()).is_ok(),
    }
}
