//! `likeness`: the command line of the fleet. `up` and `demo` run a whole fleet in this process; the other commands
//! are clients of one, but for `generate --model DIR`, `parity DIR` and `bench`, which work on a model alone.
//!
//! stdout is data, stderr is talk; exit codes are documented in `docs/cli.md`.

mod arguments;
mod commands;
mod contact_sheet;
mod exit;
mod logging;
mod measure;
mod output;
mod parity;
mod pocket;
mod progress;
mod views;
mod whole_file;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::arguments::Arguments;
use crate::exit::Exit;

/// Tensors of megabytes come and go with every layer. The system's allocator gives each back to the kernel, which
/// clears the pages anew for the next one; this one keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let started = Instant::now();
    let arguments = Arguments::parse();
    let voice = output::Voice::new(arguments.global.output, arguments.global.quiet);
    if let Err(error) = logging::start(arguments.global.quiet, arguments.global.verbose) {
        voice.error(error);
        return Exit::Usage.into();
    }
    match commands::run(arguments, started) {
        Ok(exit) => exit.into(),
        Err(error) if exit::is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            voice.error(exit::sentence(&error));
            exit::exit_of(&error).into()
        }
    }
}
