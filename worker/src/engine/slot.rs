//! One live task: its job, what was asked of it meanwhile, and what has been said about it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use likeness_shared::proto::Progress;

use super::job::{Job, JobOpener};
use super::order::{Attempt, Ending, Event, Fault, Order};

/// What a slot does in its next turn.
enum State<'m> {
    Working(Box<dyn Job + 'm>),
    Paused(Box<dyn Job + 'm>),
    /// The outcome is known and is told next turn.
    Ending(Ending),
    Over,
}

/// One live task.
pub(super) struct Slot<'m> {
    attempt: Attempt,
    state: State<'m>,
    device_time: Duration,
    report_interval: Duration,
    reported: Option<(Instant, String)>,
    rate: Rate,
}

impl<'m> Slot<'m> {
    /// Opens the job; a job that cannot be opened ends in its first turn.
    pub(super) fn open(opener: &'m dyn JobOpener, order: Order, report_interval: Duration) -> Self {
        let attempt = order.attempt;
        let state = match opener.open(order) {
            Ok(job) => State::Working(job),
            Err(fault) => State::Ending(Ending::Failed(fault)),
        };
        let rate = Rate::default();
        Self { attempt, state, device_time: Duration::ZERO, report_interval, reported: None, rate }
    }

    pub(super) fn attempt(&self) -> Attempt {
        self.attempt
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(super) fn wants_the_device(&self) -> bool {
        matches!(self.state, State::Working(_) | State::Ending(_))
    }

    pub(super) fn cancel(&mut self) {
        self.state = State::Ending(Ending::Cancelled);
    }

    pub(super) fn pause(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Working(job) => State::Paused(job),
            other => other,
        };
    }

    pub(super) fn resume(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Paused(job) => State::Working(job),
            other => other,
        };
    }

    pub(super) fn hand_back(&mut self) {
        if let State::Working(job) | State::Paused(job) = &self.state {
            let checkpoint = job.checkpoint().unwrap_or_default();
            self.state =
                State::Ending(Ending::HandedBack { checkpoint, progress: self.rate.fill(job.progress()) });
        }
    }

    /// One piece of work, and what there is to tell after it.
    pub(super) fn take_turn(&mut self) -> Vec<Event> {
        let attempt = self.attempt;
        let mut job = match std::mem::replace(&mut self.state, State::Over) {
            State::Working(job) => job,
            State::Ending(ending) => {
                return vec![Event::Ended { attempt, ending, device_time: self.device_time }];
            }
            other => {
                self.state = other;
                return Vec::new();
            }
        };
        let mut told: Vec<Event> = self.report(job.as_ref()).into_iter().collect();
        let started = Instant::now();
        let advanced = job.advance();
        self.device_time += started.elapsed();
        let ending = match advanced {
            Ok(None) => {
                told.extend(self.report(job.as_ref()));
                self.state = State::Working(job);
                return told;
            }
            Ok(Some(ending)) => ending,
            Err(fault) => {
                let Fault { code, message, .. } = &fault;
                tracing::warn!(%attempt, code, message, "task failed");
                Ending::Failed(fault)
            }
        };
        told.push(Event::Ended { attempt, ending, device_time: self.device_time });
        told
    }

    /// Progress, where the phase is new or the last report is old enough.
    fn report(&mut self, job: &dyn Job) -> Option<Event> {
        let now = Instant::now();
        let progress = job.progress();
        self.rate.observe(now, &progress);
        let due = match &self.reported {
            Some((last, phase)) => {
                *phase != progress.phase || now.duration_since(*last) >= self.report_interval
            }
            None => true,
        };
        if !due {
            return None;
        }
        self.reported = Some((now, progress.phase.clone()));
        let checkpoint: Option<Bytes> = job.checkpoint();
        let (attempt, device_time) = (self.attempt, self.device_time);
        Some(Event::Progress { attempt, progress: self.rate.fill(progress), checkpoint, device_time })
    }
}

/// Steps a second within the current phase, since it began.
#[derive(Default)]
struct Rate {
    phase: String,
    origin: Option<(Instant, u32)>,
    steps_per_second: f64,
}

impl Rate {
    fn observe(&mut self, now: Instant, progress: &Progress) {
        match self.origin {
            Some((since, first)) if self.phase == progress.phase => {
                let seconds = now.duration_since(since).as_secs_f64();
                if seconds > 0.0 && progress.step > first {
                    self.steps_per_second = f64::from(progress.step - first) / seconds;
                }
            }
            _ => {
                self.phase = progress.phase.clone();
                self.origin = Some((now, progress.step));
                self.steps_per_second = 0.0;
            }
        }
    }

    fn fill(&self, progress: Progress) -> Progress {
        Progress { steps_per_second: self.steps_per_second, ..progress }
    }
}

/// The attempts that are on the device, readable after its thread has died.
#[derive(Debug, Default)]
pub struct LiveAttempts(Mutex<Vec<Attempt>>);

impl LiveAttempts {
    pub(super) fn set(&self, attempts: impl Iterator<Item = Attempt>) {
        let mut live = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.clear();
        live.extend(attempts);
    }

    pub(super) fn add(&self, attempt: Attempt) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
    }

    /// The attempts, which are thereby nobody's any more.
    pub fn take(&self) -> Vec<Attempt> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
