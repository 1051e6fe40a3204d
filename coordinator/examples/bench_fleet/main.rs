//! Measures the fleet as it is used: a real redis-server and the real coordinator, each a process of its own, and
//! workers and clients in this one that speak the real protocol over loopback. Their devices do nothing.
//!
//! `just bench-fleet` builds and runs it. The table goes to standard output, progress to standard error; `--json FILE`
//! writes the figures for programs. A target that is missed is said to be, and changes no exit code: the figures are
//! of this machine at this hour. With `BENCH_FLEET_COMMANDS` set, what Redis says of its commands follows each
//! measurement.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the program's output")]

mod bullmq;
mod cancelling;
mod claims;
mod figures;
mod flood;
mod latency;
mod processes;
mod sessions;
mod submits;
mod throughput;
mod watchers;
mod worker;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use figures::Figures;

#[derive(Debug, Parser)]
#[command(about = "Measures the fleet on a Redis of its own")]
struct Arguments {
    /// The coordinator's program.
    #[arg(long, default_value = "target/release/likeness-coordinator")]
    coordinator: PathBuf,
    /// Measures only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Tasks of a throughput measurement.
    #[arg(long, default_value_t = 20_000)]
    tasks: usize,
    /// Repeats each throughput measurement and gives the median.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Writes the figures as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

const ALL: [&str; 8] =
    ["latency", "cancelling", "throughput", "bullmq", "claims", "sessions", "watchers", "flood"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(unknown) = arguments.only.iter().find(|name| !ALL.contains(&name.as_str())) {
        bail!("{unknown:?} is not measured here: choose from {}", ALL.join(", "));
    }
    if !arguments.coordinator.exists() {
        let missing = arguments.coordinator.display();
        bail!("{missing} is not there: cargo build --release -p likeness-coordinator");
    }
    let program = &arguments.coordinator;
    let mut figures = Figures::default();
    for name in ALL {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("{name} ...");
        let measured = match name {
            "latency" => latency::measure(program, &mut figures).await,
            "cancelling" => cancelling::measure(program, &mut figures).await,
            "throughput" => {
                throughput::measure(program, arguments.tasks, arguments.repeats, &mut figures).await
            }
            "bullmq" => bullmq::measure(arguments.tasks, arguments.repeats, &mut figures).await,
            "claims" => claims::measure(&mut figures).await,
            "sessions" => sessions::measure(program, &mut figures).await,
            "watchers" => watchers::measure(program, &mut figures).await,
            _ => flood::measure(program, &mut figures).await,
        };
        measured.with_context(|| format!("measuring {name}"))?;
    }
    print!("{figures}");
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
