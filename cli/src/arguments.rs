//! The command line: global options and the tree of commands. Options of a command stand beside its code.

use clap::{Args, Parser, Subcommand};
use likeness_shared::limits::MAX_GUIDANCE_SCALE;

use crate::commands::{
    bank, bench, completions, demo, devices, experiment, generate, invert, people, photos, queue, task, up,
    worker,
};
use crate::output::Format;
use crate::parity;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; the message says what and where
  2    the command line makes no sense
  3    the server cannot be reached
  4    no such task, person, worker or artifact
  5    the task failed, expired or was cancelled
  130  interrupted

Examples:
  likeness demo
  likeness up
  likeness invert --name ann --consent photos/*.jpg
  likeness generate --person ann --prompt \"a photo of sks on a beach\" --out ann.png
  likeness people export ann --format a1111 --out ann.pt";

/// Photos of a person in, new pictures of that person out.
#[derive(Debug, Parser)]
#[command(name = "likeness", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The coordinator to talk to; several of one fleet, separated by commas: the next one is asked where one is away.
    #[arg(
        long,
        global = true,
        env = "LIKENESS_SERVER",
        default_value = "http://127.0.0.1:7878",
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) server: String,
    /// Whose collection: the tenant.
    #[arg(
        long,
        global = true,
        env = "LIKENESS_TENANT",
        default_value = "local",
        value_name = "TENANT",
        help_heading = "Global options"
    )]
    pub(crate) tenant: String,
    /// Whose collection: the user within the tenant.
    #[arg(
        long,
        global = true,
        env = "LIKENESS_USER",
        default_value = "me",
        value_name = "USER",
        help_heading = "Global options"
    )]
    pub(crate) user: String,
    /// The form of data on stdout.
    #[arg(
        short = 'o',
        long = "output",
        global = true,
        value_enum,
        default_value_t = Format::Table,
        value_name = "FORM",
        help_heading = "Global options"
    )]
    pub(crate) output: Format,
    /// No talk on stderr but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// More of the log on stderr: -v what happens, -vv details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole fleet in this process: coordinator, worker, store and the pocket model.
    Up(up::UpArguments),
    /// See it work: learn one of the shipped people and draw new pictures.
    Demo(demo::DemoArguments),
    /// Learn a person from photos.
    Invert(Box<invert::InvertArguments>),
    /// Draw pictures from a prompt: on the server, or with --model DIR right here.
    Generate(Box<generate::GenerateArguments>),
    /// The people who have been learned.
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// Photos of a person, before they are learned from.
    #[command(subcommand)]
    Photos(photos::PhotosCommand),
    /// The names that a model can draw, for operators: built once a model, matched against people.
    #[command(subcommand)]
    Bank(bank::BankCommand),
    /// Learn many people from many starts by many methods, score their pictures, and make a table of it.
    Experiment(Box<experiment::ExperimentArguments>),
    /// Work that was asked for.
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// The machines that work.
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    /// Show who waits, with which share of the GPU time.
    Queue(queue::QueueArguments),
    /// List what this machine and this build can compute on, and what stands in the way of its NVIDIA cards.
    Devices(devices::DevicesArguments),
    /// Hold the model against a folder of reference values.
    Parity(parity::ParityArguments),
    /// Measure what a device takes for the work on a model.
    Bench(Box<bench::BenchArguments>),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArguments),
}

/// Parses a whole number within `least..=most`, with a message that says the range also for "-5".
pub(crate) fn whole_number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    text.parse::<i128>()
        .ok()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// Parses a finite number that `fits`; `wanted` describes it.
pub(crate) fn number(text: &str, wanted: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && fits(*number))
        .ok_or_else(|| format!("must be {wanted}"))
}

/// Parses a scale of classifier-free guidance.
pub(crate) fn guidance(text: &str) -> Result<f64, String> {
    let wanted = format!("a number from 1 (off) to {MAX_GUIDANCE_SCALE}");
    number(text, &wanted, |scale| (1.0..=MAX_GUIDANCE_SCALE).contains(&scale))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_task_or_all_that_match_but_not_both() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let task = "01JD3W6F0ZQ4T8X6G2R5K9M1NB";
        for good in [
            format!("likeness task cancel {task} --wait"),
            "likeness task cancel --all --state queued --state held --kind generation".to_owned(),
            format!("likeness task retry {task}"),
            "likeness task retry --all --code device_lost --all-users".to_owned(),
            format!("likeness task hold {task} --reason later"),
            "likeness task ls --state expired --older-than 2h --newer-than 7days".to_owned(),
            "likeness generate --prompt a --out a.png --delay 90s --start-within 5m".to_owned(),
            "likeness worker drain gpu-7 --finish".to_owned(),
        ] {
            assert!(parse(&good).is_ok(), "{good}: {:?}", parse(&good).err());
        }
        for bad in [
            "likeness task cancel".to_owned(),
            format!("likeness task cancel {task} --all"),
            format!("likeness task cancel {task} --state queued"),
            "likeness task cancel --all --wait".to_owned(),
            format!("likeness task retry {task} --code device_lost"),
            "likeness task ls --older-than soon".to_owned(),
            "likeness generate --model DIR --prompt a --out a.png --delay 90s".to_owned(),
        ] {
            assert!(parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_told_the_range() {
        assert_eq!(whole_number("7", 1, 10), Ok(7));
        for bad in ["-5", "0", "11", "7.5", "many", ""] {
            assert_eq!(
                whole_number(bad, 1, 10),
                Err("must be a whole number from 1 to 10".to_owned()),
                "{bad}"
            );
        }
        assert!(number("nan", "a number", |_| true).is_err());
    }
}
