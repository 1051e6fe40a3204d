//! A random campaign: one fault after another against real processes under a steady load, and at its end a proof that
//! nothing was lost, doubled or left in disorder.
//!
//! The seed decides which faults come, to whom and for how long. When exactly a fault meets which task it does not
//! decide: that is up to the machine, and a failure is to be looked for with its seed more than once.

mod arena;
mod faults;
mod load;
mod verdict;

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use arena::Arena;
use load::Load;

pub use faults::{Fault, Victim, Way};

use crate::measure::note;

/// For the first task to succeed after a fault is over, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(30);

/// How many faults, and which.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything that is drawn by lot.
    pub seed: u64,
    /// How many faults there are.
    pub faults: usize,
}

impl Plan {
    /// As `LIKENESS_FAULT_SEED` and `LIKENESS_FAULTS` say; a short campaign where they say nothing.
    ///
    /// # Panics
    /// Where they are no numbers.
    #[must_use]
    pub fn from_environment() -> Self {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")),
            Err(_) => default,
        };
        let faults = usize::try_from(number("LIKENESS_FAULTS", 25)).expect("a number of faults");
        Self { seed: number("LIKENESS_FAULT_SEED", 1), faults }
    }
}

/// What a fault did to the fleet.
#[derive(Debug, Clone, Copy)]
pub struct Recovery {
    /// Which fault.
    pub fault: Fault,
    /// From its end to the next task that succeeded.
    pub first: Duration,
    /// From its end until every task that was open when it came had ended.
    pub all: Duration,
}

/// Runs a campaign to its end.
///
/// # Panics
/// Where the fleet does not recover from a fault, or the end is not as it must be; with seed and fault.
pub fn run(plan: Plan) -> Vec<Recovery> {
    let mut lots = StdRng::seed_from_u64(plan.seed);
    let mut arena = Arena::start();
    let load = Load::start(&arena.servers(), plan.seed);
    load.await_success(Instant::now(), RECOVERY).expect("a task succeeds before anything is broken");
    let mut recoveries = Vec::with_capacity(plan.faults);
    for number in 1..=plan.faults {
        let fault = Fault::draw(&mut lots);
        let met = load.open();
        arena.inflict(fault);
        let over = Instant::now();
        let late = |what: &str| -> Duration {
            panic!("seed {}: {what} {RECOVERY:?} after fault {number}, {fault:?}", plan.seed)
        };
        let first = load.await_success(over, RECOVERY).unwrap_or_else(|| late("no task has succeeded"));
        let all = load
            .await_ends(&met, over, RECOVERY)
            .unwrap_or_else(|open| late(&format!("{open:?} have not ended")));
        note(&format!("campaign: {}", fault.name()), RECOVERY, all);
        recoveries.push(Recovery { fault, first, all });
        if number % 100 == 0 {
            println!("campaign: {number} of {} faults, {} tasks succeeded", plan.faults, load.succeeded());
        }
    }
    verdict::give(plan, arena, load);
    recoveries
}

/// The `part`-th percentile of recovery times; zero where there are none.
#[must_use]
pub fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    let place = (times.len() * part).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}

/// Prints how long the fleet took to recover, by kind of fault and over all.
pub fn print(recoveries: &[Recovery]) {
    let mut names: Vec<&str> = recoveries.iter().map(|recovery| recovery.fault.name()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().chain(["all"]) {
        let of_kind = recoveries.iter().filter(|recovery| name == "all" || recovery.fault.name() == name);
        let (mut first, mut all): (Vec<Duration>, Vec<Duration>) =
            of_kind.map(|recovery| (recovery.first, recovery.all)).unzip();
        println!(
            "campaign: {name}: {} times; next success p50 {:.2?}, p99 {:.2?}; all that it met ended p50 {:.2?}, \
             p99 {:.2?}",
            first.len(),
            percentile(&mut first, 50),
            percentile(&mut first, 99),
            percentile(&mut all, 50),
            percentile(&mut all, 99),
        );
    }
}
