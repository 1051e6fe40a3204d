//! One unit at a fleet: an inversion, then its pictures.
//!
//! Request ids follow from the experiment and the unit, so a unit that was under way when the experiment was killed is taken up where
//! the fleet has it by then, and nothing is done twice.

use std::sync::Arc;

use anyhow::{Context, bail};
use likeness_diffusion::samplers::SamplerKind;
use likeness_shared::client::Client;
use likeness_shared::ids::Digest;
use likeness_shared::proto::{
    GenerationSpec, InversionResult, InversionSpec, PersonBinding, SubmitGenerationRequest,
    SubmitInversionRequest, Task, task,
};
use likeness_shared::watch::is_terminal;

use super::plan::{Plan, UnitKey};
use crate::arguments::Global;
use crate::commands::under_way::UnderWay;
use crate::commands::{generate, invert, watch};
use crate::output::Voice;

/// A unit's tasks are asked for so often, if they end badly.
const ATTEMPTS: u32 = 3;

/// The fleet as an experiment sees it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Fleet {
    client: Client,
    global: Global,
    plan: Arc<Plan>,
    experiment: String,
    sampler: SamplerKind,
    voice: Voice,
    under_way: UnderWay,
}

/// What a task is to do.
#[derive(Clone)]
enum Asked {
    Inversion(Box<InversionSpec>),
    Generation(Box<GenerationSpec>),
}

/// What came of a unit.
pub(super) struct Fetched {
    pub(super) inversion: InversionResult,
    pub(super) inversion_seconds: f64,
    pub(super) drawing_seconds: f64,
    /// PNG files, prompt by prompt in the order of seeds.
    pub(super) pictures: Vec<(usize, Vec<u8>)>,
}

impl Fleet {
    pub(super) fn new(
        client: Client,
        global: &Global,
        plan: Arc<Plan>,
        (experiment, sampler): (String, SamplerKind),
        voice: Voice,
    ) -> Self {
        Self {
            client,
            global: global.clone(),
            plan,
            experiment,
            sampler,
            voice,
            under_way: UnderWay::default(),
        }
    }

    /// Learns the unit's person and has every prompt drawn.
    pub(super) async fn run(&self, key: UnitKey) -> anyhow::Result<Fetched> {
        let learned = self.invert(key).await?;
        let Some(task::Outcome::InversionResult(inversion)) = learned.outcome.clone() else {
            bail!("task {} ended without a person", learned.id)
        };
        let mut drawing_seconds = 0.0;
        let mut pictures = Vec::new();
        let drawn = self.draw_all(key, &inversion.person_id).await?;
        for (prompt, task) in drawn.iter().enumerate() {
            drawing_seconds += device_seconds(task);
            for picture in generate::pictures_of(task) {
                pictures.push((prompt, generate::download(&self.client, &picture.artifact_digest).await?));
            }
        }
        Ok(Fetched { inversion, inversion_seconds: device_seconds(&learned), drawing_seconds, pictures })
    }

    /// Forgets the person of a unit that has been scored.
    pub(super) async fn forget(&self, person: &str) {
        let Ok(id) = person.parse() else { return };
        if let Err(error) = self.client.delete_person(id).await {
            self.voice.warn(format_args!("person {person} could not be forgotten: {error}"));
        }
    }

    /// Cancels what is in flight, as far as that can be done.
    pub(super) async fn cancel_all(&self) {
        self.under_way.cancel_all(&self.client, self.voice).await;
    }

    async fn invert(&self, key: UnitKey) -> anyhow::Result<Task> {
        let name = format!("{} {key}", self.experiment);
        self.until_done(&name, Asked::Inversion(Box::new(self.inversion(key)?))).await
    }

    /// Every prompt, all asked for at once.
    async fn draw_all(&self, key: UnitKey, person: &str) -> anyhow::Result<Vec<Task>> {
        let drawings = (0..self.plan.prompts.len()).map(|prompt| self.draw(key, prompt, person));
        futures::future::try_join_all(drawings).await
    }

    async fn draw(&self, key: UnitKey, prompt: usize, person: &str) -> anyhow::Result<Task> {
        let plan = &self.plan;
        let spec = GenerationSpec {
            model: plan.model.clone(),
            prompt: plan.prompts.get(prompt).cloned().unwrap_or_default(),
            people: vec![PersonBinding { placeholder: String::new(), person_id: person.to_owned() }],
            seed: Plan::first_seed(key, prompt),
            pictures: Some(plan.pictures),
            sampler: generate::sampler(self.sampler).into(),
            steps: Some(plan.sampler_steps),
            guidance_scale: Some(plan.guidance),
            ..GenerationSpec::default()
        };
        let name = format!("{} {key} prompt {prompt} of {person}", self.experiment);
        self.until_done(&name, Asked::Generation(Box::new(spec))).await
    }

    fn inversion(&self, key: UnitKey) -> anyhow::Result<InversionSpec> {
        let plan = &self.plan;
        let (cell, person) = (plan.cells.get(key.cell), plan.people.get(key.person));
        let (cell, person) = cell.zip(person).context("a unit of no cell")?;
        let tail = self.experiment.get(self.experiment.len().saturating_sub(10)..).unwrap_or_default();
        Ok(InversionSpec {
            model: plan.model.clone(),
            photo_digests: person.photos.clone(),
            person_name: format!("x{tail}-{}-{}-{}", key.cell, key.person, key.seed),
            placeholder: plan.placeholder.clone(),
            start: Some(cell.start(key.person, key.seed)),
            parameterisation: Some(cell.parameterisation()),
            steps: Some(cell.steps),
            batch_size: plan.batch,
            learning_rate: cell.learning_rate(),
            seed: u64::from(key.seed),
            consent: Some(invert::consent(invert::CONSENT_VERSION)),
            ..InversionSpec::default()
        })
    }

    /// The task of this name, done. One that ended badly is asked for anew a few times: an earlier run may have cancelled it.
    async fn until_done(&self, name: &str, asked: Asked) -> anyhow::Result<Task> {
        let mut attempt = 0;
        loop {
            let request_id = Digest::of(format!("{name} {attempt}").as_bytes()).to_string();
            let task = self.submit(request_id, &asked).await?.context("the server's answer holds no task")?;
            let was_over = is_terminal(task.state());
            let id = invert::task_id(&task)?;
            let task = self.under_way.follow(&self.client, id).await?;
            match watch::outcome(&task, self.voice) {
                Ok(_) => return Ok(task),
                // the failure of an earlier run may have been an accident; a second one right now is none
                Err(_) if was_over && attempt + 1 < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn submit(&self, request_id: String, asked: &Asked) -> anyhow::Result<Option<Task>> {
        let (tenant, user) = (self.global.tenant.clone(), self.global.user.clone());
        Ok(match asked.clone() {
            Asked::Inversion(spec) => {
                let request =
                    SubmitInversionRequest { request_id, tenant, user, spec: Some(*spec), timing: None };
                self.client.submit_inversion(request).await?.task
            }
            Asked::Generation(spec) => {
                let request =
                    SubmitGenerationRequest { request_id, tenant, user, spec: Some(*spec), timing: None };
                self.client.submit_generation(request).await?.task
            }
        })
    }
}

fn device_seconds(task: &Task) -> f64 {
    task.device_time.as_ref().map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
}
