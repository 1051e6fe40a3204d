//! A fleet in virtual time: arrivals, workers, failures and costs are drawn from one seed, and the scheduler that they
//! meet is the real one (`store::fair`: the tree of shares, caps, classes, estimates and their corrections).
//!
//! Nothing sleeps and nothing runs beside anything else: a heap of events is all. The same settings give the same
//! report, to the last digit.
//!
//! Not simulated: the network, the store and its races, batches of several tasks on one device.

mod agenda;
mod catalogue;
mod dice;
mod fairness;
mod fleet;
mod flood;
mod histogram;
mod life;
mod population;
mod report;
mod shares;
mod task;
#[cfg(test)]
mod tests;

use catalogue::Catalogue;
use dice::Dice;
use fleet::Fleet;
use life::Life;
use population::{Population, Source, Tide};

pub use fairness::Measured;
pub use report::{DayReport, FloodReport, Report, Wait};

/// Microseconds of an hour.
const HOUR_US: f64 = 3600e6;

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scenario {
    /// Many users of several tenants, by day and night, on workers of several kinds that fail now and then.
    #[default]
    Day,
    /// One user submits 10,000 tasks at once, and 200 users one each.
    Flood,
}

/// How large, for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What is played.
    pub scenario: Scenario,
    /// Workers, each with room for one task.
    pub workers: usize,
    /// Users of the day.
    pub users: usize,
    /// Tasks of the day, on average.
    pub tasks_per_day: u64,
    /// How many hours of the day.
    pub hours: f64,
    /// The average demand, as a share of what the fleet could do. At the busiest hour it is 1.4 times as much.
    pub load: f64,
    /// Of everything that is drawn by chance.
    pub seed: u64,
}

/// Why nothing can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot simulate with {option}: {problem}")]
pub struct SettingsError {
    /// Name of the setting.
    pub option: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Settings {
    /// Checks that there is something to play.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let problems = [
            ("workers", self.workers == 0, "there must be at least one"),
            ("users", self.users == 0, "there must be at least one"),
            ("tasks-per-day", self.tasks_per_day == 0, "there must be at least one"),
            ("hours", !positive(self.hours) || self.hours > 1000.0, "must be more than 0 and at most 1000"),
            ("load", !positive(self.load) || self.load > 10.0, "must be more than 0 and at most 10"),
        ];
        let problem = problems.into_iter().find(|(_, wrong, _)| *wrong);
        problem.map_or(Ok(()), |(option, _, problem)| Err(SettingsError { option, problem }))
    }
}

/// Plays the scenario to its end.
pub fn simulate(settings: &Settings) -> Result<Report, SettingsError> {
    settings.validate()?;
    Ok(match settings.scenario {
        Scenario::Day => Report::Day(day(settings)),
        Scenario::Flood => Report::Flood(flood::flood(settings.workers, settings.seed)),
    })
}

fn day(settings: &Settings) -> DayReport {
    let fleet = Fleet::mixed(settings.workers);
    let mut catalogue = Catalogue::mixed(fleet.devices.len());
    let offered = settings.tasks_per_day as f64 * catalogue.mean_us() / (24.0 * HOUR_US);
    catalogue.stretch(settings.load * fleet.speed() / offered);
    let population = Population::varied(settings.users, &catalogue, &mut Dice::new(settings.seed, 0));
    let source = Source::Tide(Tide::new(settings.tasks_per_day, settings.users, &catalogue));
    let mut life = Life::new(catalogue, population, fleet, source, settings.seed).with_failures();
    life.run((settings.hours * HOUR_US) as u64);
    DayReport::of(&life)
}
