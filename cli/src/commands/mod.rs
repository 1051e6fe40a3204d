//! One file a command. Each says what it needs on the command line and does it.

pub(crate) mod bank;
pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod experiment;
mod face_networks;
pub(crate) mod fleet;
pub(crate) mod generate;
pub(crate) mod interrupt;
pub(crate) mod invert;
mod lines;
pub(crate) mod local_generation;
pub(crate) mod models;
pub(crate) mod people;
pub(crate) mod person_files;
pub(crate) mod photos;
mod previews;
mod quality;
pub(crate) mod queue;
pub(crate) mod refinements;
pub(crate) mod task;
pub(crate) mod timing;
mod under_way;
pub(crate) mod up;
pub(crate) mod watch;
pub(crate) mod worker;

use std::time::Instant;

use anyhow::Context;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;
use crate::output::Voice;
use crate::parity;

/// Runs the command that was asked for. `started` is when the program did.
pub(crate) fn run(arguments: Arguments, started: Instant) -> anyhow::Result<Exit> {
    let global = &arguments.global;
    let voice = Voice::new(global.output, global.quiet);
    match arguments.command {
        Command::Completions(options) => completions::run(&options),
        Command::Devices(_) => devices::run(voice),
        Command::Photos(command) => wait_for(photos::run(&command, global, voice)),
        Command::Bank(command) => bank::run(&command, global, voice),
        Command::Experiment(options) => wait_for(experiment::run(&options, global, voice)),
        Command::Parity(options) => parity::run(&options, voice),
        Command::Bench(options) => bench::run(&options, started, voice),
        Command::Generate(options) if options.is_local() => local_generation::run(&options, voice),
        Command::Up(options) => wait_for(up::run(&options, voice)),
        Command::Demo(options) => wait_for(demo::run(&options, voice)),
        Command::Invert(options) => wait_for(invert::run(&options, global, voice)),
        Command::Generate(options) => wait_for(generate::run(&options, global, voice)),
        Command::People(command) => wait_for(people::run(&command, global, voice)),
        Command::Task(command) => wait_for(task::run(&command, global, voice)),
        Command::Worker(command) => wait_for(worker::run(&command, global, voice)),
        Command::Queue(options) => wait_for(queue::run(&options, global, voice)),
    }
}

fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}
