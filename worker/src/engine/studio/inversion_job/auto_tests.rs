//! The start `auto` on the pocket model: which start wins, with whom it shares passes, where it goes on, what is told of it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use likeness_diffusion::person_file::keys;
use likeness_faces::bank::Bank;
use likeness_faces::recognise::Embedding;
use likeness_shared::proto::{AutoStart, PhraseStart, Start as WireStart, start::Kind};

use super::super::pocket_world::{bank, face, pocket};
use super::super::{StudioJob, passes};
use super::*;
use crate::engine::order::LearnedPerson;
use crate::inversion::latents::encode_photo;
use crate::inversion::training_pass::{Member, Want, training_pass};

/// Names that the model knows, of people who look like nobody in particular.
const NAMES: [&str; 6] =
    ["klissis sostard", "prestel klebett", "pemme jidett", "raita sallham", "puman jaber", "caire darez"];

fn spec(start: Kind, seed: u64) -> InversionSpec {
    let start = Some(WireStart { kind: Some(start) });
    InversionSpec { start, seed, steps: Some(3), batch_size: Some(4), ..InversionSpec::default() }
}

fn auto() -> Kind {
    Kind::Auto(AutoStart::default())
}

fn phrase(phrase: &str) -> Kind {
    Kind::Face(PhraseStart { phrase: phrase.to_owned() })
}

fn photos(person: &str) -> Vec<Bytes> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/pocket/people");
    ["01", "02", "03", "04"]
        .map(|photo| std::fs::read(format!("{folder}/{person}/{photo}.jpg")).unwrap().into())
        .to_vec()
}

/// A job that has taken its photos in, which show a face in this direction.
fn job<'m>(
    model: &'m LoadedModel,
    (spec, photos): (InversionSpec, Vec<Bytes>),
    (bank, person): (Option<&'m Bank>, Option<Embedding>),
    checkpoint: Bytes,
) -> StudioJob<'m> {
    let files = PhotoFiles { files: photos, checker: None };
    let resumed = Resumed { checkpoint, reseed: 0 };
    let job = InversionJob::open((0, model), TaskId::generate(), spec, files, None, resumed);
    let mut job = StudioJob::Inversion(Box::new(job.unwrap().with_bank(bank)));
    while demand(&job).stage == Stage::Intake {
        pass(&mut [&mut job], 8);
    }
    inversion(&mut job).person = person;
    job
}

fn inversion<'a, 'm>(job: &'a mut StudioJob<'m>) -> &'a mut InversionJob<'m> {
    match job {
        StudioJob::Inversion(job) => job,
        StudioJob::Generation(_) => panic!("a generation"),
    }
}

fn demand(job: &StudioJob<'_>) -> Demand {
    match job {
        StudioJob::Inversion(job) => job.demand(),
        StudioJob::Generation(_) => panic!("a generation"),
    }
}

/// One pass for jobs that are in the same stage.
fn pass(jobs: &mut [&mut StudioJob<'_>], most_rows: usize) -> Vec<Option<Ending>> {
    let stage = demand(jobs[0]).stage;
    passes::make(stage, jobs, most_rows, false).unwrap().into_iter().map(|stepped| stepped.unwrap()).collect()
}

/// Passes until the job is in this stage; gives the stages on the way.
fn until(job: &mut StudioJob<'_>, stage: Stage) -> Vec<Stage> {
    let mut passed = Vec::new();
    while demand(job).stage != stage {
        passed.push(demand(job).stage);
        pass(&mut [job], 8);
    }
    passed
}

fn finish(job: &mut StudioJob<'_>) -> LearnedPerson {
    loop {
        if let Some(Ending::Learned(person)) = pass(&mut [job], 8).pop().unwrap() {
            return person;
        }
    }
}

fn vectors(job: &mut StudioJob<'_>) -> Vec<Vec<f32>> {
    match &inversion(job).phase {
        Phase::Train(inversion) => inversion.vectors(),
        _ => panic!("not in training"),
    }
}

/// The start vectors of a phrase or name, and their loss on the fixed batch, measured alone: a plain mean.
fn measured(model: &LoadedModel, person: &str, texts: &[&str], seed: u64) -> Vec<(Vec<Vec<f32>>, f64)> {
    let task = (spec(phrase("human face"), seed), photos(person));
    let mut job = job(model, task, (None, None), Bytes::new());
    let job = inversion(&mut job);
    let Phase::Encode { photos, .. } = &job.phase else { panic!("photos are not taken in") };
    let latents = |flip| {
        let encode = |(index, photo)| encode_photo(&model.diffusion, index, photo, flip).unwrap();
        photos.iter().enumerate().map(encode).collect::<Vec<_>>()
    };
    let latents = latents(true);
    let measure = |text: &&str| {
        let start = Start::Face { phrase: (*text).to_owned() };
        let start = start.vectors(&model.diffusion, &model.folder).unwrap();
        let (options, digest) = (job.options.clone(), photos_digest(photos));
        let material = Material::new(&model.diffusion, options, latents.clone(), digest, "").unwrap();
        let alone = Comparison::new(material, vec![start.clone()]).unwrap();
        let (batch, vectors) = alone.next_batches().remove(0);
        let member = Member { batch: &batch, vectors };
        let rows = training_pass(&model.diffusion, alone.schedule(), &[member], Want::Losses, 8).unwrap();
        let losses = rows[0].iter().map(|row| f64::from(row.loss));
        (start, losses.sum::<f64>() / rows[0].len() as f64)
    };
    texts.iter().map(measure).collect()
}

#[test]
fn explore() {
    let model = pocket();
    let names = std::fs::read_to_string(model.folder.join("names.txt")).unwrap();
    let mut texts: Vec<&str> = names.lines().take(40).collect();
    texts.insert(0, "human face");
    let count = |text: &str| model.diffusion.tokenizer.token_ids(text).unwrap().len();
    let extra = ["sostard", "klissis", "pemme klissis sostard", "sunglasses", "snow", "the sea at night"];
    texts.extend(extra);
    for person in ["person-01", "person-03", "person-05", "person-08"] {
        for seed in [1, 2] {
            let mut found: Vec<(f64, &str)> = measured(&model, person, &texts, seed)
                .into_iter()
                .map(|m| m.1)
                .zip(texts.iter().copied())
                .collect();
            let face = found[0].0;
            found.sort_by(|a, b| a.0.total_cmp(&b.0));
            let show: Vec<String> = found.iter().map(|(l, t)| format!("{t}({}) {l:.4}", count(t))).collect();
            eprintln!("{person} {seed} face {face:.4}: {:?} ... {:?}", &show[..6], &show[show.len() - 6..]);
        }
    }
}
