//! `likeness generate`: a prompt to pictures. This file has the options and the way through a server;
//! `local_generation` draws with a model folder here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use likeness_diffusion::samplers::SamplerKind;
use likeness_shared::client::Client;
use likeness_shared::ids::{Digest, RequestId};
use likeness_shared::limits::{
    DEFAULT_GUIDANCE_SCALE, DEFAULT_SAMPLER_STEPS, DEFAULT_STRENGTH, MAX_ARTIFACT_BYTES, MAX_PICTURE_SIDE,
    MAX_PICTURES, MAX_SAMPLER_STEPS, MIN_PICTURE_SIDE, steps_made,
};
use likeness_shared::proto::{
    GenerationSpec, InitImage, PersonBinding, Picture, Sampler, SubmitGenerationRequest, Task, Timing, task,
};
use serde::Serialize;

use crate::arguments::{Global, guidance, number, whole_number};
use crate::commands::models::CacheArguments;
use crate::commands::photos::{self, PhotoFile};
use crate::commands::{invert, people, timing, watch};
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::views::TaskView;
use crate::whole_file;

const EXAMPLES: &str = "\
Examples:
  likeness generate --person ann --prompt \"a photo of sks on a beach\" --out ann.png
  likeness generate --person ann --person bob=zwx --prompt \"a photo of sks and zwx\" --pictures 4 --out pictures
  likeness generate --model stabilityai/stable-diffusion-2-1-base --prompt \"a lighthouse\" --seed 7 --out lighthouse.png
  likeness generate --person ann --prompt \"sks, oil painting\" --init-image ann.png --strength 0.6 --out painting.png
  likeness generate --model DIR --embedding ann.safetensors --embedding-token sks --prompt \"a photo of sks\" --out a.png";

/// Options of `generate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArguments {
    /// What to draw.
    #[arg(long)]
    pub(super) prompt: String,
    /// What to stay away from.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "PROMPT")]
    pub(super) negative_prompt: String,
    /// Where to write: a PNG file, or (through a server) a folder. Several pictures get their seeds into their names.
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// Seed of the first picture; the next ones count on from it.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// How many pictures.
    #[arg(long, allow_hyphen_values = true, default_value_t = 1, value_parser = |text: &str| whole_number(text, 1, MAX_PICTURES), value_name = "N")]
    pub(super) pictures: u32,
    /// The way from noise to picture: ddim, pndm, euler or dpmpp.
    #[arg(long, default_value_t = SamplerKind::Ddim)]
    pub(super) sampler: SamplerKind,
    /// Steps of the sampler, 1 to 1000.
    #[arg(long, allow_hyphen_values = true, default_value_t = DEFAULT_SAMPLER_STEPS, value_parser = |text: &str| whole_number(text, 1, MAX_SAMPLER_STEPS), value_name = "N")]
    pub(super) steps: u32,
    /// How strongly the prompt rules (classifier-free guidance); 1 = off.
    #[arg(long, allow_hyphen_values = true, default_value_t = DEFAULT_GUIDANCE_SCALE, value_parser = guidance, value_name = "SCALE")]
    pub(super) guidance: f64,
    /// Width in pixels [default: the model's own].
    #[arg(long, allow_hyphen_values = true, value_parser = side, value_name = "PIXELS")]
    pub(super) width: Option<u32>,
    /// Height in pixels [default: the model's own].
    #[arg(long, allow_hyphen_values = true, value_parser = side, value_name = "PIXELS")]
    pub(super) height: Option<u32>,

    /// A JPEG, PNG or WebP picture to draw over (image to image); its centre is brought to the size drawn.
    #[arg(long, value_name = "FILE")]
    pub(super) init_image: Option<PathBuf>,
    /// How much of the init image is given up, above 0 and at most 1: so much of the steps is made.
    #[arg(long, allow_hyphen_values = true, requires = "init_image", default_value_t = DEFAULT_STRENGTH, value_parser = strength, value_name = "STRENGTH")]
    pub(super) strength: f64,

    /// Draw here, without a server, with the model in this folder (diffusers layout), or with owner/name@revision of a model hub.
    #[arg(long, value_name = "DIR|OWNER/NAME", help_heading = "Without a server")]
    pub(super) model: Option<String>,
    #[command(flatten)]
    pub(super) cache: CacheArguments,
    /// A learned-person file: diffusers, kohya or A1111; may be repeated.
    #[arg(long = "embedding", requires = "model", value_name = "FILE", help_heading = "Without a server")]
    pub(super) embeddings: Vec<PathBuf>,
    /// The text that stands for the embedding in the prompt, in the order of --embedding [default: the file's own].
    #[arg(
        long = "embedding-token",
        alias = "token",
        requires = "embeddings",
        value_name = "TEXT",
        help_heading = "Without a server"
    )]
    pub(super) embedding_tokens: Vec<String>,

    /// A learned person, by name or id; NAME=TEXT where another text than the person's own stands in the prompt.
    #[arg(
        long = "person",
        conflicts_with = "model",
        value_name = "NAME[=TEXT]",
        help_heading = "Through a server"
    )]
    people: Vec<String>,
    /// Name of the base model [default: the fleet's].
    #[arg(long, conflicts_with = "model", value_name = "NAME", help_heading = "Through a server")]
    fleet_model: Option<String>,
    /// Start it only after so long, such as 90s, 15m, 2h or 7days; at most 30 days.
    #[arg(long, conflicts_with = "model", value_parser = timing::span, value_name = "SPAN", help_heading = "Through a server")]
    delay: Option<Duration>,
    /// Give it up unless it has started within so long (from the submit on).
    #[arg(long, conflicts_with = "model", value_parser = timing::span, value_name = "SPAN", help_heading = "Through a server")]
    start_within: Option<Duration>,
    /// Print the task's id and leave.
    #[arg(long, conflicts_with = "model", help_heading = "Through a server")]
    no_wait: bool,
}

fn strength(text: &str) -> Result<f64, String> {
    number(text, "a number above 0 and at most 1", |strength| strength > 0.0 && strength <= 1.0)
}

fn side(text: &str) -> Result<u32, String> {
    whole_number(text, MIN_PICTURE_SIDE, MAX_PICTURE_SIDE)
}

/// What `generate` prints.
#[derive(Debug, Serialize)]
struct Drawn {
    paths: Vec<PathBuf>,
    task: TaskView,
}

impl GenerateArguments {
    /// Whether a model is named, so that no server is needed.
    pub(crate) fn is_local(&self) -> bool {
        self.model.is_some()
    }

    /// The init image's file, where there is one, read as photos are.
    pub(super) fn init_file(&self) -> anyhow::Result<Option<PhotoFile>> {
        let Some(path) = &self.init_image else { return Ok(None) };
        if steps_made(self.steps, self.strength) == 0 {
            let (strength, steps) = (self.strength, self.steps);
            let message =
                format!("--strength {strength} of --steps {steps} is not one whole step: raise one of them");
            return Err(CliError::new(Exit::Usage, message).into());
        }
        Ok(photos::read(std::slice::from_ref(path))?.pop())
    }
}

pub(crate) async fn run(options: &GenerateArguments, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    let targets = targets(&options.out, options.seed, options.pictures)?;
    let file = options.init_file()?;
    let client = Client::connect(&global.server).await?;
    let people = bindings(&options.people, &client, global).await?;
    let digest = photos::upload(&client, file.as_slice(), voice).await?.pop();
    let spec = options.spec(people, digest);
    let timing = timing::timing(options.delay, options.start_within);
    let task = submit(&client, global, spec, timing).await?;
    if options.no_wait {
        print(&[], &task, voice)?;
        return Ok(Exit::Ok);
    }
    let task =
        watch::until_interrupted(&client, invert::task_id(&task)?, "pictures", (&[], None), voice).await?;
    let exit = watch::outcome(&task, voice)?;
    for (picture, path) in pictures_of(&task).iter().zip(&targets) {
        whole_file::write(path, &download(&client, &picture.artifact_digest).await?)?;
    }
    print(&targets, &task, voice)?;
    Ok(exit)
}

/// Sends a generation; repeating the call makes a new task.
pub(crate) async fn submit(
    client: &Client,
    global: &Global,
    spec: GenerationSpec,
    timing: Option<Timing>,
) -> anyhow::Result<Task> {
    let request = SubmitGenerationRequest {
        request_id: RequestId::generate().to_string(),
        tenant: global.tenant.clone(),
        user: global.user.clone(),
        spec: Some(spec),
        timing,
    };
    client.submit_generation(request).await?.task.context("the server's answer holds no task")
}

/// The pictures of a task that has drawn some.
pub(crate) fn pictures_of(task: &Task) -> &[Picture] {
    match &task.outcome {
        Some(task::Outcome::GenerationResult(result)) => &result.pictures,
        _ => &[],
    }
}

/// The PNG file of this digest.
pub(crate) async fn download(client: &Client, digest: &str) -> anyhow::Result<Vec<u8>> {
    let digest: Digest = digest.parse().context("the server's answer holds no digest")?;
    let artifact = client.artifacts().download(digest, MAX_ARTIFACT_BYTES).await?;
    Ok(artifact.bytes.to_vec())
}

async fn bindings(people: &[String], client: &Client, global: &Global) -> anyhow::Result<Vec<PersonBinding>> {
    let mut bindings = Vec::new();
    for given in people {
        let (name, placeholder) = given.split_once('=').unwrap_or((given, ""));
        let person = people::find(client, global, name).await?;
        bindings.push(PersonBinding { placeholder: placeholder.to_owned(), person_id: person.id });
    }
    Ok(bindings)
}

impl GenerateArguments {
    fn spec(&self, people: Vec<PersonBinding>, init_digest: Option<String>) -> GenerationSpec {
        GenerationSpec {
            model: self.fleet_model.clone().unwrap_or_default(),
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            people,
            seed: self.seed,
            pictures: Some(self.pictures),
            sampler: sampler(self.sampler).into(),
            steps: Some(self.steps),
            guidance_scale: Some(self.guidance),
            width: self.width,
            height: self.height,
            init_image: init_digest
                .map(|artifact_digest| InitImage { artifact_digest, strength: Some(self.strength) }),
        }
    }
}

/// The protocol's word for a sampler.
pub(crate) fn sampler(kind: SamplerKind) -> Sampler {
    match kind {
        SamplerKind::Ddim => Sampler::Ddim,
        SamplerKind::Pndm => Sampler::Pndm,
        SamplerKind::Euler => Sampler::Euler,
        SamplerKind::DpmPp => Sampler::Dpmpp,
    }
}

/// Where the pictures go. A name ending in `.png` is a file; anything else is a folder, created where it is missing.
fn targets(out: &Path, seed: u64, pictures: u32) -> anyhow::Result<Vec<PathBuf>> {
    let is_file = out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    if is_file {
        return file_targets(out, seed, pictures);
    }
    if !out.is_dir() {
        std::fs::create_dir(out).with_context(|| format!("cannot create the folder {}", out.display()))?;
    }
    Ok(seeds(seed, pictures).map(|seed| out.join(format!("likeness-{seed}.png"))).collect())
}

/// One file a picture, checked for being writable as far as that can be told: `a.png`, or `a-SEED.png` of several.
pub(super) fn file_targets(out: &Path, seed: u64, pictures: u32) -> anyhow::Result<Vec<PathBuf>> {
    whole_file::check_target(out)?;
    if pictures == 1 {
        return Ok(vec![out.to_path_buf()]);
    }
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let ending = out.extension().unwrap_or("png".as_ref()).to_string_lossy();
    Ok(seeds(seed, pictures).map(|seed| out.with_file_name(format!("{stem}-{seed}.{ending}"))).collect())
}

/// Picture i is drawn from `seed + i`.
pub(super) fn seeds(seed: u64, pictures: u32) -> impl Iterator<Item = u64> {
    (0..u64::from(pictures)).map(move |index| seed.wrapping_add(index))
}

fn print(paths: &[PathBuf], task: &Task, voice: Voice) -> anyhow::Result<()> {
    let drawn = Drawn { paths: paths.to_vec(), task: TaskView::from(task) };
    let lines: Vec<String> = match paths {
        [] => vec![task.id.clone()],
        paths => paths.iter().map(|path| path.display().to_string()).collect(),
    };
    voice.lines(&drawn, &lines)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_pictures_get_their_seeds_into_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let names = |out: &Path, pictures| -> Vec<String> {
            targets(out, 7, pictures)
                .unwrap()
                .iter()
                .map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string())
                .collect()
        };
        assert_eq!(names(&folder.path().join("a.png"), 1), ["a.png"]);
        assert_eq!(names(&folder.path().join("a.png"), 2), ["a-7.png", "a-8.png"]);
        assert_eq!(names(&folder.path().join("new"), 1), ["new/likeness-7.png"]);
        assert!(folder.path().join("new").is_dir());
        assert!(targets(&folder.path().join("no/such"), 7, 1).is_err());
    }
}
