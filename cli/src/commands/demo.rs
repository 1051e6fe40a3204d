//! `likeness demo`: the whole way, from photos of somebody whom no network has seen to new pictures, on a scratch
//! fleet, with a measure of how near they come.

mod course;
mod report;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use likeness_faces::config::FacesConfig;
use likeness_shared::client::Client;

use crate::arguments::whole_number;
use crate::commands::fleet::{Fleet, FleetOptions};
use crate::commands::interrupt::interrupted;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::pocket;
use course::Course;

const EXAMPLES: &str = "\
Examples:
  likeness demo
  likeness demo --person person-03 --out pictures

Everything it runs on is thrown away at the end; the pictures, the learned-person file and a contact sheet stay.";

/// Options of `demo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArguments {
    /// Folder for the pictures; created where it is missing.
    #[arg(long, default_value = "likeness-demo", value_name = "DIR")]
    out: PathBuf,
    /// Which of the shipped people to learn.
    #[arg(long, default_value = "person-12", value_name = "NAME")]
    person: String,
    /// Training iterations, 1 to 10000.
    #[arg(long, allow_hyphen_values = true, default_value_t = 150, value_parser = |text: &str| whole_number(text, 1, 10_000), value_name = "N")]
    steps: u32,
}

pub(crate) async fn run(options: &DemoArguments, voice: Voice) -> anyhow::Result<Exit> {
    let people = pocket::people();
    let Some(photos) = people.get(options.person.as_str()) else {
        let names: Vec<&str> = people.keys().copied().collect();
        let message =
            format!("there is no shipped person {:?}; choose one of {}", options.person, names.join(", "));
        return Err(CliError::new(Exit::Usage, message).into());
    };
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot create the folder {}", options.out.display()))?;
    let scratch = tempfile::Builder::new()
        .prefix("likeness-demo-")
        .tempdir()
        .context("cannot create a scratch folder")?;
    let mut fleet = Fleet::start(FleetOptions {
        data: scratch.path().to_path_buf(),
        listen: ([127, 0, 0, 1], 0).into(),
        models: Vec::new(),
        slots: 1,
        faces: FacesConfig::default(),
    })
    .await?;
    let client = Client::connect(&fleet.address().to_string()).await?;
    let course =
        Course { client: &client, out: &options.out, person: &options.person, steps: options.steps, voice };
    let done = tokio::select! {
        done = course.run(photos) => done,
        error = fleet.failed() => Err(error),
        () = interrupted() => Err(CliError::new(Exit::Interrupted, "interrupted").into()),
    };
    fleet.shut_down().await;
    let pictures = done?;
    report::write(&pictures, &options.person, photos, &options.out, voice)?;
    Ok(Exit::Ok)
}
