//! `likeness-coordinator simulate`: the report on standard output, how fast it went on standard error.

use std::io::Write;
use std::time::Instant;

use clap::{Args, ValueEnum};
use likeness_coordinator::simulator::{Report, Scenario, Settings, simulate};

/// Workers of a day.
const DAY_WORKERS: usize = 1000;
/// Workers of a flood.
const FLOOD_WORKERS: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What is played: a day of many users, or one user's flood of 10,000 tasks among 200 users with one each.
    #[arg(long, value_enum, default_value_t)]
    scenario: Play,
    /// Workers [default: 1000, in a flood 20].
    #[arg(long)]
    workers: Option<usize>,
    /// Users of the day.
    #[arg(long, default_value_t = 100_000)]
    users: usize,
    /// Tasks of the day.
    #[arg(long, default_value_t = 10_000_000)]
    tasks_per_day: u64,
    /// Hours of the day that are played.
    #[arg(long, default_value_t = 24.0)]
    hours: f64,
    /// Demand of the day as a share of what the workers could do; the busiest hour has 1.4 times as much.
    #[arg(long, default_value_t = 0.8)]
    load: f64,
    /// The same seed gives the same report.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the report is written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Play {
    #[default]
    Day,
    Flood,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// Plays and reports.
pub(crate) fn run(arguments: &Arguments) -> Result<(), (u8, String)> {
    let (scenario, usual_workers) = match arguments.scenario {
        Play::Day => (Scenario::Day, DAY_WORKERS),
        Play::Flood => (Scenario::Flood, FLOOD_WORKERS),
    };
    let settings = Settings {
        scenario,
        workers: arguments.workers.unwrap_or(usual_workers),
        users: arguments.users,
        tasks_per_day: arguments.tasks_per_day,
        hours: arguments.hours,
        load: arguments.load,
        seed: arguments.seed,
    };
    let began = Instant::now();
    let report = simulate(&settings).map_err(|error| (2, error.to_string()))?;
    let seconds = began.elapsed().as_secs_f64();
    let text = match arguments.output {
        Output::Text => report.to_string(),
        Output::Json => serde_json::to_string_pretty(&report).map_err(|error| (1, error.to_string()))? + "\n",
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| (1, format!("cannot write the report: {error}")))?;
    if let Report::Day(day) = &report {
        let speed = day.succeeded as f64 / seconds;
        crate::complain(&format!("{} tasks simulated in {seconds:.1} s, {speed:.0}/s", day.succeeded));
    }
    Ok(())
}
