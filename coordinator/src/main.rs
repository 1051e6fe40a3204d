//! Runs a coordinator until it is told to stop, checks a store, or simulates a fleet.
//!
//! Exit codes: 0 after a stop on request, 1 where it failed while running, 2 where it could not start. `check`: 0 where
//! nothing is wrong (any more), 1 where something is, 2 where the store cannot be read.

mod simulate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use likeness_coordinator::{Coordinator, CoordinatorConfig, Running, StoreLocation, check};
use likeness_shared::telemetry;
use tokio::signal::unix::{SignalKind, signal};

/// For open calls to end after a request to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Takes tasks in, keeps them safe, and gives them to workers.
#[derive(Debug, Parser)]
#[command(name = "likeness-coordinator", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// TOML file; variables such as LIKENESS_COORDINATOR__LEASE_TTL override it, and the options here override both.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Folder of the artifacts, and of the task store unless that is in Redis.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Task store: a file, for one coordinator; or for several that also share their artifacts' folder
    /// redis://HOST:PORT/DB (7.0 or newer) or redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB. A password belongs in
    /// LIKENESS_COORDINATOR__STORE or the file, not here.
    #[arg(long, value_name = "FILE|URL", global = true)]
    store: Option<StoreLocation>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the whole store and print what is wrong with it, a line each: WRONG for a record, DIFFERS for an index that
    /// is not as the records say. Give it the coordinators' own configuration: the order of the queue depends on its
    /// caps. Coordinators on a Redis may go on meanwhile; those on a file must be stopped.
    Check {
        /// Rebuild the indexes that differ. Records are never changed.
        #[arg(long)]
        repair: bool,
    },
    /// Play a fleet in virtual time with the real scheduler, and report waits and fairness.
    Simulate(simulate::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match &arguments.command {
        Some(Command::Simulate(arguments)) => simulate::run(arguments),
        Some(Command::Check { .. }) | None => run(arguments).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            complain(&message);
            ExitCode::from(code)
        }
    }
}

#[allow(clippy::print_stderr)] // the log may not be set up
fn complain(message: &str) {
    eprintln!("likeness-coordinator: {message}");
}

async fn run(arguments: Arguments) -> Result<(), (u8, String)> {
    let cannot_start = |error: &dyn std::fmt::Display| (2, error.to_string());
    let mut config =
        CoordinatorConfig::load(arguments.config.as_deref()).map_err(|error| cannot_start(&error))?;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    if let Some(data) = &arguments.data {
        config = config.with_data_folder(data);
    }
    if let Some(store) = arguments.store {
        config.store = store;
    }
    telemetry::init(&config.log).map_err(|error| cannot_start(&error))?;
    if let Some(Command::Check { repair }) = arguments.command {
        return checked(&config, repair).await;
    }
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| cannot_start(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| cannot_start(&error))?;
    let mut running: Running = Coordinator::start(config).await.map_err(|error| cannot_start(&error))?;
    let failure = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        failure = running.failed() => Some(failure),
    };
    running.shutdown(STOP_WITHIN).await;
    failure.map_or(Ok(()), |failure| Err((1, failure)))
}

#[allow(clippy::print_stdout)] // what was found is what was asked for
async fn checked(config: &CoordinatorConfig, repair: bool) -> Result<(), (u8, String)> {
    let found = check(config, repair).await.map_err(|error| (2, error.to_string()))?;
    for (state, count) in &found.tasks {
        println!("{state} {count}");
    }
    println!("PEOPLE {}", found.people);
    for wrong in &found.wrong {
        println!("WRONG {wrong}");
    }
    let indexes = &found.indexes;
    for difference in &indexes.differences {
        println!("DIFFERS {difference}");
    }
    if indexes.repaired {
        println!("REPAIRED {}", indexes.found);
    }
    if !indexes.shares_compared {
        println!("SHARES were not compared: others changed them all the while");
    }
    match found.faults() {
        0 => Ok(()),
        count if repair => Err((1, format!("{count} things are wrong in {}", config.store))),
        count => {
            let advice = "check --repair rebuilds indexes that differ";
            Err((1, format!("{count} things are wrong in {} ({advice})", config.store)))
        }
    }
}
