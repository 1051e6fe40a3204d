//! `likeness bank`: the names that a model can draw, for operators. `build` draws portraits of names and keeps those that show one face
//! of their own, `show` says which and why, `match` says which is most like a person.

mod at_fleet;
mod build;
mod drawing;
mod here;
mod matching;
pub(crate) mod names;
mod reading;
mod references;
mod show;

use clap::Subcommand;

use crate::arguments::Global;
use crate::exit::Exit;
use crate::output::Voice;

/// Subcommands of `bank`.
#[derive(Debug, Subcommand)]
pub(crate) enum BankCommand {
    /// Draw portraits of names and keep those that the model knows; goes on where an earlier run ended.
    Build(Box<build::BuildArguments>),
    /// List the names of a bank, and why others were not kept.
    Show(show::ShowArguments),
    /// Say which names are most like the person in these photos.
    Match(matching::MatchArguments),
}

/// Runs `bank`.
pub(crate) fn run(command: &BankCommand, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    match command {
        BankCommand::Build(options) => build::run(options, global, voice),
        BankCommand::Show(options) => show::run(options, voice),
        BankCommand::Match(options) => matching::run(options, voice),
    }
}
