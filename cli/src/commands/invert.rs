//! `likeness invert`: photos up, an inversion submitted and followed, a person learned.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use likeness_shared::client::Client;
use likeness_shared::ids::{Digest, RequestId, TaskId};
use likeness_shared::proto::parameterisation::Kind as ParameterisationKind;
use likeness_shared::proto::start::Kind as StartKind;
use likeness_shared::proto::{
    AutoStart, Consent, FreeParameterisation, IdStart, InversionSpec, L2Mode, LogNormParameterisation,
    Parameterisation, PhraseStart, Rand2Start, SphereParameterisation, Start, SubmitInversionRequest, Task,
    Timing, VectorsStart, task,
};
use serde::Serialize;

use crate::arguments::{Global, number, whole_number};
use crate::commands::previews::Previews;
use crate::commands::quality::QualityArguments;
use crate::commands::refinements::Refinements;
use crate::commands::{person_files, photos, timing, watch};
use crate::exit::Exit;
use crate::output::Voice;
use crate::views::{self, InversionResultView, TaskView};

/// What the caller of `--consent` states. Its digest travels with the task and stays in the record.
pub(crate) const CONSENT_TEXT: &str = "The person shown in these photos has agreed that a model of their face is \
learned from them and that new pictures of them are drawn with it.";
pub(crate) const CONSENT_VERSION: &str = "1";

const EXAMPLES: &str = "\
Examples:
  likeness invert --name ann --consent photos/*.jpg
  likeness invert --name ann --consent --steps 200 --start rand2 --parameterisation none --l2 anchor photos/*.jpg
  likeness invert --name ann --consent --no-wait --delay 2h photos/*.jpg
  likeness invert --name ann --consent --quality --held-out 2 --report ann photos/*.jpg

--consent states: \"The person shown in these photos has agreed that a model of their face is learned from them
and that new pictures of them are drawn with it.\"";

/// Iterations from one preview to the next.
const PREVIEW_EVERY: u32 = 50;

/// Options of `invert`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InvertArguments {
    /// JPEG, PNG or WebP photos of one person; 3 to 64, 6 to 12 advised.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// Name of the person in your collection: letters, digits, '-', '_'.
    #[arg(long)]
    name: String,
    /// State that the person shown has agreed (text below). Nothing is sent without it.
    #[arg(long, required = true)]
    consent: bool,
    /// Version of the consent text, where the platform has its own.
    #[arg(long, default_value = CONSENT_VERSION, value_name = "VERSION")]
    consent_version: String,
    /// Name of the base model; default: the fleet's.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Training iterations, 1 to 10000 [default: 400].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 10_000), value_name = "N")]
    steps: Option<u32>,
    /// Where the vectors begin: "face"; "rand2", two names; "id", the name of the workers' bank that is most like the person; "auto",
    /// the better of "face" and the five names most like the person; or a learned-person file.
    #[arg(long, default_value = "face", value_name = "face|rand2|id|auto|FILE")]
    start: String,
    /// The names that the starts "id" and "auto" may take: of 1 to 4 tokens, or of two, as the paper has it [default: full].
    #[arg(long, value_enum, value_name = "NAMES")]
    id_names: Option<IdNames>,
    /// The phrase of the start "face" [default: human face].
    #[arg(long)]
    phrase: Option<String>,
    /// What is optimised: the vectors themselves, length and direction apart, or the direction alone.
    #[arg(long, value_enum, default_value_t = Method::LogNorm)]
    parameterisation: Method,
    /// Base of log-norm's exponent, over 1 [default: 2.71].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| number(text, "a number over 1", |a| a > 1.0))]
    a: Option<f64>,
    /// Pull of the sphere's prior towards the start's direction, 0 to 1 [default: 0.0001].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| number(text, "a number from 0 to 1", |k| (0.0..=1.0).contains(&k)))]
    kappa: Option<f64>,
    /// How `none` keeps the vectors short [default: decoupled].
    #[arg(long, value_enum)]
    l2: Option<Penalty>,
    /// Adam's learning rate [default: 0.005], or how far a step on the sphere turns a vector [default: 0.01].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| number(text, "a number over 0", |lr| lr > 0.0), value_name = "RATE")]
    lr: Option<f64>,
    /// Photos in one iteration, 1 to 64 [default: 8, or all where there are fewer].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 64), value_name = "N")]
    batch: Option<u32>,
    /// Seed of the training's random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Captions: neutral ones for faces, or the 27 of the original method.
    #[arg(long, value_enum)]
    templates: Option<Templates>,
    /// Do not mirror any photo.
    #[arg(long)]
    no_flip: bool,
    /// The text that stands for the person in prompts [default: sks].
    #[arg(long, value_name = "TEXT")]
    placeholder: Option<String>,
    /// Photos that must be left where a worker drops those that cannot be learned from; as many as there are = none may be dropped
    /// [default: the worker's, 3].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 3, 64), value_name = "N")]
    min_photos: Option<u32>,
    /// Keep pictures of the person as he is known so far in this folder, while it is learned.
    #[arg(long, value_name = "DIR", conflicts_with = "no_wait")]
    previews: Option<PathBuf>,
    /// Iterations from one preview to the next [default: 50, where there is --previews].
    #[arg(long, allow_hyphen_values = true, value_parser = |text: &str| whole_number(text, 1, 10_000), value_name = "N")]
    preview_every: Option<u32>,
    /// Start it only after so long, such as 90s, 15m, 2h or 7days; at most 30 days.
    #[arg(long, value_parser = timing::span, value_name = "SPAN")]
    delay: Option<Duration>,
    /// Give it up unless it has started within so long (from the submit on).
    #[arg(long, value_parser = timing::span, value_name = "SPAN")]
    start_within: Option<Duration>,
    /// Print the task's id and leave.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    quality: QualityArguments,
    #[command(flatten)]
    refinements: Refinements,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    None,
    LogNorm,
    Sphere,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IdNames {
    Full,
    Parity,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Penalty {
    Decoupled,
    Coupled,
    Anchor,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Templates {
    Face,
    Ti27,
}

/// What `invert` prints.
#[derive(Debug, Serialize)]
struct Learned {
    person: Option<String>,
    task: TaskView,
}

pub(crate) async fn run(options: &InvertArguments, global: &Global, voice: Voice) -> anyhow::Result<Exit> {
    options.check()?;
    let files = photos::read(&options.photos)?;
    let quality = options.quality.request()?;
    let previews = options.previews.clone().map(Previews::into_folder).transpose()?;
    let client = Client::connect(&global.server).await?;
    let start = start_of(options, &client).await?;
    let digests = photos::upload(&client, &files, voice).await?;
    let spec = InversionSpec { quality, ..options.spec(start, digests) };
    let timing = timing::timing(options.delay, options.start_within);
    let task = submit(&client, global, spec, timing).await?;
    if options.no_wait {
        print(&task, voice)?;
        return Ok(Exit::Ok);
    }
    let onlookers = (options.photos.as_slice(), previews);
    let task = watch::until_interrupted(&client, task_id(&task)?, &options.name, onlookers, voice).await?;
    let exit = watch::outcome(&task, voice)?;
    print(&task, voice)?;
    options.quality.keep(&client, &task, &files, voice).await?;
    voice.say(format_args!(
        "draw with: likeness generate --person {} --prompt \"a photo of {}\" --out {}.png",
        options.name,
        options.placeholder.as_deref().unwrap_or("sks"),
        options.name,
    ));
    Ok(exit)
}

/// Sends an inversion; repeating the call makes a new task.
pub(crate) async fn submit(
    client: &Client,
    global: &Global,
    spec: InversionSpec,
    timing: Option<Timing>,
) -> anyhow::Result<Task> {
    let request = SubmitInversionRequest {
        request_id: RequestId::generate().to_string(),
        tenant: global.tenant.clone(),
        user: global.user.clone(),
        spec: Some(spec),
        timing,
    };
    let response = client.submit_inversion(request).await?;
    response.task.context("the server's answer holds no task")
}

/// The id of a task as the server gave it.
pub(crate) fn task_id(task: &Task) -> anyhow::Result<TaskId> {
    task.id.parse().context("the server's answer holds no task id")
}

/// The statement of consent that `--consent` makes.
pub(crate) fn consent(version: &str) -> Consent {
    Consent { version: version.to_owned(), statement_sha256: Digest::of(CONSENT_TEXT.as_bytes()).to_string() }
}

impl InvertArguments {
    /// Options that contradict each other.
    fn check(&self) -> anyhow::Result<()> {
        let other_than = |method| self.parameterisation != method;
        usage(self.a.is_some() && other_than(Method::LogNorm), "--a belongs to --parameterisation log-norm")?;
        usage(self.l2.is_some() && other_than(Method::None), "--l2 belongs to --parameterisation none")?;
        usage(
            self.kappa.is_some() && other_than(Method::Sphere),
            "--kappa belongs to --parameterisation sphere",
        )?;
        usage(self.phrase.is_some() && self.start != "face", "--phrase belongs to --start face")?;
        let from_names = ["id", "auto"].contains(&self.start.as_str());
        usage(self.id_names.is_some() && !from_names, "--id-names belongs to --start id or auto")
    }

    fn spec(&self, start: Start, photo_digests: Vec<String>) -> InversionSpec {
        let kind = match self.parameterisation {
            Method::LogNorm => ParameterisationKind::LogNorm(LogNormParameterisation { base: self.a }),
            Method::Sphere => ParameterisationKind::Sphere(SphereParameterisation { kappa: self.kappa }),
            Method::None => ParameterisationKind::None(FreeParameterisation {
                l2_mode: match self.l2 {
                    None => L2Mode::Unspecified,
                    Some(Penalty::Decoupled) => L2Mode::Decoupled,
                    Some(Penalty::Coupled) => L2Mode::Coupled,
                    Some(Penalty::Anchor) => L2Mode::Anchor,
                }
                .into(),
                l2_weight: None,
            }),
        };
        let spec = InversionSpec {
            model: self.model.clone().unwrap_or_default(),
            photo_digests,
            person_name: self.name.clone(),
            placeholder: self.placeholder.clone().unwrap_or_default(),
            start: Some(start),
            parameterisation: Some(Parameterisation { kind: Some(kind) }),
            steps: self.steps,
            batch_size: self.batch,
            learning_rate: self.lr,
            norm_learning_rate: None,
            flip: self.no_flip.then_some(false),
            templates: match self.templates {
                None => String::new(),
                Some(Templates::Face) => "face".to_owned(),
                Some(Templates::Ti27) => "ti27".to_owned(),
            },
            seed: self.seed,
            consent: Some(consent(&self.consent_version)),
            min_photos: self.min_photos,
            preview_every: self.preview_every.or(self.previews.is_some().then_some(PREVIEW_EVERY)),
            ..InversionSpec::default()
        };
        self.refinements.write_into(spec)
    }
}

fn usage(wrong: bool, message: &str) -> anyhow::Result<()> {
    if wrong { Err(crate::exit::CliError::new(Exit::Usage, message).into()) } else { Ok(()) }
}

/// The start as the server wants it; a file is read, checked and uploaded.
async fn start_of(options: &InvertArguments, client: &Client) -> anyhow::Result<Start> {
    let kind = match options.start.as_str() {
        "face" => StartKind::Face(PhraseStart { phrase: options.phrase.clone().unwrap_or_default() }),
        "rand2" => StartKind::Rand2(Rand2Start { seed: None }),
        "id" => StartKind::Id(IdStart { names: names_of(options).to_owned() }),
        "auto" => StartKind::Auto(AutoStart { names: names_of(options).to_owned() }),
        file => {
            let person = person_files::read(file.as_ref())
                .context("--start is neither face, rand2, id, auto nor a file")?;
            let bytes = person_files::to_diffusers(&person)?;
            let digest = client.artifacts().upload(bytes, person_files::MEDIA_TYPE).await?;
            StartKind::Vectors(VectorsStart { artifact_digest: digest.to_string() })
        }
    };
    Ok(Start { kind: Some(kind) })
}

/// Which names a start may take, as the server wants it: empty for its default.
fn names_of(options: &InvertArguments) -> &'static str {
    match options.id_names {
        None => "",
        Some(IdNames::Full) => "full",
        Some(IdNames::Parity) => "parity",
    }
}

fn photos_used(result: Option<&InversionResultView>) -> String {
    result.and_then(|result| result.photos_used).map_or_else(String::new, |photos| photos.to_string())
}

fn print(task: &Task, voice: Voice) -> anyhow::Result<()> {
    let person = match &task.outcome {
        Some(task::Outcome::InversionResult(result)) => Some(result.person_id.clone()),
        _ => None,
    };
    let learned = Learned { person: person.clone(), task: TaskView::from(task) };
    let result = learned.task.inversion_result.as_ref();
    let mut facts = vec![
        ("task", task.id.clone()),
        ("state", learned.task.state.clone()),
        ("person", learned.task.subject.clone()),
        ("person id", person.unwrap_or_default()),
        ("photos", photos_used(result)),
        ("final loss", result.map_or_else(String::new, |result| format!("{:.4}", result.final_loss))),
        ("norm ratio", result.map_or_else(String::new, |result| format!("{:.3}", result.norm_ratio))),
    ];
    facts.extend(views::quality_of(task));
    voice.facts(&learned, &facts)?;
    Ok(())
}
