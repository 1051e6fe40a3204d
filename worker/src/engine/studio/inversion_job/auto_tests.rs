//! The start `auto` on the pocket model: which start wins, with whom it shares passes, where it goes on, what is told of it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use likeness_diffusion::person_file::{PersonFile, keys};
use likeness_faces::bank::Bank;
use likeness_faces::recognise::Embedding;
use likeness_shared::proto::start::Kind;
use likeness_shared::proto::{
    AutoStart, Parameterisation, PhraseStart, SphereParameterisation, Start as WireStart, parameterisation,
};

use super::super::pocket_world::{bank, face, pocket};
use super::super::{StudioJob, passes};
use super::*;
use crate::engine::order::LearnedPerson;
use crate::engine::{Blame, Ending};
use crate::inversion::latents::encode_photo;
use crate::inversion::training_pass::{Member, Want, training_pass};

/// Names that the model knows, of people unlike those of the photos.
const UNLIKE: [&str; 5] =
    ["graima gartwell", "pelin drussard", "chaisis possman", "lusten chossman", "mollo cainov"];
/// A name under which the loss on person-05 is lower than under "human face".
const LIKE: &str = "klissis sostard";
/// The same of one token.
const LIKE_OF_ONE: &str = "klissis";

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

fn photos(shown: &str) -> Vec<Bytes> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/pocket/people");
    ["01", "02", "03", "04"]
        .map(|photo| std::fs::read(format!("{folder}/{shown}/{photo}.jpg")).unwrap().into())
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
        Phase::Train { inversion, .. } => inversion.vectors(),
        _ => panic!("not in training"),
    }
}

/// The loss of each phrase or name on the fixed batch, each measured alone: a plain mean over its rows.
fn measured(model: &LoadedModel, shown: &str, texts: &[&str], seed: u64) -> Vec<f64> {
    let task = (spec(phrase("human face"), seed), photos(shown));
    let mut job = job(model, task, (None, None), Bytes::new());
    let job = inversion(&mut job);
    let Phase::Encode { photos, .. } = &job.phase else { panic!("photos are not taken in") };
    let encode = |(index, photo)| encode_photo(&model.diffusion, index, photo, job.options.flip).unwrap();
    let latents: Vec<PhotoLatents> = photos.learned_from.iter().enumerate().map(encode).collect();
    let measure = |text: &&str| {
        let start = Start::Face { phrase: (*text).to_owned() };
        let start = start.vectors(&model.diffusion, &model.folder).unwrap();
        let (options, digest) = (job.options.clone(), photos_digest(&photos.learned_from));
        let material = Material::new(&model.diffusion, options, latents.clone(), digest, "").unwrap();
        let alone = Comparison::new(material, vec![start]).unwrap();
        let (batch, vectors) = alone.next_batches().remove(0);
        let member = Member { batch: &batch, vectors };
        let rows = training_pass(&model.diffusion, alone.schedule(), &[member], Want::Losses, 8).unwrap();
        rows[0].iter().map(|row| f64::from(row.loss)).sum::<f64>() / rows[0].len() as f64
    };
    texts.iter().map(measure).collect()
}

/// A bank in which these names are the nearer to [`person`] the earlier they come.
fn bank_of(model: &LoadedModel, names: &[&str]) -> Bank {
    let names: Vec<(&str, Embedding)> =
        names.iter().enumerate().map(|(place, name)| (*name, face(1.0, place as f32 / 10.0))).collect();
    bank(&model.digest, &names)
}

/// Who the photos show.
fn person() -> Option<Embedding> {
    Some(face(1.0, 0.0))
}

/// The vectors with which training begins at a phrase or name.
fn beginning_at(model: &LoadedModel, shown: &str, text: &str) -> Vec<Vec<f32>> {
    let mut job = job(model, (spec(phrase(text), 1), photos(shown)), (None, None), Bytes::new());
    assert!(!until(&mut job, Stage::Train).contains(&Stage::Watch), "nothing to compare");
    vectors(&mut job)
}

#[test]
fn the_start_with_the_lowest_loss_wins() {
    let model = pocket();
    let [a, b, c, d, e] = UNLIKE;
    let best = |shown: &str, start: Kind, names: &[&str]| {
        let bank = bank_of(&model, names);
        let mut job = job(&model, (spec(start, 1), photos(shown)), (Some(&bank), person()), Bytes::new());
        assert!(until(&mut job, Stage::Train).ends_with(&[Stage::Watch]), "one pass for all");
        let begun = vectors(&mut job);
        let texts = ["human face"].into_iter().chain(names.iter().copied());
        let won = texts.filter(|text| beginning_at(&model, shown, text) == begun);
        won.map(str::to_owned).collect::<Vec<_>>()
    };
    // As it is measured alone, a start at a time, one of six has a loss that is lower by a twentieth or more.
    let third = [a, b, LIKE, c, d];
    for (shown, winner) in [("person-05", LIKE), ("person-03", "human face")] {
        let texts = ["human face", a, b, LIKE, c, d];
        let mut losses: Vec<(f64, &str)> =
            measured(&model, shown, &texts, 1).into_iter().zip(texts.iter().copied()).collect();
        losses.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(losses[0].1 == winner && losses[1].0 > 1.05 * losses[0].0, "{losses:?}");
        assert_eq!(best(shown, auto(), &third), [winner]);
    }
    assert_eq!(
        best("person-05", auto(), &[a, b, c, d, e, LIKE]),
        ["human face"],
        "the sixth is not compared"
    );
    // The first name alone, of one token.
    assert_eq!(best("person-05", auto(), &[a, LIKE_OF_ONE]), [LIKE_OF_ONE]);
    let parity = || Kind::Auto(AutoStart { names: "parity".to_owned() });
    assert_eq!(best("person-05", parity(), &[a, LIKE_OF_ONE]), ["human face"]);
}

#[test]
fn neighbours_and_the_size_of_passes_do_not_change_what_wins() {
    let model = pocket();
    // Of 1, 2 and more tokens in one pass.
    let names = [UNLIKE[0], LIKE_OF_ONE, "pemme jidett caire"];
    let bank = bank_of(&model, &names);
    let task =
        |shown: &str| job(&model, (spec(auto(), 1), photos(shown)), (Some(&bank), person()), Bytes::new());
    let shown = ["person-05", "person-03"];
    let alone = shown.map(|shown| {
        let mut job = task(shown);
        until(&mut job, Stage::Train);
        vectors(&mut job)
    });
    assert_eq!(alone[0].len(), 1);
    for most_rows in [1, 5, 64] {
        let mut jobs = shown.map(task);
        for job in &mut jobs {
            until(job, Stage::Watch);
            assert_eq!(demand(job).rows, 16, "four rows for each of four starts");
            assert_eq!(inversion(job).checkpoint(), None, "there is nothing to go on from");
            assert_eq!(inversion(job).progress().phase, "compare");
        }
        let [one, other] = &mut jobs;
        pass(&mut [one, other], most_rows);
        assert_eq!([vectors(one), vectors(other)], alone, "{most_rows}");
    }
}

#[test]
fn a_resumed_task_goes_on_from_its_start_without_comparing() {
    let model = pocket();
    let bank = bank_of(&model, &[UNLIKE[0], LIKE_OF_ONE]);
    // The name is there, and would not be among the five that are compared.
    let elsewhere = bank_of(&model, &[&UNLIKE[..], &["caire darez", LIKE_OF_ONE]].concat());
    let sphere = SphereParameterisation { kappa: None };
    let sphere = Parameterisation { kind: Some(parameterisation::Kind::Sphere(sphere)) };
    for parameterisation in [None, Some(sphere)] {
        let spec = || InversionSpec { parameterisation, ..spec(auto(), 1) };
        let task =
            |bank, person, checkpoint| job(&model, (spec(), photos("person-05")), (bank, person), checkpoint);
        let mut whole = task(Some(&bank), person(), Bytes::new());
        until(&mut whole, Stage::Train);
        let at_start = (inversion(&mut whole).checkpoint().unwrap(), vectors(&mut whole));
        pass(&mut [&mut whole], 8);
        let after_one = (inversion(&mut whole).checkpoint().unwrap(), vectors(&mut whole));
        let expected = PersonFile::read(&finish(&mut whole).file).unwrap().vectors;
        assert_eq!(expected.len(), 1);
        for (checkpoint, vectors_then) in [at_start, after_one] {
            let mut resumed = task(Some(&elsewhere), person(), checkpoint.clone());
            assert!(!until(&mut resumed, Stage::Train).contains(&Stage::Watch), "it compares again");
            assert_eq!(vectors(&mut resumed), vectors_then);
            assert_eq!(PersonFile::read(&finish(&mut resumed).file).unwrap().vectors, expected);

            let mut lost = task(None, person(), checkpoint);
            let fault = loop {
                let stage = demand(&lost).stage;
                if let Err(fault) = passes::make(stage, &mut [&mut lost], 8, false).unwrap().remove(0) {
                    break fault;
                }
            };
            assert_eq!((fault.code.as_str(), fault.blame), ("bad_checkpoint", Blame::Chance));
        }
    }
}

#[test]
fn without_names_it_is_face_and_the_log_says_why() {
    let model = pocket();
    let names = [UNLIKE[0], LIKE];
    let (ours, other) = (bank_of(&model, &names), bank("0f", &[(LIKE, face(1.0, 0.0))]));
    let long = bank_of(&model, &["prestel klebett caire darez raita"]);
    let begun = |start, bank, person| {
        let mut job = job(&model, (spec(start, 1), photos("person-05")), (bank, person), Bytes::new());
        let (stages, said) = logged(|| until(&mut job, Stage::Train));
        assert!(!stages.contains(&Stage::Watch));
        (inversion(&mut job).checkpoint(), said)
    };
    let (expected, said) = begun(phrase("human face"), None, None);
    assert_eq!(said, "");
    // What is said for the first time in a process while another thread says it too may miss a new subscriber.
    begun(auto(), None, None);
    for (bank, person, why) in [
        (None, person(), "no bank"),
        (Some(&other), person(), "another model"),
        (Some(&ours), None, "no face"),
        (Some(&long), person(), "no names"),
    ] {
        let (found, said) = begun(auto(), bank, person);
        assert_eq!(found, expected, "{why}: it is the start face in every bit, and in what it is bound to");
        assert!(said.contains(why), "{said}");
        assert!(!names.iter().chain(&["prestel"]).any(|name| said.contains(name)), "{said}");
    }
}

#[test]
fn nothing_that_is_said_or_written_has_a_name_in_it() {
    let model = pocket();
    let bank = bank_of(&model, &[UNLIKE[0], LIKE]);
    let task = (spec(auto(), 1), photos("person-05"));
    // As above: said once before it is listened to.
    until(&mut job(&model, task.clone(), (Some(&bank), person()), Bytes::new()), Stage::Train);
    let mut job = job(&model, task, (Some(&bank), person()), Bytes::new());
    let (person, said) = logged(|| {
        until(&mut job, Stage::Train);
        let begun = vectors(&mut job);
        assert_eq!(begun, beginning_at(&model, "person-05", LIKE), "a name has won");
        finish(&mut job)
    });
    assert!(said.contains("starts are compared") && said.contains("starts=3"), "{said}");
    let file = PersonFile::read(&person.file).unwrap();
    assert_eq!(file.metadata.get(keys::START).map(String::as_str), Some("auto"));
    let told = format!("{said} {:?} {:?}", file.metadata, inversion(&mut job).progress());
    for part in [UNLIKE[0], LIKE, "human face"].iter().flat_map(|name| name.split(' ')) {
        assert!(!told.contains(part), "{part:?} is told: {told}");
    }
}

/// What is logged meanwhile on this thread, at any level.
fn logged<T>(work: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Pages(Arc<Mutex<Vec<u8>>>);
    impl Write for Pages {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let pages = Pages::default();
    let writer = pages.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let made = tracing::subscriber::with_default(subscriber, || {
        tracing::callsite::rebuild_interest_cache();
        work()
    });
    let said = String::from_utf8(pages.0.lock().unwrap().clone()).unwrap();
    (made, said)
}
