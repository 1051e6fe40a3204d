//! Runs a coordinator until it is told to stop.
//!
//! Exit codes: 0 after a stop on request, 1 where it failed while running, 2 where it could not start.

mod simulate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use likeness_coordinator::{Coordinator, CoordinatorConfig, Running, StoreLocation};
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
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Folder of the artifacts, and of the task store unless that is in Redis.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Task store: a file, for one coordinator; or redis://HOST:PORT/DB (7.0 or newer), for several that also share
    /// their artifacts' folder. A password belongs in LIKENESS_COORDINATOR__STORE or the file, not here.
    #[arg(long, value_name = "FILE|URL")]
    store: Option<StoreLocation>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays a fleet in virtual time with the real scheduler, and reports waits and fairness.
    Simulate(simulate::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let ended = match arguments.command.take() {
        Some(Command::Simulate(arguments)) => simulate::run(&arguments),
        None => run(arguments).await,
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
