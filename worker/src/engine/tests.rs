//! Scenarios of the loop with jobs that only count: join, cancel, drop, pause, drain, failure.

use std::sync::Arc;
use std::thread;

use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::{InversionSpec, Progress};
use tokio::sync::mpsc;

use super::*;

/// Counts to the seed of its spec; fails at the step that the spec's `steps` names. From step 5 on it has something to end with.
struct Counter {
    made: u64,
    last: u64,
    fails_at: Option<u64>,
}

impl Counter {
    fn step(&mut self) -> Stepped {
        self.made += 1;
        if Some(self.made) == self.fails_at {
            return Err(Fault::lasting("corrupt", "as told"));
        }
        let drawn = DrawnPictures { pictures: vec![], warnings: vec![self.made.to_string()] };
        Ok((self.made >= self.last).then_some(Ending::Drawn(drawn)))
    }
}

impl Job for Counter {
    fn demand(&self) -> Demand {
        Demand { side: Side::Learning, stage: Stage::Train, class: Class::default(), rows: 1 }
    }

    fn progress(&self) -> Progress {
        Progress {
            step: self.made as u32,
            total_steps: self.last as u32,
            phase: "train".into(),
            ..Progress::default()
        }
    }

    fn salvage(&self, fault: &Fault) -> Option<Ending> {
        let warnings = vec![fault.code.clone()];
        (self.made >= 5).then_some(Ending::Drawn(DrawnPictures { pictures: vec![], warnings }))
    }

    fn checkpoint(&self) -> Option<bytes::Bytes> {
        Some(self.made.to_le_bytes().to_vec().into())
    }
}

struct Counters;

impl Machine for Counters {
    type Job<'m> = Counter;

    fn open(&self, order: Order) -> Result<Counter, Fault> {
        let Work::Inversion { spec, .. } = order.work else {
            return Err(Fault::lasting("bad_spec", "no counter"));
        };
        Ok(Counter { made: 0, last: spec.seed, fails_at: spec.steps.map(u64::from) })
    }

    fn pass(&self, _: Stage, jobs: &mut [&mut Counter], _: u32) -> Result<Vec<Stepped>, PassError> {
        thread::sleep(Duration::from_micros(200));
        Ok(jobs.iter_mut().map(|job| job.step()).collect())
    }
}

struct Running {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
    live: Arc<LiveAttempts>,
    thread: thread::JoinHandle<()>,
}

const FOREVER: u64 = u64::MAX;

fn start() -> Running {
    let (commands, mut command_queue) = mpsc::channel(64);
    let (event_queue, events) = mpsc::channel(64);
    let live = Arc::new(LiveAttempts::default());
    let watched = Arc::clone(&live);
    let thread = thread::spawn(move || {
        let options = EngineOptions { report_interval: Duration::from_millis(1), ..EngineOptions::default() };
        run(&Counters, &mut command_queue, &event_queue, &watched, options);
    });
    Running { commands, events, live, thread }
}

impl Running {
    fn join(&self, last: u64, fails_at: Option<u32>) -> Attempt {
        let attempt = Attempt { task: TaskId::generate(), fence: Fence(1) };
        self.join_as(attempt, last, fails_at);
        attempt
    }

    fn join_as(&self, attempt: Attempt, last: u64, fails_at: Option<u32>) {
        let spec = InversionSpec { seed: last, steps: fails_at, ..InversionSpec::default() };
        let work = Work::Inversion { spec: Box::new(spec), photos: vec![], start_file: None };
        self.tell(Command::Join(Box::new(Order {
            attempt,
            number: 1,
            reseed: 0,
            work,
            checkpoint: bytes::Bytes::new(),
        })));
    }

    fn tell(&self, command: Command) {
        self.commands.blocking_send(command).unwrap();
    }

    fn next(&mut self) -> Event {
        self.events.blocking_recv().expect("the engine has ended")
    }

    /// The next ending.
    fn ending(&mut self) -> (Attempt, Ending) {
        loop {
            if let Event::Ended { attempt, ending, .. } = self.next() {
                return (attempt, ending);
            }
        }
    }

    /// Waits until `attempt` reports a step beyond `step`.
    fn wait_for_step_beyond(&mut self, attempt: Attempt, step: u32) -> u32 {
        loop {
            if let Event::Progress { attempt: who, progress, .. } = self.next()
                && who == attempt
                && progress.step > step
            {
                return progress.step;
            }
        }
    }

    fn stop(self) {
        drop(self.commands);
        self.thread.join().unwrap();
    }
}

#[test]
fn tasks_that_join_later_finish_beside_a_long_one() {
    let mut engine = start();
    let long = engine.join(FOREVER, None);
    engine.wait_for_step_beyond(long, 2);
    let short = engine.join(5, None);
    let (who, ending) = engine.ending();
    assert_eq!(who, short);
    assert!(matches!(ending, Ending::Drawn(drawn) if drawn.warnings == ["5"]));
    engine.stop();
}

#[test]
fn a_cancelled_task_stops_and_its_neighbour_goes_on() {
    let mut engine = start();
    let (first, second) = (engine.join(FOREVER, None), engine.join(FOREVER, None));
    engine.wait_for_step_beyond(first, 1);
    engine.tell(Command::Cancel(first));
    let (who, ending) = engine.ending();
    assert_eq!(who, first);
    assert!(matches!(ending, Ending::Cancelled));
    engine.wait_for_step_beyond(second, 20);
    assert_eq!(engine.live.take(), [second]);
    engine.stop();
}

#[test]
fn a_dropped_task_ends_without_a_word() {
    let mut engine = start();
    let (first, second) = (engine.join(FOREVER, None), engine.join(FOREVER, None));
    engine.wait_for_step_beyond(first, 1);
    engine.tell(Command::Drop(first));
    engine.tell(Command::Cancel(second));
    let (who, _) = engine.ending();
    assert_eq!(who, second, "only the cancelled one is heard of");
    engine.stop();
}

#[test]
fn a_paused_task_keeps_its_state_and_goes_on_where_it_was() {
    let mut engine = start();
    let attempt = engine.join(FOREVER, None);
    engine.wait_for_step_beyond(attempt, 3);
    engine.tell(Command::Pause(attempt));
    // A neighbour's end shows that the engine has taken turns since.
    let neighbour = engine.join(50, None);
    let mut before = 0;
    loop {
        match engine.next() {
            Event::Progress { attempt: who, progress, .. } if who == attempt => before = progress.step,
            Event::Ended { attempt: who, .. } if who == neighbour => break,
            _ => {}
        }
    }
    engine.tell(Command::Resume(attempt));
    let after = engine.wait_for_step_beyond(attempt, before);
    assert!(after <= before + 40, "steps were made while paused: {before} to {after}");
    engine.stop();
}

#[test]
fn a_drain_hands_everything_back_with_its_state() {
    let mut engine = start();
    let attempts = [engine.join(FOREVER, None), engine.join(FOREVER, None)];
    engine.wait_for_step_beyond(attempts[1], 5);
    engine.tell(Command::Pause(attempts[0]));
    engine.tell(Command::Drain);
    for attempt in attempts {
        let (who, ending) = engine.ending();
        assert_eq!(who, attempt);
        let Ending::HandedBack { checkpoint, progress } = ending else { panic!("{ending:?}") };
        let made = u64::from_le_bytes(checkpoint[..].try_into().unwrap());
        assert_eq!(made, u64::from(progress.step));
        assert!(made > 0);
    }
    engine.stop();
}

#[test]
fn one_task_is_handed_back_and_its_neighbour_goes_on() {
    let mut engine = start();
    let (first, second) = (engine.join(FOREVER, None), engine.join(FOREVER, None));
    engine.wait_for_step_beyond(first, 5);
    engine.tell(Command::HandBack(first));
    let (who, ending) = engine.ending();
    assert_eq!(who, first);
    assert!(matches!(ending, Ending::HandedBack { checkpoint, .. } if !checkpoint.is_empty()));
    engine.wait_for_step_beyond(second, 20);
    engine.stop();
}

#[test]
fn device_time_is_told_while_a_task_runs_and_grows() {
    let mut engine = start();
    engine.join(FOREVER, None);
    let mut told = Vec::new();
    while told.len() < 5 {
        if let Event::Progress { progress, device_time, .. } = engine.next()
            && progress.step > 0
        {
            told.push((progress.step, device_time));
        }
    }
    for (step, device_time) in &told {
        assert!(*device_time >= Duration::from_micros(199) * *step, "{told:?}");
    }
    assert!(told.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{told:?}");
    engine.stop();
}

#[test]
fn a_failure_is_told_and_ends_only_its_own_task() {
    let mut engine = start();
    let healthy = engine.join(FOREVER, None);
    let failing = engine.join(FOREVER, Some(3));
    let (who, ending) = engine.ending();
    assert_eq!(who, failing);
    assert!(matches!(ending, Ending::Failed(fault) if fault.code == "corrupt" && fault.blame == Blame::Task));
    engine.wait_for_step_beyond(healthy, 5);
    engine.stop();
}

#[test]
fn a_failure_does_not_take_what_was_there_before() {
    let mut engine = start();
    let failing = engine.join(FOREVER, Some(7));
    let (who, ending) = engine.ending();
    assert_eq!(who, failing);
    assert!(matches!(&ending, Ending::Drawn(drawn) if drawn.warnings == ["corrupt"]), "{ending:?}");
    engine.stop();
}

#[test]
fn a_second_start_of_the_same_attempt_is_refused() {
    let mut engine = start();
    let attempt = engine.join(FOREVER, None);
    engine.join_as(attempt, 1, None);
    engine.wait_for_step_beyond(attempt, 5);
    engine.tell(Command::Cancel(attempt));
    assert!(matches!(engine.ending(), (who, Ending::Cancelled) if who == attempt));
    engine.stop();
}

/// A device for so many rows; a task whose seed is 13 breaks every pass that it is in.
struct Tight {
    rows: u32,
    tried: std::sync::Mutex<Vec<(usize, u32)>>,
}

impl Machine for Tight {
    type Job<'m> = Counter;

    fn open(&self, order: Order) -> Result<Counter, Fault> {
        Counters.open(order)
    }

    fn pass(
        &self,
        stage: Stage,
        jobs: &mut [&mut Counter],
        most_rows: u32,
    ) -> Result<Vec<Stepped>, PassError> {
        self.tried.lock().unwrap().push((jobs.len(), most_rows));
        if jobs.iter().any(|job| job.last == 13) {
            return Err(PassError::Failed(Fault::lasting("bad_batch", "thirteen")));
        }
        if (jobs.len() as u32).min(most_rows) > self.rows {
            return Err(PassError::OutOfMemory);
        }
        Counters.pass(stage, jobs, most_rows)
    }
}

/// Runs tasks that count to these numbers, all there from the start, and gives how each ended.
fn run_tight(machine: &Tight, lasts: &[u64]) -> Vec<Ending> {
    let (commands, mut queue) = mpsc::channel(64);
    let (event_queue, mut events) = mpsc::channel(1024);
    let order = |last: &u64| {
        let spec = InversionSpec { seed: *last, ..InversionSpec::default() };
        let work = Work::Inversion { spec: Box::new(spec), photos: vec![], start_file: None };
        let attempt = Attempt { task: TaskId::generate(), fence: Fence(1) };
        Order { attempt, number: 1, reseed: 0, work, checkpoint: bytes::Bytes::new() }
    };
    let orders: Vec<Order> = lasts.iter().map(order).collect();
    let attempts: Vec<Attempt> = orders.iter().map(|order| order.attempt).collect();
    orders.into_iter().for_each(|order| commands.blocking_send(Command::Join(Box::new(order))).unwrap());
    let mut ended = std::collections::HashMap::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            run::<_, Event>(
                machine,
                &mut queue,
                &event_queue,
                &LiveAttempts::default(),
                EngineOptions::default(),
            );
        });
        while ended.len() < attempts.len() {
            if let Some(Event::Ended { attempt, ending, .. }) = events.blocking_recv() {
                ended.insert(attempt, ending);
            }
        }
        drop(commands);
    });
    attempts.iter().map(|attempt| ended.remove(attempt).unwrap()).collect()
}

#[test]
fn a_device_that_runs_out_of_memory_gets_smaller_passes_and_no_task_fails() {
    let machine = Tight { rows: 3, tried: std::sync::Mutex::default() };
    let endings = run_tight(&machine, &[20; 8]);
    assert!(endings.iter().all(|ending| matches!(ending, Ending::Drawn(_))), "{endings:?}");
    let tried = machine.tried.into_inner().unwrap();
    let too_many = tried.iter().filter(|(jobs, most_rows)| (*jobs as u32).min(*most_rows) > 3).count();
    assert_eq!(too_many, 2, "from 8 to 4 to 2, and never again: {tried:?}");
}

#[test]
fn a_device_without_room_for_one_row_is_the_workers_fault() {
    let endings = run_tight(&Tight { rows: 0, tried: std::sync::Mutex::default() }, &[5, 5]);
    for ending in endings {
        let Ending::Failed(fault) = ending else { panic!("{ending:?}") };
        assert_eq!((fault.code.as_str(), fault.blame), ("device_oom", Blame::Worker));
    }
}

#[test]
fn only_the_member_that_breaks_a_pass_fails() {
    let endings = run_tight(&Tight { rows: 8, tried: std::sync::Mutex::default() }, &[5, 13, 7, 20]);
    for (place, ending) in endings.iter().enumerate() {
        match ending {
            Ending::Failed(fault) => assert_eq!((place, fault.code.as_str()), (1, "bad_batch")),
            Ending::Drawn(_) => assert_ne!(place, 1),
            other => panic!("{other:?}"),
        }
    }
}
