//! Portraits drawn by a fleet: an ordinary generation a name, several of them in flight.

use std::collections::BTreeSet;

use anyhow::Context;
use likeness_diffusion::picture::RgbPicture;
use likeness_diffusion::samplers::SamplerKind;
use likeness_faces::bank::Recipe;
use likeness_shared::client::Client;
use likeness_shared::proto::GenerationSpec;

use crate::arguments::Global;
use crate::commands::under_way::UnderWay;
use crate::commands::{generate, invert, watch};
use crate::output::Voice;

/// A fleet as a client sees it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Fleet {
    client: Client,
    global: Global,
    model: String,
    sampler: SamplerKind,
    voice: Voice,
    under_way: UnderWay,
}

/// A name's portraits as they came.
pub(super) struct Fetched {
    /// In the order of seeds.
    pub(super) pictures: Vec<RgbPicture>,
    /// sha256 of the model that drew them.
    pub(super) model_digest: String,
}

impl Fleet {
    pub(super) async fn connect(
        global: &Global,
        model: Option<&str>,
        sampler: SamplerKind,
        voice: Voice,
    ) -> anyhow::Result<Self> {
        let client = Client::connect(&global.server).await?;
        let (global, model) = (global.clone(), model.unwrap_or_default().to_owned());
        Ok(Self { client, global, model, sampler, voice, under_way: UnderWay::default() })
    }

    /// Has a name drawn, and fetches what was.
    pub(super) async fn draw(self, recipe: Recipe, name: String) -> anyhow::Result<Fetched> {
        let spec = GenerationSpec {
            model: self.model.clone(),
            prompt: recipe.prompt_for(&name),
            negative_prompt: recipe.negative_prompt.clone(),
            seed: recipe.seed,
            pictures: Some(recipe.portraits),
            sampler: generate::sampler(self.sampler).into(),
            steps: Some(recipe.steps),
            guidance_scale: Some(recipe.guidance_scale),
            ..GenerationSpec::default()
        };
        let task = generate::submit(&self.client, &self.global, spec, None).await?;
        let id = invert::task_id(&task)?;
        let task = self.under_way.follow(&self.client, id).await?;
        watch::outcome(&task, self.voice).with_context(|| format!("drawing {name:?}"))?;
        let mut pictures = Vec::new();
        let mut digests = BTreeSet::new();
        for picture in generate::pictures_of(&task) {
            let file = generate::download(&self.client, &picture.artifact_digest).await?;
            let (picture, texts) = RgbPicture::from_png(&file)
                .with_context(|| format!("a picture of task {id} cannot be read"))?;
            digests.extend(texts.into_iter().filter(|(key, _)| key == "model_digest").map(|(_, text)| text));
            pictures.push(picture);
        }
        let model_digest = digests.pop_first().with_context(|| {
            format!("the pictures of task {id} do not say which model drew them: update the workers")
        })?;
        Ok(Fetched { pictures, model_digest })
    }

    /// Cancels what is in flight, as far as that can be done.
    pub(super) async fn cancel_all(&self) {
        self.under_way.cancel_all(&self.client, self.voice).await;
    }
}
