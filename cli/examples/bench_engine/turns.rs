//! What a turn costs beside the model: 32 tasks on a device that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use likeness_shared::proto::{InversionSpec, Progress};
use likeness_worker::engine::{
    Class, Command, Demand, EngineOptions, Event, Fault, Job, LiveAttempts, Machine, Order, PassError, Side,
    Stage, Stepped, Work, run,
};
use tokio::sync::mpsc;

use crate::tasks::order;

const TASKS: usize = 32;
const FOR: Duration = Duration::from_secs(3);

struct Nothing {
    passes: AtomicUsize,
    steps: AtomicUsize,
}

struct Task;

impl Machine for Nothing {
    type Job<'m> = Task;

    fn open(&self, _: Order) -> Result<Task, Fault> {
        Ok(Task)
    }

    fn pass(&self, _: Stage, jobs: &mut [&mut Task], _: u32) -> Result<Vec<Stepped>, PassError> {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.steps.fetch_add(jobs.len(), Ordering::Relaxed);
        Ok(jobs.iter().map(|_| Ok(None)).collect())
    }
}

impl Job for Task {
    fn demand(&self) -> Demand {
        Demand { side: Side::Learning, stage: Stage::Train, class: Class::default(), rows: 8 }
    }

    fn progress(&self) -> Progress {
        Progress { phase: "train".to_owned(), total_steps: 400, ..Progress::default() }
    }

    fn checkpoint(&self) -> Option<Bytes> {
        Some(Bytes::from(vec![0; 25 * 1024]))
    }
}

pub(crate) fn measure() {
    let machine = Arc::new(Nothing { passes: AtomicUsize::new(0), steps: AtomicUsize::new(0) });
    let (commands, mut queue) = mpsc::channel(TASKS);
    let (event_queue, mut events) = mpsc::channel::<Event>(256);
    let listening = std::thread::spawn(move || while events.blocking_recv().is_some() {});
    for _ in 0..TASKS {
        let spec = Box::new(InversionSpec::default());
        let work = Work::Inversion { spec, photos: Vec::new(), start_file: None };
        if commands.blocking_send(Command::Join(Box::new(order(work)))).is_err() {
            return;
        }
    }
    let running = {
        let machine = Arc::clone(&machine);
        std::thread::spawn(move || {
            let options = EngineOptions::default();
            run(machine.as_ref(), &mut queue, &event_queue, &LiveAttempts::default(), options);
        })
    };
    let began = Instant::now();
    std::thread::sleep(FOR);
    let (passes, steps) = (machine.passes.load(Ordering::Relaxed), machine.steps.load(Ordering::Relaxed));
    let micros = began.elapsed().as_secs_f64() * 1e6 / passes.max(1) as f64;
    drop(commands);
    if running.join().is_err() || listening.join().is_err() {
        eprintln!("the engine panicked");
    }
    let members = steps as f64 / passes.max(1) as f64;
    println!(
        "a turn with {TASKS} live tasks and an empty model: {micros:.1} us ({members:.1} of them in a pass)"
    );
}
