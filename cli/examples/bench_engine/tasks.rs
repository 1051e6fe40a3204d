//! The model, people's photos, and the tasks that are made of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use burn::tensor::{Device, FloatDType};
use bytes::Bytes;
use likeness_diffusion::model_folder::ModelFolder;
use likeness_diffusion::stable_diffusion::StableDiffusion;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::{GenerationSpec, InversionSpec};
use likeness_worker::engine::{Attempt, LoadedModel, Order, Studio, Work};

/// What tasks are made of.
pub(crate) struct Material {
    pub(crate) studio: Arc<Studio>,
    people: Vec<Vec<Bytes>>,
}

impl Material {
    pub(crate) fn load(model: &Path, people: &Path) -> anyhow::Result<Self> {
        let folder = ModelFolder::open(model)?;
        let diffusion = StableDiffusion::load(&folder, &Device::flex(), FloatDType::F32)?;
        let (name, digest) = ("bench".to_owned(), folder.digest()?);
        let model = LoadedModel { name, digest, folder: model.to_owned(), diffusion };
        let people =
            sorted(people)?.iter().map(|person| photos(person)).collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(!people.is_empty(), "there are no people to learn");
        Ok(Self { studio: Arc::new(Studio::new(vec![model])), people })
    }

    /// An inversion of one of the people from `photos` photos, so many rows an iteration.
    pub(crate) fn inversion(&self, user: usize, photos: usize, rows: u32, steps: u32) -> Order {
        let files = &self.people[user % self.people.len()];
        let spec = InversionSpec {
            steps: Some(steps),
            batch_size: Some(rows),
            seed: user as u64,
            ..InversionSpec::default()
        };
        let photos = files.iter().cycle().take(photos).cloned().collect();
        order(Work::Inversion { spec: Box::new(spec), photos, start_file: None })
    }

    /// Pictures of nobody in particular.
    pub(crate) fn generation(&self, seed: u64, pictures: u32, steps: u32) -> Order {
        let spec = GenerationSpec {
            prompt: "a photo of human face".to_owned(),
            seed,
            pictures: Some(pictures),
            steps: Some(steps),
            ..GenerationSpec::default()
        };
        order(Work::Generation { spec: Box::new(spec), people: Vec::new(), init_image: None })
    }
}

pub(crate) fn order(work: Work) -> Order {
    let attempt = Attempt { task: TaskId::generate(), fence: Fence(1) };
    Order { attempt, number: 1, reseed: 0, work, checkpoint: Bytes::new() }
}

fn photos(person: &Path) -> anyhow::Result<Vec<Bytes>> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).map(Bytes::from).with_context(|| format!("{} cannot be read", path.display()))
    };
    sorted(person)?.iter().filter(|path| path.is_file()).map(read).collect()
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
