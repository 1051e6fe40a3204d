//! An engine on a thread of its own, and what it says.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use likeness_worker::engine::{
    Attempt, Command, Ending, EngineOptions, Event, LiveAttempts, Machine, Order, run,
};
use tokio::sync::mpsc;

pub(crate) struct Running {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    thread: thread::JoinHandle<()>,
    pub(crate) steps: HashMap<Attempt, u32>,
}

/// How an attempt ended, and when.
pub(crate) struct Ended {
    pub(crate) attempt: Attempt,
    pub(crate) ending: Ending,
    pub(crate) at: Instant,
}

impl Running {
    pub(crate) fn start<M: Machine + Send + Sync + 'static>(machine: Arc<M>) -> Self {
        let (commands, mut queue) = mpsc::channel(256);
        let (event_queue, events) = mpsc::channel(4096);
        let thread = thread::spawn(move || {
            let options =
                EngineOptions { report_interval: Duration::from_millis(20), ..EngineOptions::default() };
            run(machine.as_ref(), &mut queue, &event_queue, &LiveAttempts::default(), options);
        });
        Self { commands, events, thread, steps: HashMap::new() }
    }

    pub(crate) fn tell(&self, command: Command) -> anyhow::Result<()> {
        Ok(self.commands.blocking_send(command)?)
    }

    pub(crate) fn join(&self, order: Order) -> anyhow::Result<Attempt> {
        let attempt = order.attempt;
        self.tell(Command::Join(Box::new(order)))?;
        Ok(attempt)
    }

    /// Waits for the next ending, and keeps what progress says meanwhile.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Ended> {
        loop {
            if let Some(ended) = self.next()? {
                return Ok(ended);
            }
        }
    }

    /// Waits for the next event; an ending where it is one.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Ended>> {
        match self.events.blocking_recv().context("the engine has died")? {
            Event::Room { .. } | Event::Previewed { .. } => Ok(None),
            Event::Progress { attempt, progress, .. } => {
                self.steps.insert(attempt, progress.step);
                Ok(None)
            }
            Event::Ended { ending: Ending::Failed(fault), .. } => bail!("a task failed: {fault}"),
            Event::Ended { attempt, ending, .. } => Ok(Some(Ended { attempt, ending, at: Instant::now() })),
        }
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        let Self { commands, mut events, thread, .. } = self;
        drop(commands);
        while events.blocking_recv().is_some() {}
        thread.join().map_err(|_| anyhow::anyhow!("the engine panicked"))
    }
}

/// The value below which `share` of them are; they are sorted.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(place).copied().unwrap_or(f64::NAN)
}
