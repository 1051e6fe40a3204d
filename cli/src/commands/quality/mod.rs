//! The quality report of an inversion: asked for on the command line, and kept as files when it is there.

mod files;
mod page;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use likeness_shared::client::Client;
use likeness_shared::proto::{InversionResult, QualityReport, QualityRequest, Task, task};

use crate::arguments::whole_number;
use crate::commands::lines;
use crate::commands::photos::PhotoFile;
use crate::output::Voice;
use crate::whole_file;

/// Options of `invert` that ask for a report.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quality report")]
pub(crate) struct QualityArguments {
    /// Draw pictures of the person when it is learned, score them, and report.
    #[arg(long)]
    quality: bool,
    /// What to draw: a text file with a prompt a line, the placeholder in each [default: four neutral ones].
    #[arg(long, requires = "quality", value_name = "FILE")]
    quality_prompts: Option<PathBuf>,
    /// Pictures of each prompt, 1 to 8 [default: 2].
    #[arg(long, requires = "quality", allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 8), value_name = "N")]
    quality_pictures: Option<u32>,
    /// Sampler steps of each picture, 1 to 1000 [default: 20].
    #[arg(long, requires = "quality", allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 1000), value_name = "N")]
    quality_steps: Option<u32>,
    /// Photos that are not learned from, only held against the pictures: the last ones; three at least are learned from [default: 0].
    #[arg(long, requires = "quality", allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 0, 61), value_name = "N")]
    held_out: Option<u32>,
    /// Keep the report in this folder: report.html, report.json and the pictures.
    #[arg(long, requires = "quality", conflicts_with = "no_wait", value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write photos and pictures of each prompt side by side.
    #[arg(long, requires = "quality", conflicts_with = "no_wait", value_name = "OUT.png")]
    contact_sheet: Option<PathBuf>,
}

impl QualityArguments {
    /// What is asked for, once it is sure that the outcome can be written where it is wanted.
    pub(crate) fn request(&self) -> anyhow::Result<Option<QualityRequest>> {
        if !self.quality {
            return Ok(None);
        }
        if let Some(sheet) = &self.contact_sheet {
            whole_file::check_target(sheet)?;
        }
        if let Some(folder) = &self.report {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        Ok(Some(QualityRequest {
            prompts: self.prompts()?,
            pictures: self.quality_pictures,
            sampler_steps: self.quality_steps,
            guidance_scale: None,
            held_out: self.held_out,
        }))
    }

    fn prompts(&self) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.quality_prompts else { return Ok(Vec::new()) };
        lines::read(path, "prompt")
    }

    /// Keeps the report of a finished task as files, where they are wanted, and says why there is none.
    pub(crate) async fn keep(
        &self,
        client: &Client,
        task: &Task,
        photos: &[PhotoFile],
        voice: Voice,
    ) -> anyhow::Result<()> {
        let Some(task::Outcome::InversionResult(result)) = &task.outcome else { return Ok(()) };
        let Some(report) = report_of(self.quality, result, voice) else { return Ok(()) };
        if self.report.is_none() && self.contact_sheet.is_none() {
            return Ok(());
        }
        let pictures = files::download(client, report).await?;
        if let Some(folder) = &self.report {
            files::keep(report, &pictures, folder)?;
            voice.say(format_args!("report: {}", folder.join(files::PAGE).display()));
        }
        if let Some(sheet) = &self.contact_sheet {
            files::write_sheet(photos, &pictures, sheet)?;
            voice.say(format_args!("contact sheet: {}", sheet.display()));
        }
        Ok(())
    }
}

/// The report, or a word on why there is none although there should be.
fn report_of(asked: bool, result: &InversionResult, voice: Voice) -> Option<&QualityReport> {
    match (&result.quality, &result.quality_absent) {
        (Some(report), _) => return Some(report.as_ref()),
        (None, Some(absence)) => {
            voice.warn(format_args!("there is no quality report: {} ({})", absence.message, absence.code));
        }
        (None, None) if asked => {
            voice.warn("there is no quality report: the worker does not know of them; update it");
        }
        (None, None) => {}
    }
    None
}
