//! `likeness bench`: what a device takes for the work of this program, measured on the code that does it.
//!
//! Every figure is of product code: the passes of the engine over a loaded model, without queue and network around them.
//! [`figures`] has a file for each kind of work, [`timing`] the clock, [`gauge`] the memory, [`report`] the form that it is told in.

mod figures;
mod gauge;
mod kernel_classes;
mod model_choice;
mod profile;
mod report;
mod session;
mod subject;
mod timing;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::FloatDType;
use clap::{Args, ValueEnum};
use likeness_diffusion::parameters::ParameterCounts;
use likeness_worker::device::kernel_cache;
use likeness_worker::{DeviceChoice, hardware};
use serde::Serialize;

use crate::arguments::whole_number;
use crate::commands::timing::span;
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::whole_file;
use gauge::Gauge;
use model_choice::ModelChoice;
use report::{Report, Row};
use session::Session;
use subject::Subject;
use timing::{Timing, guarded};

const EXAMPLES: &str = "\
What is measured (--only takes these names):
  load     the weights, onto the device
  cold     from the program's start to the end of the first training step, and of the first sampler step; and the
           second of each, which finds its kernels compiled and tuned
  text     the text encoder, forward, so many prompts
  train    a training step of so many rows: text encoder and UNet forward and backward, Adam
  users    a training step of each of 8 users: in one pass, and one after another
  sample   a guided sampler step of so many pictures
  encode   so many photos through the VAE
  decode   so many pictures through the VAE
  picture  so many whole pictures: prompt, all steps, VAE

Exit codes: 0 all measured, or out of memory where the rows say so; 1 something failed; 2 the command line makes no sense.

Examples:
  likeness bench --model synthetic:sd21-base --device cuda:0 --json h100.json
  likeness bench --model synthetic:sd21-base --only train,sample --batches 1,8 --repeats 50 --profile kernels.json
  likeness bench --model stable-diffusion-2-1-base --only picture --batches 1 --steps 50
  likeness bench --model synthetic:tiny --device cpu --batches 1,2 --repeats 3 -o json";

/// Options of `bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArguments {
    /// A model folder in the diffusers layout, or synthetic:NAME: random weights of the sizes of sd21-base (Stable Diffusion
    /// 2.1-base), sd15 (1.5) or tiny, for which no file is needed.
    #[arg(long, value_name = "DIR|synthetic:NAME")]
    model: ModelChoice,
    /// Where to compute: auto, cpu or cuda:0.
    #[arg(long, default_value_t = DeviceChoice::Auto, value_name = "DEVICE")]
    device: DeviceChoice,
    /// Float type of the model [default: the device's, bf16 on a card and f32 on the CPU].
    #[arg(long, value_enum, value_name = "TYPE")]
    dtype: Option<Dtype>,
    /// Numbers of rows, prompts, photos or pictures at once; from the first that memory does not hold, larger ones are left out.
    #[arg(long, value_delimiter = ',', default_value = "1,4,8,16,32", value_parser = batch, value_name = "N,N,...")]
    batches: Vec<usize>,
    /// Measure only these.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT,WHAT,...")]
    only: Vec<Part>,
    /// How often each figure is measured, after a warm-up.
    #[arg(long, default_value_t = 20, value_parser = |text: &str| whole_number(text, 1, 500), value_name = "N")]
    repeats: u32,
    /// No figure is repeated for longer than this, but three times anyhow (or --repeats, if fewer).
    #[arg(long, default_value = "30s", value_parser = span, value_name = "SPAN")]
    at_most: Duration,
    /// Width and height of pictures [default: the model's own].
    #[arg(long, value_parser = size, value_name = "WxH")]
    size: Option<(u32, u32)>,
    /// Sampler steps of a whole picture.
    #[arg(long, default_value_t = 50, value_parser = |text: &str| whole_number(text, 1, 1000), value_name = "N")]
    steps: u32,
    /// Rows of each user's training step.
    #[arg(long, value_delimiter = ',', default_value = "1", value_parser = batch, value_name = "N,N,...")]
    rows_each: Vec<usize>,
    /// Also write the report here, after every row anew.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the launches and times of the kernels of a training step and a sampler step (of the first of --batches) here.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Load,
    Cold,
    Text,
    Train,
    Users,
    Sample,
    Encode,
    Decode,
    Picture,
}

/// A float type that models run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Dtype {
    Bf16,
    F32,
}

impl BenchArguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// Measures, prints and writes. `started` is when the program did.
pub(crate) fn run(options: &BenchArguments, started: Instant, voice: Voice) -> anyhow::Result<Exit> {
    for path in options.json.iter().chain(&options.profile) {
        whole_file::check_target(path)?;
    }
    let opened = options.model.open()?;
    let parameters = ParameterCounts::of(opened.folder())?;
    let unusable = "the device cannot be used";
    kernel_cache::prepare(options.device, kernel_cache::folder(None).as_deref()).context(unusable)?;
    let (device, native) = options.device.open().context(unusable)?;
    let dtype = match options.dtype {
        Some(Dtype::Bf16) => FloatDType::BF16,
        Some(Dtype::F32) => FloatDType::F32,
        None => native,
    };
    if options.profile.is_some() && profile::has_no_kernels(&device) {
        let message = "--profile counts the kernels that a card is given, and on the CPU there are none to count: \
                       leave it out, or choose --device cuda:0 with a build for cards";
        return Err(CliError::new(Exit::Usage, message).into());
    }
    let facts = report::Facts {
        device: options.device.name().split(' ').next().unwrap_or_default().to_owned(),
        device_name: hardware::name(&device),
        dtype: if dtype == FloatDType::BF16 { Dtype::Bf16 } else { Dtype::F32 },
        model: options.model.to_string(),
        parameters,
    };
    voice.say(format_args!("{facts}"));

    let loading = Instant::now();
    let mut gauge = Gauge::begin(&device);
    let subject = guarded(|| Subject::load(&opened, &device, dtype, options.size))
        .with_context(|| format!("cannot load {}", options.model))?;
    let loaded = Instant::now();
    gauge.look(&device);
    let timing = Timing { repeats: options.repeats, at_most: options.at_most };
    let report = Report::new(facts, subject.size);
    let mut session = Session::new(&subject, report, timing, options.json.as_deref(), voice);
    if options.wants(Part::Load) {
        let row = Row::of_times("load", 1, &[loaded - loading], gauge.peak());
        session.record(row)?;
    }
    figures::measure(&mut session, options, loaded - started)?;
    if let Some(path) = &options.profile {
        profile::write(&session, options, path)?;
    }
    session.finish()
}

fn batch(text: &str) -> Result<usize, String> {
    whole_number(text, 1, 1024).map(|rows| rows as usize)
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let (width, height) = text.split_once('x').ok_or("must be a width and a height, such as 512x512")?;
    Ok((whole_number(width, 1, u32::MAX)?, whole_number(height, 1, u32::MAX)?))
}
