//! An engine on a thread of its own, driven by what it says.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use likeness_worker::engine::{
    Attempt, Command, Ending, EngineOptions, Event, LiveAttempts, Machine, Order, Preview, run,
};
use tokio::sync::mpsc;

/// A running engine and what has ended on it.
pub struct Engine {
    commands: Option<mpsc::Sender<Command>>,
    events: mpsc::Receiver<Event>,
    thread: Option<thread::JoinHandle<()>>,
    pub live: HashSet<Attempt>,
    pub ended: HashMap<Attempt, Ending>,
    pub steps: HashMap<Attempt, u32>,
    pub device_time: HashMap<Attempt, Duration>,
    pub previews: HashMap<Attempt, Vec<Preview>>,
    pub phases: HashMap<Attempt, Vec<String>>,
}

impl Engine {
    /// Reports after every pass.
    pub fn start<M: Machine + Send + Sync + 'static>(machine: &Arc<M>) -> Self {
        Self::start_with(
            machine,
            EngineOptions { report_interval: Duration::ZERO, ..EngineOptions::default() },
        )
    }

    pub fn start_with<M: Machine + Send + Sync + 'static>(machine: &Arc<M>, options: EngineOptions) -> Self {
        let (commands, mut queue) = mpsc::channel(256);
        let (event_queue, events) = mpsc::channel(1024);
        let machine = Arc::clone(machine);
        let thread = thread::spawn(move || {
            run(machine.as_ref(), &mut queue, &event_queue, &LiveAttempts::default(), options);
        });
        let (live, ended) = (HashSet::new(), HashMap::new());
        let (steps, device_time) = (HashMap::new(), HashMap::new());
        let (commands, thread) = (Some(commands), Some(thread));
        let (previews, phases) = (HashMap::new(), HashMap::new());
        Self { commands, events, thread, live, ended, steps, device_time, previews, phases }
    }

    pub fn tell(&self, command: Command) {
        self.commands.as_ref().unwrap().blocking_send(command).unwrap();
    }

    pub fn join(&mut self, order: Order) {
        self.live.insert(order.attempt);
        self.tell(Command::Join(Box::new(order)));
    }

    /// Waits for the next event and keeps what it says; gives the attempt that it is about.
    pub fn next(&mut self) -> Attempt {
        match self.events.blocking_recv().expect("the engine has died") {
            Event::Room { .. } => self.next(),
            Event::Previewed { attempt, preview } => {
                self.previews.entry(attempt).or_default().push(preview);
                attempt
            }
            Event::Progress { attempt, progress, .. } => {
                self.steps.insert(attempt, progress.step);
                self.phases.entry(attempt).or_default().push(progress.phase);
                attempt
            }
            Event::Ended { attempt, ending, device_time } => {
                self.live.remove(&attempt);
                self.ended.insert(attempt, ending);
                self.device_time.insert(attempt, device_time);
                attempt
            }
        }
    }

    /// Waits until everything that was joined has ended.
    pub fn finish(&mut self) {
        while !self.live.is_empty() {
            self.next();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.commands.take());
        while self.events.blocking_recv().is_some() {}
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the engine panicked");
    }
}
