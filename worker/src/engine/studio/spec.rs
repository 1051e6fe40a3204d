//! From the protocol's specs to the method's options. The coordinator has filled in the defaults; what is still
//! unset takes the same ones.

use likeness_diffusion::samplers::SamplerKind;
use likeness_faces::intake::PhotoRefused;
use likeness_shared::limits;
use likeness_shared::proto::{
    self, EarlyStop, GenerationSpec, InversionSpec, L2Mode as WireL2Mode, Sampler, parameterisation, start,
};

use crate::engine::order::Fault;
use crate::generation::{GenerationOptions, InitImage, Person};
use crate::inversion::early_stop::EarlyStopOptions;
use crate::inversion::options::Timesteps;
use crate::inversion::parameterisation::{L2Mode, Parameterisation};
use crate::inversion::start::{FACE_PHRASE, IdNames};
use crate::inversion::{InversionOptions, Refinements, Start};

/// The options of an inversion.
pub(super) fn inversion_options(spec: &InversionSpec) -> Result<InversionOptions, Fault> {
    let defaults = InversionOptions::default();
    let templates = match spec.templates.as_str() {
        "" => defaults.templates,
        name => name.parse().map_err(|error| Fault::lasting("bad_spec", error))?,
    };
    let timesteps = match spec.timesteps.as_str() {
        "" | "stratified" => Timesteps::Stratified,
        "uniform" => Timesteps::Uniform,
        other => {
            let message = format!(
                "timesteps {other:?} are not known to this worker: use \"stratified\" or \"uniform\""
            );
            return Err(Fault::lasting("bad_spec", message));
        }
    };
    let parameterisation = parameterisation(spec.parameterisation.as_ref())?;
    let default_rate = match parameterisation {
        Parameterisation::Sphere { .. } => limits::DEFAULT_SPHERE_LEARNING_RATE,
        _ => defaults.learning_rate,
    };
    Ok(InversionOptions {
        parameterisation,
        steps: spec.steps.unwrap_or(defaults.steps),
        batch_size: spec.batch_size,
        learning_rate: spec.learning_rate.unwrap_or(default_rate),
        norm_learning_rate: spec.norm_learning_rate,
        flip: spec.flip.unwrap_or(defaults.flip),
        templates,
        timesteps,
        seed: spec.seed,
        refinements: refinements(spec),
    })
}

/// What the paper does not have, where it is asked for.
fn refinements(spec: &InversionSpec) -> Refinements {
    let early_stop = |stop: &EarlyStop| EarlyStopOptions {
        window: stop.window.unwrap_or(limits::DEFAULT_STOP_WINDOW),
        threshold: stop.threshold.unwrap_or(limits::DEFAULT_STOP_THRESHOLD),
    };
    Refinements {
        min_snr_gamma: spec.min_snr_gamma,
        early_stop: spec.early_stop.as_ref().map(early_stop),
        keep_best_every: spec.keep_best,
        background_weight: spec.background_weight,
    }
}

fn parameterisation(given: Option<&proto::Parameterisation>) -> Result<Parameterisation, Fault> {
    Ok(match given.and_then(|given| given.kind.as_ref()) {
        None => Parameterisation::default(),
        Some(parameterisation::Kind::LogNorm(log_norm)) => {
            Parameterisation::LogNorm { base: log_norm.base.unwrap_or(limits::DEFAULT_LOG_NORM_BASE) }
        }
        Some(parameterisation::Kind::Sphere(sphere)) => {
            Parameterisation::Sphere { kappa: sphere.kappa.unwrap_or(limits::DEFAULT_KAPPA) }
        }
        Some(parameterisation::Kind::None(free)) => {
            let l2 = match WireL2Mode::try_from(free.l2_mode) {
                Ok(WireL2Mode::Unspecified | WireL2Mode::Decoupled) => L2Mode::Decoupled,
                Ok(WireL2Mode::Coupled) => L2Mode::Coupled,
                Ok(WireL2Mode::Anchor) => L2Mode::Anchor,
                Err(_) => return Err(unknown("L2 mode", free.l2_mode)),
            };
            Parameterisation::None { l2, weight: free.l2_weight.unwrap_or(limits::DEFAULT_L2_WEIGHT) }
        }
    })
}

/// The start of an inversion; `file` is the downloaded person file where the start is one.
pub(super) fn start(spec: &InversionSpec, file: Option<&[u8]>) -> Result<Start, Fault> {
    match spec.start.as_ref().and_then(|start| start.kind.as_ref()) {
        None => Ok(Start::default()),
        Some(start::Kind::Face(face)) if face.phrase.is_empty() => {
            Ok(Start::Face { phrase: FACE_PHRASE.to_owned() })
        }
        Some(start::Kind::Face(face)) => Ok(Start::Face { phrase: face.phrase.clone() }),
        Some(start::Kind::Rand2(rand2)) => Ok(Start::Rand2 { seed: rand2.seed.unwrap_or(spec.seed) }),
        Some(start::Kind::Id(id)) => Ok(Start::Id { names: names(&id.names)? }),
        Some(start::Kind::Auto(auto)) => Ok(Start::Auto { names: names(&auto.names)? }),
        Some(start::Kind::Vectors(_)) => {
            let file =
                file.ok_or_else(|| Fault::lasting("bad_start", "the start's person file is missing"))?;
            Start::from_person_file(file).map_err(|error| Fault::lasting("bad_start", error))
        }
    }
}

/// The names that a start may take.
fn names(given: &str) -> Result<IdNames, Fault> {
    match given {
        "" | "full" => Ok(IdNames::Full),
        "parity" => Ok(IdNames::Parity),
        other => {
            let message = format!("names {other:?} are not known to this worker: use \"full\" or \"parity\"");
            Err(Fault::lasting("bad_spec", message))
        }
    }
}

/// The options of the first picture of a generation; `init_image` is the downloaded file where it begins at one.
pub(super) fn generation_options(
    spec: &GenerationSpec,
    persons: Vec<Person>,
    init_image: Option<&[u8]>,
) -> Result<GenerationOptions, Fault> {
    let defaults = GenerationOptions::default();
    let sampler = match Sampler::try_from(spec.sampler) {
        Ok(Sampler::Unspecified | Sampler::Ddim) => SamplerKind::Ddim,
        Ok(Sampler::Pndm) => SamplerKind::Pndm,
        Ok(Sampler::Euler) => SamplerKind::Euler,
        Ok(Sampler::Dpmpp) => SamplerKind::DpmPp,
        Err(_) => return Err(unknown("sampler", spec.sampler)),
    };
    Ok(GenerationOptions {
        prompt: spec.prompt.clone(),
        negative_prompt: spec.negative_prompt.clone(),
        persons,
        seed: spec.seed,
        sampler,
        steps: spec.steps.unwrap_or(defaults.steps),
        guidance_scale: spec.guidance_scale.unwrap_or(defaults.guidance_scale),
        width: spec.width,
        height: spec.height,
        init_image: spec.init_image.as_ref().map(|given| read_init_image(given, init_image)).transpose()?,
    })
}

fn read_init_image(given: &proto::InitImage, file: Option<&[u8]>) -> Result<InitImage, Fault> {
    let file = file.ok_or_else(|| Fault::lasting("artifact_missing", "the init image is missing"))?;
    InitImage::read(file, given.strength.unwrap_or(limits::DEFAULT_STRENGTH)).map_err(|refused| {
        let PhotoRefused { code, sentence, hint, .. } = refused;
        Fault::lasting(code.as_str(), format!("the init image cannot be used: {sentence}; {hint}"))
    })
}

fn unknown(what: &str, number: i32) -> Fault {
    let message =
        format!("{what} {number} is not known to this worker: use a newer worker, or another {what}");
    Fault::passing("bad_spec", message)
}

#[cfg(test)]
mod tests {
    use likeness_diffusion::picture::RgbPicture;
    use likeness_shared::proto::{FreeParameterisation, Rand2Start, SphereParameterisation};

    use super::*;
    use crate::engine::Blame;

    #[test]
    fn an_empty_spec_takes_the_methods_defaults() {
        assert_eq!(inversion_options(&InversionSpec::default()).unwrap(), InversionOptions::default());
        assert_eq!(start(&InversionSpec::default(), None).unwrap(), Start::default());
        assert_eq!(
            generation_options(&GenerationSpec::default(), vec![], None).unwrap(),
            GenerationOptions::default()
        );
    }

    #[test]
    fn what_a_spec_says_arrives() {
        let free = FreeParameterisation { l2_mode: WireL2Mode::Coupled.into(), l2_weight: None };
        let spec = InversionSpec {
            steps: Some(7),
            seed: 3,
            flip: Some(false),
            templates: "ti27".into(),
            parameterisation: Some(proto::Parameterisation {
                kind: Some(parameterisation::Kind::None(free)),
            }),
            start: Some(proto::Start { kind: Some(start::Kind::Rand2(Rand2Start { seed: None })) }),
            ..InversionSpec::default()
        };
        let options = inversion_options(&spec).unwrap();
        assert_eq!(options.parameterisation, Parameterisation::None { l2: L2Mode::Coupled, weight: 0.01 });
        assert_eq!((options.steps, options.flip, options.templates.to_string()), (7, false, "ti27".into()));
        assert_eq!(
            start(&spec, None).unwrap(),
            Start::Rand2 { seed: 3 },
            "the task's seed unless one is given"
        );
    }

    #[test]
    fn a_start_from_names_says_which() {
        let of_kind = |kind| {
            let given = Some(proto::Start { kind: Some(kind) });
            start(&InversionSpec { start: given, ..InversionSpec::default() }, None)
        };
        let of = |names: &str| of_kind(start::Kind::Id(proto::IdStart { names: names.to_owned() }));
        let auto = |names: &str| of_kind(start::Kind::Auto(proto::AutoStart { names: names.to_owned() }));
        assert_eq!(of("").unwrap(), Start::Id { names: IdNames::Full });
        assert_eq!(of("parity").unwrap(), Start::Id { names: IdNames::Parity });
        assert!(of("all").unwrap_err().message.contains("\"all\""));
        assert_eq!(auto("").unwrap(), Start::Auto { names: IdNames::Full });
        assert_eq!(auto("parity").unwrap(), Start::Auto { names: IdNames::Parity });
        assert!(auto("all").unwrap_err().message.contains("\"all\""));
    }

    #[test]
    fn an_init_image_arrives_or_is_refused_with_its_reason() {
        let init_image = Some(proto::InitImage { artifact_digest: String::new(), strength: None });
        let spec = GenerationSpec { init_image, ..GenerationSpec::default() };
        let file = RgbPicture::new(2, 1, vec![200; 6]).unwrap().to_png(&[]).unwrap();
        let options = generation_options(&spec, vec![], Some(&file)).unwrap();
        assert_eq!(options.init_image, Some(InitImage::read(&file, 0.8).unwrap()));
        for (file, code) in [
            (Some(&b"GIF89a"[..]), "unsupported_format"),
            (Some(&file[..40]), "corrupt"),
            (None, "artifact_missing"),
        ] {
            let fault = generation_options(&spec, vec![], file).unwrap_err();
            assert_eq!((fault.code.as_str(), fault.blame), (code, Blame::Task));
            assert!(fault.message.starts_with("the init image "), "{fault}");
        }
    }

    #[test]
    fn what_the_paper_does_not_have_arrives_where_it_is_asked_for() {
        let sphere = parameterisation::Kind::Sphere(SphereParameterisation { kappa: None });
        let spec = InversionSpec {
            parameterisation: Some(proto::Parameterisation { kind: Some(sphere) }),
            timesteps: "uniform".into(),
            min_snr_gamma: Some(5.0),
            early_stop: Some(EarlyStop { window: Some(60), threshold: None }),
            keep_best: Some(25),
            background_weight: Some(0.2),
            ..InversionSpec::default()
        };
        let options = inversion_options(&spec).unwrap();
        assert_eq!(options.parameterisation, Parameterisation::Sphere { kappa: 1e-4 });
        assert_eq!((options.learning_rate, options.timesteps), (0.01, Timesteps::Uniform));
        let expected = Refinements {
            min_snr_gamma: Some(5.0),
            early_stop: Some(EarlyStopOptions { window: 60, threshold: 0.15 }),
            keep_best_every: Some(25),
            background_weight: Some(0.2),
        };
        assert_eq!((options.refinements.clone(), options.validate()), (expected, Ok(())));
        let unknown = InversionSpec { timesteps: "sorted".into(), ..InversionSpec::default() };
        assert!(inversion_options(&unknown).unwrap_err().message.contains("\"sorted\""));
    }

    #[test]
    fn values_of_a_newer_protocol_are_refused_by_number() {
        let spec = GenerationSpec { sampler: 99, ..GenerationSpec::default() };
        let fault = generation_options(&spec, vec![], None).unwrap_err();
        assert!(fault.message.contains("sampler 99") && fault.blame == Blame::Chance);
    }
}
