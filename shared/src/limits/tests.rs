//! Defaults are written, and every fault is named.

use super::*;
use crate::ids::Digest;
use crate::proto::{
    AutoStart, Consent, EarlyStop, GenerationSpec, IdStart, InitImage, InversionSpec,
    LogNormParameterisation, Parameterisation, PersonBinding, Sampler, SphereParameterisation, Start,
    parameterisation, start,
};

fn inversion() -> InversionSpec {
    InversionSpec {
        photo_digests: (0..5u8).map(|i| Digest::of(&[i]).to_string()).collect(),
        person_name: "anna".to_owned(),
        consent: Some(Consent {
            version: "1".to_owned(),
            statement_sha256: Digest::of(b"I agree").to_string(),
        }),
        ..InversionSpec::default()
    }
}

fn fields(checks: Checks) -> Vec<String> {
    checks.into_violations().into_iter().map(|violation| violation.field).collect()
}

#[test]
fn an_inversion_gets_the_documented_defaults() {
    let mut checks = Checks::new();
    let spec = fill_inversion(Some(InversionSpec { seed: 7, ..inversion() }), &mut checks);
    assert_eq!(fields(checks), Vec::<String>::new());
    assert_eq!((spec.steps, spec.batch_size), (Some(400), Some(5)));
    assert_eq!((spec.learning_rate, spec.norm_learning_rate), (Some(5e-3), Some(5e-3)));
    assert_eq!((spec.placeholder.as_str(), spec.templates.as_str()), ("sks", "face"));
    assert_eq!(spec.flip, Some(true));
    assert_eq!(spec.timesteps, "stratified");
    assert_eq!((spec.min_snr_gamma, spec.early_stop, spec.keep_best), (None, None, None));
    assert_eq!((spec.background_weight, spec.min_photos), (None, None));
    let Some(start::Kind::Face(face)) = spec.start.and_then(|start| start.kind) else { panic!("not a face") };
    assert_eq!(face.phrase, "human face");
    let kind = spec.parameterisation.and_then(|given| given.kind);
    assert_eq!(kind, Some(parameterisation::Kind::LogNorm(LogNormParameterisation { base: Some(2.71) })));
}

#[test]
fn a_start_from_a_name_takes_names_of_any_length_unless_told() {
    let filled = |kind: start::Kind| {
        let mut checks = Checks::new();
        let spec = InversionSpec { start: Some(Start { kind: Some(kind) }), ..inversion() };
        match fill_inversion(Some(spec), &mut checks).start.and_then(|start| start.kind) {
            Some(start::Kind::Id(id)) => (id.names, fields(checks)),
            Some(start::Kind::Auto(auto)) => (auto.names, fields(checks)),
            other => panic!("another start: {other:?}"),
        }
    };
    let id = |names: &str| filled(start::Kind::Id(IdStart { names: names.to_owned() }));
    let auto = |names: &str| filled(start::Kind::Auto(AutoStart { names: names.to_owned() }));
    for names in ["", "full"] {
        assert_eq!((id(names), auto(names)), (("full".to_owned(), vec![]), ("full".to_owned(), vec![])));
    }
    assert_eq!((id("parity").0, auto("parity").0), ("parity".to_owned(), "parity".to_owned()));
    assert_eq!(id("half").1, ["spec.start.id.names"]);
    assert_eq!(auto("half").1, ["spec.start.auto.names"]);
}

fn on_the_sphere(kappa: Option<f64>) -> Option<Parameterisation> {
    Some(Parameterisation { kind: Some(parameterisation::Kind::Sphere(SphereParameterisation { kappa })) })
}

#[test]
fn what_is_asked_for_beyond_the_paper_gets_its_own_defaults() {
    let spec = InversionSpec {
        parameterisation: on_the_sphere(None),
        early_stop: Some(EarlyStop::default()),
        timesteps: "uniform".to_owned(),
        min_snr_gamma: Some(5.0),
        keep_best: Some(25),
        background_weight: Some(1.0),
        ..inversion()
    };
    let mut checks = Checks::new();
    let spec = fill_inversion(Some(spec), &mut checks);
    assert_eq!(fields(checks), Vec::<String>::new());
    assert_eq!(spec.parameterisation, on_the_sphere(Some(1e-4)));
    assert_eq!(spec.learning_rate, Some(0.01), "a step on the sphere is twice as long as Adam's");
    assert_eq!(spec.early_stop, Some(EarlyStop { window: Some(80), threshold: Some(0.15) }));
    assert_eq!(spec.timesteps, "uniform");
}

#[test]
fn what_is_asked_for_beyond_the_paper_is_checked_field_by_field() {
    let spec = InversionSpec {
        parameterisation: on_the_sphere(Some(f64::NAN)),
        timesteps: "sorted".to_owned(),
        min_snr_gamma: Some(0.0),
        early_stop: Some(EarlyStop { window: Some(501), threshold: Some(0.0) }),
        keep_best: Some(0),
        background_weight: Some(1.1),
        ..inversion()
    };
    let mut checks = Checks::new();
    fill_inversion(Some(spec), &mut checks);
    assert_eq!(
        fields(checks),
        [
            "spec.parameterisation.sphere.kappa",
            "spec.timesteps",
            "spec.min_snr_gamma",
            "spec.early_stop.window",
            "spec.early_stop.threshold",
            "spec.keep_best",
            "spec.background_weight",
        ]
    );
}

#[test]
fn no_more_photos_can_be_needed_than_there_are() {
    let refused = |min_photos| {
        let mut checks = Checks::new();
        fill_inversion(Some(InversionSpec { min_photos: Some(min_photos), ..inversion() }), &mut checks);
        fields(checks)
    };
    assert_eq!([3, 5].map(refused), [Vec::<String>::new(), Vec::new()]);
    assert_eq!([2, 6].map(refused), [vec!["spec.min_photos"], vec!["spec.min_photos"]]);
}

#[test]
fn every_fault_of_an_inversion_is_named_at_once() {
    let spec = InversionSpec {
        photo_digests: vec!["xyz".to_owned(), Digest::of(b"").to_string()],
        person_name: "an/na".to_owned(),
        placeholder: "two words".to_owned(),
        steps: Some(0),
        batch_size: Some(65),
        learning_rate: Some(f64::NAN),
        norm_learning_rate: Some(-1.0),
        templates: "none".to_owned(),
        parameterisation: Some(Parameterisation {
            kind: Some(parameterisation::Kind::LogNorm(LogNormParameterisation { base: Some(1.0) })),
        }),
        consent: None,
        ..InversionSpec::default()
    };
    let mut checks = Checks::new();
    fill_inversion(Some(spec), &mut checks);
    assert_eq!(
        fields(checks),
        [
            "spec.photo_digests",
            "spec.photo_digests[0]",
            "spec.person_name",
            "spec.placeholder",
            "spec.parameterisation.log_norm.base",
            "spec.steps",
            "spec.batch_size",
            "spec.learning_rate",
            "spec.norm_learning_rate",
            "spec.templates",
            "spec.consent",
        ]
    );
}

#[test]
fn a_generation_gets_the_documented_defaults() {
    let mut checks = Checks::new();
    let spec = GenerationSpec { prompt: "a photo of sks".to_owned(), ..GenerationSpec::default() };
    let spec = fill_generation(Some(spec), &mut checks);
    assert_eq!(fields(checks), Vec::<String>::new());
    assert_eq!((spec.pictures, spec.steps, spec.guidance_scale), (Some(1), Some(50), Some(7.5)));
    assert_eq!(spec.sampler(), Sampler::Ddim);
    assert_eq!((spec.width, spec.height), (None, None));
}

#[test]
fn every_fault_of_a_generation_is_named_at_once() {
    let spec = GenerationSpec {
        prompt: "x".repeat(MAX_PROMPT_BYTES + 1),
        people: vec![PersonBinding { placeholder: String::new(), person_id: "nobody".to_owned() }],
        pictures: Some(2),
        seed: u64::MAX,
        sampler: 99,
        steps: Some(0),
        guidance_scale: Some(0.5),
        width: Some(0),
        height: Some(100_000),
        ..GenerationSpec::default()
    };
    let mut checks = Checks::new();
    fill_generation(Some(spec), &mut checks);
    assert_eq!(
        fields(checks),
        [
            "spec.prompt",
            "spec.people[0].person_id",
            "spec.seed",
            "spec.sampler",
            "spec.steps",
            "spec.guidance_scale",
            "spec.width",
            "spec.height",
        ]
    );
}

#[test]
fn an_init_image_gets_its_strength_and_must_leave_a_step() {
    let checked = |digest: &str, strength, steps| {
        let init_image = Some(InitImage { artifact_digest: digest.to_owned(), strength });
        let mut checks = Checks::new();
        let spec = GenerationSpec { init_image, steps: Some(steps), ..GenerationSpec::default() };
        let spec = fill_generation(Some(spec), &mut checks);
        (spec.init_image.unwrap().strength, fields(checks))
    };
    let digest = Digest::of(b"a picture").to_string();
    let strength_field = "spec.init_image.strength".to_owned();
    assert_eq!(checked(&digest, None, 50), (Some(0.8), vec![]));
    assert_eq!(checked(&digest, Some(0.02), 50), (Some(0.02), vec![]));
    assert_eq!(checked(&digest, Some(1.0), 1), (Some(1.0), vec![]));
    for (strength, steps) in [(0.0, 50), (-0.1, 50), (1.01, 50), (f64::NAN, 50), (0.019, 50), (0.9, 1)] {
        assert_eq!(
            checked(&digest, Some(strength), steps).1,
            [strength_field.as_str()],
            "{strength} of {steps}"
        );
    }
    assert_eq!(checked("a picture", None, 50).1, ["spec.init_image.artifact_digest"]);
}

#[test]
fn the_steps_made_are_the_reference_librarys() {
    let made = [(50, 0.8), (10, 0.7), (100, 0.29), (30, 1.0), (30, 0.999), (7, 0.1)];
    assert_eq!(made.map(|(steps, strength)| steps_made(steps, strength)), [40, 7, 28, 30, 29, 0]);
}

#[test]
fn a_missing_spec_is_a_violation_of_its_own() {
    let mut checks = Checks::new();
    fill_inversion(None, &mut checks);
    fill_generation(None, &mut checks);
    assert_eq!(fields(checks), ["spec", "spec"]);
}
