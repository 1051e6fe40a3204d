//! The simulated device behaves as a real one does, and says so by its results.

use std::time::Duration;

use bytes::Bytes;
use likeness_diffusion::person_file::PersonFile;
use likeness_diffusion::picture::RgbPicture;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::{GenerationSpec, InversionSpec, PhraseStart, Start, start};

use super::*;
use crate::engine::{Attempt, Blame, Ending, Job, Work};

fn device(obey_faults: bool) -> SimulatedDevice {
    let config = SimulatedConfig { step_time: Duration::ZERO, obey_faults, ..SimulatedConfig::default() };
    config.validate().unwrap();
    SimulatedDevice::new(config)
}

fn order(work: Work, number: u32, checkpoint: Bytes) -> Order {
    let attempt = Attempt { task: TaskId::generate(), fence: Fence(1) };
    Order { attempt, number, reseed: 0, work, checkpoint }
}

fn inversion(phrase: &str) -> Work {
    let face = start::Kind::Face(PhraseStart { phrase: phrase.to_owned() });
    let spec = InversionSpec {
        steps: Some(20),
        start: Some(Start { kind: Some(face) }),
        ..InversionSpec::default()
    };
    Work::Inversion { spec: Box::new(spec), photos: Vec::new(), start_file: None }
}

fn generation(prompt: &str) -> Work {
    let spec = GenerationSpec {
        prompt: prompt.to_owned(),
        seed: 7,
        steps: Some(4),
        pictures: Some(3),
        ..GenerationSpec::default()
    };
    Work::Generation { spec: Box::new(spec), people: Vec::new(), init_image: None }
}

fn step(device: &SimulatedDevice, job: &mut SimulatedJob) -> Stepped {
    device.pass(job.demand().stage, &mut [job], 1).unwrap().remove(0)
}

fn run(device: &SimulatedDevice, mut job: SimulatedJob) -> Result<Ending, Fault> {
    loop {
        if let Some(ending) = step(device, &mut job)? {
            return Ok(ending);
        }
    }
}

#[test]
fn pictures_are_real_and_one_a_seed() {
    let device = device(false);
    let job = device.open(order(generation("a"), 1, Bytes::new())).unwrap();
    assert_eq!(job.progress().total_steps, 12);
    let Ending::Drawn(drawn) = run(&device, job).unwrap() else { panic!("no pictures") };
    let seeds: Vec<u64> = drawn.pictures.iter().map(|picture| picture.seed).collect();
    assert_eq!(seeds, [7, 8, 9]);
    for picture in &drawn.pictures {
        let (read, _) = RgbPicture::from_png(&picture.png).unwrap();
        assert_eq!((read.width, read.height), (picture.width, picture.height));
    }
}

#[test]
fn a_resumed_inversion_learns_the_same_person_as_a_whole_one() {
    let device = device(false);
    let learn = |checkpoint, stop_after: Option<u32>| {
        let mut job = device.open(order(inversion("a face"), 1, checkpoint)).unwrap();
        for _ in 0..stop_after.unwrap_or(0) {
            assert!(step(&device, &mut job).unwrap().is_none());
        }
        match stop_after {
            Some(steps) => {
                assert_eq!(job.progress().step, steps);
                (job.checkpoint().unwrap(), None)
            }
            None => (Bytes::new(), Some(run(&device, job).unwrap())),
        }
    };
    let file = |ending: Option<Ending>| match ending {
        Some(Ending::Learned(person)) => person.file,
        other => panic!("no person: {other:?}"),
    };
    let whole = file(learn(Bytes::new(), None).1);
    PersonFile::read(&whole).unwrap();
    let (checkpoint, _) = learn(Bytes::new(), Some(8));
    assert_eq!(file(learn(checkpoint, None).1), whole);
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let device = device(false);
    let refused = device.open(order(inversion(""), 1, Bytes::from_static(b"LIKECKPT"))).err().unwrap();
    assert_eq!(refused.code, "bad_checkpoint");
}

#[test]
fn trouble_comes_only_where_it_is_allowed_and_in_the_attempts_it_is_for() {
    let troubled = |device: &SimulatedDevice, number| {
        run(device, device.open(order(inversion("fault:oom@5x1"), number, Bytes::new())).unwrap())
    };
    let fault = troubled(&device(true), 1).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.blame), ("device_out_of_memory", Blame::Worker));
    assert!(troubled(&device(true), 2).is_ok());
    assert!(troubled(&device(false), 1).is_ok());
}

#[test]
fn a_model_that_it_does_not_claim_is_refused() {
    let spec = GenerationSpec { model: "sd21".to_owned(), ..GenerationSpec::default() };
    let work = Work::Generation { spec: Box::new(spec), people: Vec::new(), init_image: None };
    let refused = device(false).open(order(work, 1, Bytes::new())).err().unwrap();
    assert_eq!(refused.code, "model_unknown");
}
