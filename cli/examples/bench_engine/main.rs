//! Measures the engine: users batched against one after another, a generation among inversions, the cost of a turn, and
//! growth over many tasks.
//!
//! `just bench-engine` builds and runs it on the pocket model. The figures go to standard output, progress to standard
//! error. They are of this machine at this hour: ratios within one run say more than times.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the program's output")]

mod batched;
mod driving;
mod growth;
mod latency;
mod tasks;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use tasks::Material;

/// As in the worker itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// Users' inversions batched, against one after another.
    Batched,
    /// A generation of four pictures, alone and while inversions run.
    Latency,
    /// What a turn costs beside the model.
    Turns,
    /// Memory over many tasks.
    Growth,
}

#[derive(Debug, Parser)]
#[command(about = "Measures the engine on a model")]
struct Arguments {
    /// The model's folder.
    #[arg(long, default_value = "models/pocket")]
    model: PathBuf,
    /// People whose photos are learned from: a folder for each.
    #[arg(long, default_value = "models/pocket/people")]
    people: PathBuf,
    /// Measures only these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Iterations of an inversion where users are compared.
    #[arg(long, default_value_t = 20)]
    steps: u32,
    /// Generations whose latency is measured, with and without inversions.
    #[arg(long, default_value_t = 12)]
    repeats: usize,
    /// Tasks over which memory is watched.
    #[arg(long, default_value_t = 2_000)]
    tasks: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let wanted = |measurement| arguments.only.is_empty() || arguments.only.contains(&measurement);
    if wanted(Measurement::Turns) {
        turns::measure();
    }
    let material = Arc::new(Material::load(&arguments.model, &arguments.people)?);
    if wanted(Measurement::Batched) {
        batched::measure(&material, arguments.steps)?;
    }
    if wanted(Measurement::Latency) {
        latency::measure(&material, arguments.repeats)?;
    }
    if wanted(Measurement::Growth) {
        growth::measure(&material, arguments.tasks)?;
    }
    Ok(())
}
