//! `likeness experiment`: the paper's experiment at a fleet, with any people, prompts, starts and parameterisations.
//!
//! [`plan`] is all that decides the outcome, [`results`] what came of it so far, [`report`] how that is shown. [`run`] goes from the one
//! to the other with [`at_fleet`] (tasks) and [`looking`] (scores).

mod arguments;
mod at_fleet;
mod cell;
mod keepsakes;
mod looking;
mod people;
mod plan;
mod report;
mod results;
mod run;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use burn::tensor::Device;
use likeness_shared::client::Client;
use likeness_worker::score::{Evaluate, Evaluator};

pub(crate) use arguments::ExperimentArguments;

use crate::arguments::Global;
use crate::commands::interrupt::interrupted;
use crate::commands::photos;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use at_fleet::Fleet;
use looking::Looked;
use people::Person;
use plan::ScoredBy;
use results::Results;
use run::Run;

pub(crate) async fn run(
    options: &ExperimentArguments,
    global: &Global,
    voice: Voice,
) -> anyhow::Result<Exit> {
    let faces = options.networks.faces()?;
    faces.validate()?;
    let people = people::read(&options.people, options.held_out as usize)?;
    let evaluator = Evaluator::open(&faces, &Device::flex())?;
    let plan = Arc::new(options.plan(&people, scored_by(&evaluator))?);
    let out = options.out.as_path();
    std::fs::create_dir_all(out).with_context(|| format!("cannot create the folder {}", out.display()))?;
    let results = Results::open(out, &plan)?;
    warn_of_networks(&evaluator, voice);
    let looked = tokio::task::block_in_place(|| Looked::at(evaluator, &people, &plan, voice))?;
    keepsakes::keep_photos(out, &people)?;
    let failed = if plan.units().len() > results.units().len() {
        let client = Client::connect(&global.server).await?;
        upload(&client, &people, voice).await?;
        let course = (results.id().to_owned(), options.sampler);
        let fleet = Fleet::new(client.clone(), global, plan.clone(), course, voice);
        let mut run = Run { out, plan: plan.clone(), looked, results, voice };
        let ended = tokio::select! {
            ended = run.all(&fleet, &client, options.at_once as usize) => ended,
            () = interrupted() => {
                let message = "interrupted; the same command goes on from here";
                Err(CliError::new(Exit::Interrupted, message).into())
            }
        };
        if ended.is_err() {
            fleet.cancel_all().await;
        }
        tell(out, &plan, &run.results, voice)?;
        ended?
    } else {
        tell(out, &plan, &results, voice)?;
        Vec::new()
    };
    match run::complaint(&failed, plan.units().len()) {
        Some(complaint) => Err(complaint),
        None => Ok(Exit::Ok),
    }
}

/// Writes the report and says where it is.
fn tell(out: &Path, plan: &plan::Plan, results: &Results, voice: Voice) -> anyhow::Result<()> {
    let written = tokio::task::block_in_place(|| report::write(out, plan, results.units()))?;
    let shown: Vec<String> = written.paths().iter().map(|path| path.display().to_string()).collect();
    let (done, all) = (results.units().len(), plan.units().len());
    voice.lines(&serde_json::json!({ "made": done, "of": all, "files": shown }), &shown)?;
    Ok(())
}

async fn upload(client: &Client, people: &[Person], voice: Voice) -> anyhow::Result<()> {
    for person in people {
        photos::upload(client, &person.photos, voice)
            .await
            .with_context(|| format!("uploading the photos of {}", person.name))?;
    }
    Ok(())
}

/// Scores are worth less where the network that chooses names is the one that judges, and the score of the paper needs CLIP.
fn warn_of_networks(evaluator: &Evaluator, voice: Voice) {
    let networks = evaluator.networks();
    if networks.judged_by_chooser {
        voice.warn(
            "the recogniser judges what it has chosen itself; name a second network of another training as faces.judge",
        );
    }
    if networks.clip.is_none() {
        voice.warn(
            "faces.clip is not configured: there is likeness in the report, and neither clip nor the score",
        );
    }
}

fn scored_by(evaluator: &Evaluator) -> ScoredBy {
    let networks = evaluator.networks();
    ScoredBy {
        detector: networks.detector.clone(),
        judge: networks.judge.clone(),
        clip: networks.clip.clone().unwrap_or_default(),
    }
}
