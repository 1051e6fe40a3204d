//! `likeness completions SHELL`.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  likeness completions bash > ~/.local/share/bash-completion/completions/likeness
  likeness completions zsh > ~/.zfunc/_likeness
  likeness completions fish > ~/.config/fish/completions/likeness.fish";

/// Options of `completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArguments {
    /// The shell to complete for.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(options: &CompletionsArguments) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "likeness", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}
