//! `likeness generate --model DIR`: draws on this machine with a model of its own, without any server.

use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::{Device, FloatDType};
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_worker::generation::{GenerationOptions, InitImage, Person, TextToImage};
use serde::Serialize;

use crate::commands::generate::{GenerateArguments, file_targets, seeds};
use crate::commands::{models, person_files, wait_for};
use crate::exit::{CliError, Exit};
use crate::output::Voice;
use crate::progress::{Meter, Standing};
use crate::whole_file;

/// What the command prints.
#[derive(Debug, Serialize)]
struct Drawn {
    paths: Vec<PathBuf>,
    warnings: Vec<String>,
    model_digest: String,
}

pub(crate) fn run(options: &GenerateArguments, voice: Voice) -> anyhow::Result<Exit> {
    let targets = file_targets(&options.out, options.seed, options.pictures)?;
    let persons = persons(options)?;
    let init_image = init_image(options)?;
    let model = options.model.as_deref().unwrap_or(".");
    let folder = wait_for(models::bring_here(model, &options.cache, voice))?;
    let (model, digest) = load(&folder, voice)?;
    let mut warnings = Vec::new();
    for (seed, path) in seeds(options.seed, options.pictures).zip(&targets) {
        let said = draw(
            &model,
            &digest,
            generation(options, persons.clone(), init_image.clone(), seed),
            path,
            voice,
        )?;
        for warning in said {
            if !warnings.contains(&warning) {
                voice.warn(&warning);
                warnings.push(warning);
            }
        }
    }
    let lines: Vec<String> = targets.iter().map(|path| path.display().to_string()).collect();
    voice.lines(&Drawn { paths: targets, warnings, model_digest: digest }, &lines)?;
    Ok(Exit::Ok)
}

/// Opens and loads a model folder on the CPU in f32, and takes its digest.
pub(crate) fn load(folder: &Path, voice: Voice) -> anyhow::Result<(StableDiffusion, String)> {
    let mut meter = Meter::new(voice, "model");
    meter.show(Standing { phase: format!("reading {}", folder.display()), ..Standing::default() });
    let cannot = || format!("cannot load the model in {}", folder.display());
    let opened = ModelFolder::open(folder).with_context(cannot)?;
    let digest = opened.digest().with_context(cannot)?;
    let model = StableDiffusion::load(&opened, &Device::flex(), FloatDType::F32).with_context(cannot)?;
    meter.finish("loaded");
    Ok((model, digest))
}

fn generation(
    options: &GenerateArguments,
    persons: Vec<Person>,
    init_image: Option<InitImage>,
    seed: u64,
) -> GenerationOptions {
    GenerationOptions {
        prompt: options.prompt.clone(),
        negative_prompt: options.negative_prompt.clone(),
        persons,
        seed,
        sampler: options.sampler,
        steps: options.steps,
        guidance_scale: options.guidance,
        width: options.width,
        height: options.height,
        init_image,
    }
}

/// The picture to begin at, decoded.
fn init_image(options: &GenerateArguments) -> anyhow::Result<Option<InitImage>> {
    let (Some(path), Some(file)) = (&options.init_image, options.init_file()?) else { return Ok(None) };
    let image = InitImage::read(&file.bytes, options.strength)
        .with_context(|| format!("cannot begin at {}", path.display()))?;
    Ok(Some(image))
}

/// Draws one picture into a file and returns what the caller should know.
fn draw(
    model: &StableDiffusion,
    digest: &str,
    options: GenerationOptions,
    path: &Path,
    voice: Voice,
) -> anyhow::Result<Vec<String>> {
    let mut meter = Meter::new(voice, format!("seed {}", options.seed));
    let mut picture = TextToImage::new(model, options)?;
    let began = std::time::Instant::now();
    while !picture.is_drawn() {
        let drawn = picture.step()?;
        let rate = drawn.calls as f64 / began.elapsed().as_secs_f64().max(f64::EPSILON);
        meter.show(Standing {
            phase: "sample".into(),
            step: drawn.calls as u64,
            total: drawn.total as u64,
            rate,
            remark: String::new(),
        });
    }
    let warnings = picture.warnings().to_vec();
    let text = picture.metadata(digest);
    let png = picture.finish()?.to_png(&text).context("cannot encode the picture")?;
    whole_file::write(path, &png)?;
    meter.finish(format_args!("drawn in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(warnings)
}

/// The embeddings with their places in the prompt.
fn persons(options: &GenerateArguments) -> anyhow::Result<Vec<Person>> {
    let (files, tokens) = (&options.embeddings, &options.embedding_tokens);
    if tokens.len() > files.len() {
        let message = format!("{} --embedding-token for {} --embedding", tokens.len(), files.len());
        return Err(CliError::new(Exit::Usage, message).into());
    }
    let person = |(index, path): (usize, &PathBuf)| {
        let file = person_files::read(path)?;
        let placeholder = tokens.get(index).cloned().or(file.placeholder).with_context(|| {
            format!(
                "{} does not say what stands for it in a prompt: add --embedding-token TEXT",
                path.display()
            )
        })?;
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Person { placeholder, id, vectors: file.vectors })
    };
    files.iter().enumerate().map(person).collect()
}
