//! Quality reports: they come after the training, change nothing of it, survive a move, and cost nobody a person.

use std::sync::Arc;

use likeness_diffusion::person_file::{PersonFile, keys};
use likeness_diffusion::picture::RgbPicture;
use likeness_faces::recognise::Embedding;
use likeness_shared::ids::Fence;
use likeness_shared::proto::QualityRequest;
use likeness_worker::engine::{Command, DrawnReport, Ending, LearnedPerson, Order, Quality, Studio, Work};
use likeness_worker::score::{Evaluate, EvaluatorError, EvaluatorNetworks, Seen, VectorError};

use crate::driving::Engine;
use crate::tasks::{generation, inversion, model, studio};

#[derive(Clone, Copy, PartialEq)]
enum Networks {
    Work,
    Fail,
    Panic,
}

/// Sees in a picture its mean colour.
struct StandIn(Networks, EvaluatorNetworks);

impl Evaluate for StandIn {
    fn look(&self, picture: &RgbPicture) -> Result<Seen, EvaluatorError> {
        match self.0 {
            Networks::Work => {}
            Networks::Fail => return Err(VectorError::NoDirection(7).into()),
            Networks::Panic => panic!("a broken network"),
        }
        let mean = |channel: usize| {
            picture.pixels.iter().skip(channel).step_by(3).map(|value| f32::from(*value) + 1.0).sum::<f32>()
        };
        let colour = Embedding::of(&[mean(0), mean(1), mean(2)]);
        Ok(Seen { face: colour.clone(), whole: colour })
    }

    fn prompts(&self, prompts: &[String]) -> Result<Option<Vec<Embedding>>, EvaluatorError> {
        let of = |prompt: &String| {
            assert!(prompt.contains("person") && !prompt.contains("sks"), "{prompt}");
            Embedding::of(&[1.0, prompt.len() as f32 / 10.0, 1.0]).unwrap()
        };
        Ok(Some(prompts.iter().map(of).collect()))
    }

    fn networks(&self) -> &EvaluatorNetworks {
        &self.1
    }
}

fn studio_with(networks: Networks) -> Arc<Studio> {
    let known = EvaluatorNetworks { judge: "the judge".to_owned(), ..EvaluatorNetworks::default() };
    Arc::new(Studio::new(vec![model(false)]).with_evaluator(Some(Box::new(StandIn(networks, known)))))
}

fn with_report(order: &Order, held_out: u32) -> Order {
    let mut order = order.clone();
    let Work::Inversion { spec, .. } = &mut order.work else { panic!("an inversion") };
    spec.quality = Some(QualityRequest {
        prompts: vec!["a photo of sks".to_owned(), "sks, smiling, on a beach".to_owned()],
        pictures: Some(3),
        sampler_steps: Some(4),
        guidance_scale: None,
        held_out: Some(held_out),
    });
    order
}

fn learned(engine: &Engine, order: &Order) -> LearnedPerson {
    match &engine.ended[&order.attempt] {
        Ending::Learned(person) => person.clone(),
        other => panic!("nobody was learned: {other:?}"),
    }
}

fn run(studio: &Arc<Studio>, order: &Order) -> LearnedPerson {
    let mut engine = Engine::start(studio);
    engine.join(order.clone());
    engine.finish();
    learned(&engine, order)
}

fn bits(person: &LearnedPerson) -> Vec<u32> {
    PersonFile::read(&person.file).unwrap().vectors.concat().iter().map(|x| x.to_bits()).collect()
}

fn report(person: &LearnedPerson) -> &DrawnReport {
    match &person.quality {
        Some(Quality::Report(report)) => report,
        other => panic!("no report: {other:?}"),
    }
}

fn absence(person: &LearnedPerson) -> (&str, &str) {
    match &person.quality {
        Some(Quality::Absent(absence)) => (&absence.code, &absence.message),
        other => panic!("no absence: {other:?}"),
    }
}

#[test]
fn a_report_comes_after_the_training_and_changes_nothing_of_it() {
    let studio = studio_with(Networks::Work);
    for kind in [1, 2] {
        let plain = inversion(kind);
        let (without, with) = (run(&studio, &plain), run(&studio, &with_report(&plain, 0)));
        assert_eq!(bits(&with), bits(&without));
        assert_eq!((with.steps, with.final_loss.to_bits()), (without.steps, without.final_loss.to_bits()));
        assert_eq!(without.quality, None);
        let DrawnReport { report, pictures } = report(&with);
        assert_eq!((report.pictures, report.prompts.len(), pictures.len()), (6, 2, 6));
        let identity = report.identity.as_ref().unwrap();
        assert_eq!((identity.face_rate, identity.photos), (1.0, with.photos_used));
        assert!(identity.id > 0.5 && identity.ceiling.is_some() && identity.floor.is_none(), "{identity:?}");
        assert!(report.clip.is_some() && report.diversity.is_some() && report.nearest_copy.is_some());
        assert_eq!((report.judge_digest.as_str(), report.held_out.as_ref()), ("the judge", None));
        let seeds: Vec<u64> = report.prompts[1].pictures.iter().map(|picture| picture.seed).collect();
        assert_eq!(seeds, [0, 1, 2]);
        let text = |png: &[u8]| RgbPicture::from_png(png).unwrap().1;
        assert!(text(&pictures[5]).iter().any(|(_, value)| value == "sks, smiling, on a beach"));
        let metadata = |person: &LearnedPerson| PersonFile::read(&person.file).unwrap().metadata;
        assert_eq!(metadata(&with)[keys::ID], format!("{:.6}", identity.id));
        assert_eq!(metadata(&with)[keys::JUDGE], "the judge");
        assert!(!metadata(&without).contains_key(keys::ID));
    }
}

#[test]
fn a_task_that_is_moved_while_it_is_scored_goes_on_with_the_scoring() {
    let studio = studio_with(Networks::Work);
    let mut order = with_report(&inversion(2), 0);
    let expected = run(&studio, &order);
    let mut engine = Engine::start(&studio);
    engine.join(order.clone());
    engine.join(generation(3));
    while engine.phases.get(&order.attempt).is_none_or(|phases| !phases.contains(&"quality".to_owned())) {
        engine.next();
    }
    engine.tell(Command::HandBack(order.attempt));
    engine.finish();
    let Ending::HandedBack { checkpoint, progress } = &engine.ended[&order.attempt] else {
        panic!("it had ended before")
    };
    assert_eq!((progress.phase.as_str(), progress.step), ("quality", expected.steps));
    assert!(progress.phase_step < progress.phase_steps);

    order.attempt.fence = Fence(2);
    order.checkpoint = checkpoint.clone();
    let mut engine = Engine::start(&studio);
    engine.join(order.clone());
    engine.finish();
    let phases = &engine.phases[&order.attempt];
    assert!(!phases.contains(&"train".to_owned()) && phases.contains(&"quality".to_owned()), "{phases:?}");
    let found = learned(&engine, &order);
    assert_eq!((bits(&found), found.quality), (bits(&expected), expected.quality));
}

#[test]
fn whoever_cannot_be_scored_is_learned_all_the_same() {
    let plain = inversion(1);
    let expected = bits(&run(&studio(), &plain));
    let order = with_report(&plain, 0);
    for (studio, code, words) in [
        (studio(), "no_networks", "faces.detector"),
        (studio_with(Networks::Fail), "networks_failed", "vector 7"),
        (studio_with(Networks::Panic), "networks_failed", "a broken network"),
    ] {
        let person = run(&studio, &order);
        assert_eq!(bits(&person), expected);
        let (found, message) = absence(&person);
        assert!(found == code && message.contains(words), "{found}: {message}");
    }
    // nobody draws in so many steps
    let mut undrawn = order.clone();
    let Work::Inversion { spec, .. } = &mut undrawn.work else { panic!("an inversion") };
    spec.quality.as_mut().unwrap().sampler_steps = Some(100_000);
    let person = run(&studio_with(Networks::Work), &undrawn);
    assert_eq!((absence(&person).0, bits(&person)), ("drawing_failed", expected));
}

#[test]
fn photos_that_are_held_out_are_not_learned_from() {
    let studio = studio_with(Networks::Work);
    let all = inversion(2);
    let mut fewer = all.clone();
    let Work::Inversion { photos, .. } = &mut fewer.work else { panic!("an inversion") };
    let last = photos.pop().unwrap();
    let count = photos.len() as u32;
    let expected = run(&studio, &fewer);
    let found = run(&studio, &with_report(&all, 1));
    assert_eq!((found.photos_used, bits(&found)), (count, bits(&expected)));
    let figures = &report(&found).report;
    let (learned_from, held_out) = (figures.identity.unwrap(), figures.held_out.unwrap());
    assert_eq!((learned_from.photos, held_out.photos, held_out.ceiling), (count, 1, None));
    assert!((learned_from.id - held_out.id).abs() > 1e-9, "the photo is another one");

    // what it shows makes no difference to what is learned
    let mut other = with_report(&all, 1);
    let Work::Inversion { photos, .. } = &mut other.work else { panic!("an inversion") };
    let (mut picture, _) = RgbPicture::from_png(&last).unwrap();
    picture.pixels.iter_mut().for_each(|value| *value = 255 - *value);
    *photos.last_mut().unwrap() = picture.to_png(&[]).unwrap().into();
    assert_eq!(bits(&run(&studio, &other)), bits(&expected));

    // three are learned from, whatever is asked for
    let few = run(&studio, &with_report(&inversion(0), 2));
    assert_eq!((few.photos_used, report(&few).report.held_out.as_ref()), (3, None));
}
