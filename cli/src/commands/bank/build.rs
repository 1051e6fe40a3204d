//! `likeness bank build`: portraits of every name, their faces into a log beside the output, and at the end the bank.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::tokenizer::PromptTokenizer;
use likeness_faces::FaceReader;
use likeness_faces::bank::{NamePortraits, NetworksUsed, PortraitLog, Recipe, Rules, judge};
use tokio::task::JoinSet;

use super::at_fleet::{Fetched, Fleet};
use super::drawing::DrawingArguments;
use super::here::Here;
use super::{names, reading, references};
use crate::arguments::{Global, number, whole_number};
use crate::commands::face_networks::NetworkArguments;
use crate::commands::interrupt::interrupted;
use crate::commands::models::{self, CacheArguments};
use crate::commands::wait_for;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::progress::{Meter, Standing};
use crate::whole_file;

const HELP: &str = "\
The faces of all portraits are kept in BANK.portraits, beside the bank. The same command goes on where an earlier one ended, and
draws nothing twice: with more names, reference photos or another --same-person it only draws what is missing and judges anew.
With another model, networks or portraits it refuses.

Examples:
  likeness bank build --names names.txt --out bank.json --config worker.toml
  likeness bank build --names names.txt --out bank.json --model DIR --detector yunet.onnx --recogniser sface.onnx";

/// Options of `bank build`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct BuildArguments {
    /// A text file with one name a line.
    #[arg(long, value_name = "FILE")]
    names: PathBuf,
    /// The bank to write.
    #[arg(long, value_name = "BANK")]
    out: PathBuf,
    /// A folder with a folder of photos for each name: only names whose portraits are like their photos are kept.
    #[arg(long, value_name = "DIR")]
    references: Option<PathBuf>,
    #[command(flatten)]
    networks: NetworkArguments,
    /// How alike two portraits of a name have to be, on average: the cosine that 95 % of pairs of photos of one person reach, which
    /// depends on the recogniser [default: same_person of the configuration].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| number(text, "a number above 0 and below 1", |cosine| cosine > 0.0 && cosine < 1.0), value_name = "COSINE")]
    same_person: Option<f64>,
    #[command(flatten)]
    drawing: DrawingArguments,

    /// Draw here, without a server, with the model in this folder (diffusers layout), or with owner/name@revision of a model hub.
    #[arg(long, value_name = "DIR|OWNER/NAME", help_heading = "Without a server")]
    model: Option<String>,
    #[command(flatten)]
    cache: CacheArguments,

    /// Name of the base model [default: the fleet's].
    #[arg(long, conflicts_with = "model", value_name = "NAME", help_heading = "Through a server")]
    fleet_model: Option<String>,
    /// The folder of the same model here, or its tokenizer's: then the bank has the names' tokens in it too.
    #[arg(long, conflicts_with = "model", value_name = "DIR", help_heading = "Through a server")]
    tokenizer: Option<PathBuf>,
    /// Names that are drawn at a time.
    #[arg(long, conflicts_with = "model", allow_hyphen_values = true, default_value_t = 8, value_parser = |text: &str| whole_number(text, 1, 256), value_name = "N", help_heading = "Through a server")]
    at_once: u32,
}

pub(crate) fn run(options: &BuildArguments, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    whole_file::check_target(&options.out)?;
    let names = names::read(&options.names)?;
    let faces = options.networks.faces()?;
    faces.validate()?;
    let configured = faces.recogniser.as_ref().map(|recogniser| recogniser.same_person);
    let same_person = options
        .same_person
        .map(|cosine: f64| cosine as f32)
        .or(configured)
        .context("no recogniser is given")?;
    let reader = faces.reader()?;
    let references = options.references.as_deref();
    let references = references.map(|folder| references::read(folder, &names, &reader, voice)).transpose()?;
    let (recipe, portraits) = match &options.model {
        Some(model) => draw_here(options, model, &names, &reader, voice)?,
        None => wait_for(draw_at_fleet(options, global, &names, &reader, voice))?,
    };
    let rules = Rules { face_rate: Rules::FACE_RATE, same_person };
    let bank = judge(recipe, rules, portraits, references.as_ref());
    whole_file::write(&options.out, &bank.to_bytes()?)?;
    let (kept, all) = (bank.names.len(), names.len());
    let shown = options.out.display();
    if kept == 0 {
        let message = format!(
            "{shown} is written, and none of {all} names was kept: `likeness bank show {shown}` says why"
        );
        return Err(CliError::new(Exit::Failed, message).into());
    }
    voice.say(format_args!(
        "{shown}: {kept} of {all} names were kept; `likeness bank show {shown}` lists them"
    ));
    voice.lines(
        &serde_json::json!({ "bank": options.out, "kept": kept, "names": all }),
        &[shown.to_string()],
    )?;
    Ok(Exit::Ok)
}

/// The log beside the output.
fn log_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".portraits");
    out.with_file_name(name)
}

/// The names that are still to be drawn, the portraits of those asked for that are there, and what is told of it.
struct Course<'a> {
    log: PortraitLog,
    recipe: Recipe,
    portraits: Vec<NamePortraits>,
    left: Vec<&'a str>,
    total: usize,
    began: Instant,
    before: usize,
    meter: Meter,
}

impl<'a> Course<'a> {
    fn begin(
        options: &BuildArguments,
        recipe: Recipe,
        names: &'a [String],
        voice: Voice,
    ) -> anyhow::Result<Self> {
        let (log, written) = PortraitLog::open(&log_path(&options.out), &recipe)?;
        let is_wanted = |name: &NamePortraits| names.contains(&name.name);
        let portraits: Vec<NamePortraits> = written.portraits.into_iter().filter(is_wanted).collect();
        let is_left = |name: &&str| !portraits.iter().any(|drawn| drawn.name == **name);
        let left: Vec<&str> = names.iter().map(String::as_str).filter(is_left).collect();
        let recipe = log.recipe().cloned().unwrap_or(recipe);
        let before = names.len() - left.len();
        if before > 0 {
            voice.say(format_args!("{before} of {} names have been drawn before", names.len()));
        }
        let meter = Meter::new(voice, "names");
        let mut course =
            Self { log, recipe, portraits, left, total: names.len(), began: Instant::now(), before, meter };
        course.show();
        Ok(course)
    }

    fn add(
        &mut self,
        name: String,
        token_ids: Vec<u32>,
        drawn: Vec<RgbPicture>,
        reader: &FaceReader,
    ) -> anyhow::Result<()> {
        let faces = reading::portraits(reader, drawn)
            .with_context(|| format!("reading the portraits of {name:?}"))?;
        let portraits = NamePortraits { name, token_ids, faces };
        self.log.append(&self.recipe, &portraits)?;
        self.portraits.push(portraits);
        self.show();
        Ok(())
    }

    fn show(&mut self) {
        let done = self.portraits.len();
        let since = done - self.before.min(done);
        let left =
            self.began.elapsed().as_secs_f64() / since.max(1) as f64 * self.total.saturating_sub(done) as f64;
        let remark = match since {
            0 => String::new(),
            _ => format!(
                "{} left",
                humantime::format_duration(Duration::from_secs(left.min(1e9).ceil() as u64))
            ),
        };
        let (step, total) = (done as u64, self.total as u64);
        self.meter.show(Standing { phase: "draw".into(), step, total, rate: 0.0, remark });
    }

    /// The portraits in the order of the names, whichever came first.
    fn end(mut self, names: &[String]) -> (Recipe, Vec<NamePortraits>) {
        self.portraits.sort_by_key(|drawn| names.iter().position(|name| *name == drawn.name));
        self.meter.finish(format_args!("{} drawn", self.portraits.len()));
        (self.recipe, self.portraits)
    }
}

fn draw_here(
    options: &BuildArguments,
    model: &str,
    names: &[String],
    reader: &FaceReader,
    voice: Voice,
) -> anyhow::Result<(Recipe, Vec<NamePortraits>)> {
    let folder = wait_for(models::bring_here(model, &options.cache, voice))?;
    let here = Here::load(&folder, voice)?;
    let recipe = options.drawing.recipe(here.digest.clone(), NetworksUsed::of(reader));
    let mut course = Course::begin(options, recipe, names, voice)?;
    for name in std::mem::take(&mut course.left) {
        let token_ids = here.token_ids(name)?;
        let drawn = here.draw(&course.recipe, options.drawing.sampler, name)?;
        course.add(name.to_owned(), token_ids, drawn, reader)?;
    }
    Ok(course.end(names))
}

async fn draw_at_fleet(
    options: &BuildArguments,
    global: &Global,
    names: &[String],
    reader: &FaceReader,
    voice: Voice,
) -> anyhow::Result<(Recipe, Vec<NamePortraits>)> {
    let tokenizer = options.tokenizer.as_deref().map(tokenizer).transpose()?;
    let recipe = options.drawing.recipe(String::new(), NetworksUsed::of(reader));
    let mut course = Course::begin(options, recipe, names, voice)?;
    if course.left.is_empty() {
        return Ok(course.end(names));
    }
    let model = options.fleet_model.as_deref();
    let fleet = Fleet::connect(global, model, options.drawing.sampler, voice).await?;
    let ended = tokio::select! {
        ended = draw_all(&fleet, &mut course, options.at_once as usize, tokenizer.as_ref(), reader) => ended,
        () = interrupted() => {
            let message = "interrupted; the same command goes on from here";
            Err(CliError::new(Exit::Interrupted, message).into())
        }
    };
    if ended.is_err() {
        fleet.cancel_all().await;
    }
    ended?;
    Ok(course.end(names))
}

async fn draw_all(
    fleet: &Fleet,
    course: &mut Course<'_>,
    at_once: usize,
    tokenizer: Option<&PromptTokenizer>,
    reader: &FaceReader,
) -> anyhow::Result<()> {
    let mut left = std::mem::take(&mut course.left).into_iter();
    let mut under_way: JoinSet<anyhow::Result<(String, Fetched)>> = JoinSet::new();
    loop {
        for name in left.by_ref().take(at_once.saturating_sub(under_way.len())) {
            let (fleet, recipe, name) = (fleet.clone(), course.recipe.clone(), name.to_owned());
            under_way.spawn(async move { Ok((name.clone(), fleet.draw(recipe, name).await?)) });
        }
        let Some(ended) = under_way.join_next().await else { return Ok(()) };
        let (name, fetched) = ended.context("a drawing came to no end")??;
        check_model(&mut course.recipe, &fetched.model_digest)?;
        let token_ids = tokenizer.map_or(Ok(Vec::new()), |tokenizer| tokenizer.token_ids(&name))?;
        tokio::task::block_in_place(|| course.add(name, token_ids, fetched.pictures, reader))?;
    }
}

/// The first picture says which model draws; all others have to come of the same.
fn check_model(recipe: &mut Recipe, found: &str) -> anyhow::Result<()> {
    if recipe.model_digest.is_empty() {
        recipe.model_digest = found.to_owned();
    }
    let known = &recipe.model_digest;
    if known == found {
        return Ok(());
    }
    let message = format!(
        "the portraits so far were drawn by another model ({known}) than the fleet's ({found}): name that with --fleet-model, \
         or build with another --out"
    );
    Err(CliError::new(Exit::Failed, message).into())
}

/// The tokenizer of a model folder, or that in a folder of its own.
fn tokenizer(folder: &Path) -> anyhow::Result<PromptTokenizer> {
    let inside = folder.join("tokenizer");
    let folder = if inside.is_dir() { inside.as_path() } else { folder };
    PromptTokenizer::open(folder).with_context(|| format!("cannot use the tokenizer in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_lies_beside_the_bank() {
        assert_eq!(log_path(Path::new("a/bank.json")), Path::new("a/bank.json.portraits"));
        assert_eq!(log_path(Path::new("bank")), Path::new("bank.portraits"));
    }
}
