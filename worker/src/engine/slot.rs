//! One live task: its job, what was asked of it meanwhile, and what has been said about it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use likeness_shared::proto::Progress;

use super::machine::{Demand, Job, Stage, Stepped};
use super::order::{Attempt, Ending, Event, Fault};

/// What becomes of a slot in the next turn.
enum State<J> {
    Working(J),
    Paused(J),
    /// The outcome is known and is told next turn.
    Ending(Ending),
    Over,
}

/// One live task.
pub(super) struct Slot<J> {
    attempt: Attempt,
    state: State<J>,
    /// How far the task is on its side's time: see [`super::plan`].
    pub(super) clock: f64,
    /// Its last pass failed: the next one is its own.
    pub(super) alone: bool,
    device_time: Duration,
    report_interval: Duration,
    reported: Option<(Instant, Stage)>,
    rate: Rate,
}

impl<J: Job> Slot<J> {
    /// A job that could not be opened ends in its first turn.
    pub(super) fn new(attempt: Attempt, opened: Result<J, Fault>, report_interval: Duration) -> Self {
        let state = match opened {
            Ok(job) => State::Working(job),
            Err(fault) => State::Ending(Ending::Failed(fault)),
        };
        Self {
            attempt,
            state,
            clock: 0.0,
            alone: false,
            device_time: Duration::ZERO,
            report_interval,
            reported: None,
            rate: Rate::default(),
        }
    }

    pub(super) fn attempt(&self) -> Attempt {
        self.attempt
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether there is something to do or to tell.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::Working(_) | State::Ending(_))
    }

    /// What the task wants of the device; `None` while it is paused and when it is at its end.
    pub(super) fn demand(&self) -> Option<Demand> {
        self.working().map(Job::demand)
    }

    /// The job, unless the task is paused or at its end.
    pub(super) fn job_mut(&mut self) -> Option<&mut J> {
        match &mut self.state {
            State::Working(job) => Some(job),
            _ => None,
        }
    }

    fn working(&self) -> Option<&J> {
        match &self.state {
            State::Working(job) => Some(job),
            _ => None,
        }
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

    /// The task was in a pass and pays for its rows.
    pub(super) fn charge(&mut self, device_time: Duration) {
        self.device_time += device_time;
        self.clock += device_time.as_secs_f64();
    }

    /// What its step led to.
    pub(super) fn stepped(&mut self, outcome: Stepped) {
        self.alone = false;
        match outcome {
            Ok(None) => {}
            Ok(Some(ending)) => self.state = State::Ending(ending),
            Err(fault) => self.fail(fault),
        }
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        let Fault { code, message, .. } = &fault;
        if let Some(ending) = self.working().and_then(|job| job.salvage(&fault)) {
            tracing::warn!(attempt = %self.attempt, code, message, "task ends with what it had before this");
            self.state = State::Ending(ending);
            return;
        }
        tracing::warn!(attempt = %self.attempt, code, message, "task failed");
        self.state = State::Ending(Ending::Failed(fault));
    }

    /// What there is to tell: a preview, where there is a new one; and the ending, or progress where that is due.
    pub(super) fn tell(&mut self) -> impl Iterator<Item = Event> + use<J> {
        let attempt = self.attempt;
        let preview = self.job_mut().and_then(Job::take_preview);
        let preview = preview.map(|preview| Event::Previewed { attempt, preview });
        preview.into_iter().chain(self.news())
    }

    /// The ending; or progress, where the stage is new or the last report is old enough.
    fn news(&mut self) -> Option<Event> {
        let (attempt, device_time) = (self.attempt, self.device_time);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ending(ending) => return Some(Event::Ended { attempt, ending, device_time }),
            other => self.state = other,
        }
        let State::Working(job) = &self.state else { return None };
        let (now, stage) = (Instant::now(), job.demand().stage);
        let due = self.reported.is_none_or(|(last, reported)| {
            reported != stage || now.duration_since(last) >= self.report_interval
        });
        if !due {
            return None;
        }
        self.reported = Some((now, stage));
        let progress = job.progress();
        self.rate.observe(now, &progress);
        let progress = self.rate.fill(progress);
        Some(Event::Progress { attempt, progress, checkpoint: job.checkpoint(), device_time })
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
        let left = f64::from(progress.total_steps.saturating_sub(progress.step));
        let known = self.steps_per_second > 0.0 && self.phase == progress.phase;
        let time_left =
            known.then(|| Duration::try_from_secs_f64(left / self.steps_per_second).ok()).flatten();
        let time_left = time_left.and_then(|left| prost_types::Duration::try_from(left).ok());
        Progress { steps_per_second: self.steps_per_second, time_left, ..progress }
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
