//! The demo's way through the fleet, in order: a first picture soon, the training, then new pictures.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use image::RgbImage;
use likeness_diffusion::samplers::SamplerKind;
use likeness_shared::client::Client;
use likeness_shared::ids::Digest;
use likeness_shared::limits::{DEFAULT_PLACEHOLDER, DEFAULT_START_PHRASE, MAX_ARTIFACT_BYTES};
use likeness_shared::proto::{GenerationSpec, InversionSpec, PersonBinding, QualityRequest, task};

use crate::arguments::Global;
use crate::commands::photos::{self, PhotoFile};
use crate::commands::{generate, invert, watch};
use crate::output::{Format, Voice};
use crate::{views, whole_file};

/// Prompts for the learned person, beside the plain "a photo of sks": places, clothes, styles.
const PROMPTS: [&str; 6] = [
    "a photo of sks wearing a red shirt on a beach",
    "a photo of sks wearing a black suit in a city at night",
    "a photo of sks wearing a yellow hoodie in a forest",
    "a photo of sks wearing a green sweater and a hat in the snow",
    "a pencil sketch of sks",
    "a pop art poster of sks",
];
/// Pictures of the start and of the learned person, from the same seeds; a measure over fewer would be chance.
const COMPARED: u32 = 8;
/// Pictures of every other prompt.
const PICTURES: u32 = 4;
const SAMPLER_STEPS: u32 = 20;
/// Less than usual: stronger guidance drives the pocket model's colours apart.
const GUIDANCE: f64 = 3.0;
const SEED: u64 = 1;

/// What the course needs to know.
pub(super) struct Course<'a> {
    pub(super) client: &'a Client,
    pub(super) out: &'a Path,
    pub(super) person: &'a str,
    pub(super) steps: u32,
    pub(super) voice: Voice,
}

/// What it made. All pictures are in the folder already.
pub(super) struct Pictures {
    pub(super) start: Vec<RgbImage>,
    pub(super) learned: Vec<RgbImage>,
    /// One entry a prompt.
    pub(super) others: Vec<Vec<RgbImage>>,
    pub(super) person_file: PathBuf,
}

impl Course<'_> {
    /// Photos up, the start drawn, the person learned and drawn.
    pub(super) async fn run(&self, jpegs: &[&[u8]]) -> anyhow::Result<Pictures> {
        let began = Instant::now();
        let start_prompt = format!("a photo of {DEFAULT_START_PHRASE}");
        let mut start = self.draw(&start_prompt, "start", SEED, 1, None).await?;
        self.voice.say(format_args!(
            "the first picture, before anything is learned, after {:.1} s: {}",
            began.elapsed().as_secs_f64(),
            self.path("start", SEED).display()
        ));
        start.extend(self.draw(&start_prompt, "start", SEED + 1, COMPARED - 1, None).await?);

        let (person_id, person_file) = self.learn(jpegs).await?;
        let learned = self.draw("a photo of sks", "learned", SEED, COMPARED, Some(&person_id)).await?;
        let mut others = Vec::new();
        for (index, prompt) in PROMPTS.iter().enumerate() {
            others.push(
                self.draw(prompt, &format!("prompt-{}", index + 1), SEED, PICTURES, Some(&person_id)).await?,
            );
        }
        self.voice.say(format_args!("everything took {:.0} s", began.elapsed().as_secs_f64()));
        Ok(Pictures { start, learned, others, person_file })
    }

    /// Learns the person and returns the id and the learned-person file.
    async fn learn(&self, jpegs: &[&[u8]]) -> anyhow::Result<(String, PathBuf)> {
        let files: Vec<PhotoFile> =
            jpegs.iter().map(|jpeg| PhotoFile { bytes: jpeg.to_vec(), media_type: "image/jpeg" }).collect();
        let spec = InversionSpec {
            photo_digests: photos::upload(self.client, &files, self.voice).await?,
            person_name: self.person.to_owned(),
            steps: Some(self.steps),
            // The shipped people are drawn by a program: nobody is shown who could object.
            consent: Some(invert::consent("drawn-people-1")),
            quality: Some(QualityRequest {
                pictures: Some(1),
                guidance_scale: Some(GUIDANCE),
                ..QualityRequest::default()
            }),
            ..InversionSpec::default()
        };
        let task = invert::submit(self.client, &self.global(), spec, None).await?;
        let task =
            watch::with_meter(self.client, invert::task_id(&task)?, "learning", (&[], None), self.voice)
                .await?;
        watch::outcome(&task, self.voice)?;
        for (name, text) in views::quality_of(&task) {
            self.voice.say(format_args!("{name}: {text}"));
        }
        let Some(task::Outcome::InversionResult(result)) = task.outcome else {
            anyhow::bail!("the server's answer holds no learned person");
        };
        let digest: Digest = result.artifact_digest.parse().context("the server's answer holds no digest")?;
        let file = self.client.artifacts().download(digest, MAX_ARTIFACT_BYTES).await?;
        let path = self.out.join(format!("{}.safetensors", self.person));
        whole_file::write(&path, &file.bytes)?;
        Ok((result.person_id, path))
    }

    /// Draws pictures of a prompt into the folder.
    async fn draw(
        &self,
        prompt: &str,
        name: &str,
        seed: u64,
        pictures: u32,
        person_id: Option<&str>,
    ) -> anyhow::Result<Vec<RgbImage>> {
        self.voice.say(format_args!("{name}: {prompt:?}, {pictures} from seed {seed}"));
        let spec = GenerationSpec {
            prompt: prompt.to_owned(),
            people: person_id
                .map(|id| PersonBinding {
                    placeholder: DEFAULT_PLACEHOLDER.to_owned(),
                    person_id: id.to_owned(),
                })
                .into_iter()
                .collect(),
            seed,
            pictures: Some(pictures),
            sampler: generate::sampler(SamplerKind::DpmPp).into(),
            steps: Some(SAMPLER_STEPS),
            guidance_scale: Some(GUIDANCE),
            ..GenerationSpec::default()
        };
        let task = generate::submit(self.client, &self.global(), spec, None).await?;
        let task =
            watch::with_meter(self.client, invert::task_id(&task)?, name, (&[], None), self.voice).await?;
        watch::outcome(&task, self.voice)?;
        let mut drawn = Vec::new();
        for picture in generate::pictures_of(&task) {
            let png = generate::download(self.client, &picture.artifact_digest).await?;
            whole_file::write(&self.path(name, picture.seed), &png)?;
            drawn.push(image::load_from_memory(&png).context("cannot read a drawn picture")?.to_rgb8());
        }
        Ok(drawn)
    }

    fn path(&self, name: &str, seed: u64) -> PathBuf {
        self.out.join(format!("{name}-{seed}.png"))
    }

    fn global(&self) -> Global {
        Global {
            server: self.client.address().to_owned(),
            tenant: "local".to_owned(),
            user: "demo".to_owned(),
            output: Format::Table,
            quiet: self.voice.is_quiet(),
            verbose: 0,
        }
    }
}
