//! Checks an [`InversionSpec`] and writes its defaults into it.

use super::quality::fill_quality;
use super::{
    Checks, DEFAULT_BATCH_SIZE, DEFAULT_INVERSION_STEPS, DEFAULT_KAPPA, DEFAULT_L2_WEIGHT,
    DEFAULT_LEARNING_RATE, DEFAULT_LOG_NORM_BASE, DEFAULT_PLACEHOLDER, DEFAULT_SPHERE_LEARNING_RATE,
    DEFAULT_START_PHRASE, DEFAULT_STOP_THRESHOLD, DEFAULT_STOP_WINDOW, MAX_BATCH_SIZE, MAX_INVERSION_STEPS,
    MAX_PHOTOS, MIN_PHOTOS, STOP_WINDOWS,
};
use crate::ids::{Digest, PersonName};
use crate::proto::{
    Consent, FreeParameterisation, InversionSpec, L2Mode, LogNormParameterisation, Parameterisation,
    PhraseStart, Start, parameterisation, start,
};

/// The spec with every unset field at its documented default; what cannot be accepted is noted in `checks` under
/// `spec.`. The model's name stays empty where the fleet's default is meant.
pub fn fill_inversion(spec: Option<InversionSpec>, checks: &mut Checks) -> InversionSpec {
    let Some(mut spec) = spec else {
        checks.refuse("spec", "is missing: say what to learn");
        return InversionSpec::default();
    };
    checks.model("spec.model", &spec.model);
    check_photos(&spec.photo_digests, checks);
    checks.parse::<PersonName>("spec.person_name", &spec.person_name);
    if spec.placeholder.is_empty() {
        spec.placeholder = DEFAULT_PLACEHOLDER.to_owned();
    }
    checks.placeholder("spec.placeholder", &spec.placeholder);
    spec.start = Some(fill_start(spec.start.take(), spec.seed, checks));
    let parameterisation = fill_parameterisation(spec.parameterisation.take(), checks);
    let default_rate = match &parameterisation.kind {
        Some(parameterisation::Kind::Sphere(_)) => DEFAULT_SPHERE_LEARNING_RATE,
        _ => DEFAULT_LEARNING_RATE,
    };
    spec.parameterisation = Some(parameterisation);

    checks.whole("spec.steps", *spec.steps.get_or_insert(DEFAULT_INVERSION_STEPS), 1..=MAX_INVERSION_STEPS);
    let photos = u32::try_from(spec.photo_digests.len()).unwrap_or(u32::MAX);
    let learned_from = photos.saturating_sub(fill_quality(&mut spec, photos, checks));
    let batch_size = *spec.batch_size.get_or_insert(DEFAULT_BATCH_SIZE.min(learned_from).max(1));
    checks.whole("spec.batch_size", batch_size, 1..=MAX_BATCH_SIZE);
    let rate = *spec.learning_rate.get_or_insert(default_rate);
    checks.above("spec.learning_rate", rate, 0.0, 10.0);
    let norm_rate = *spec.norm_learning_rate.get_or_insert(rate);
    if norm_rate.to_bits() != rate.to_bits() {
        checks.above("spec.norm_learning_rate", norm_rate, 0.0, 10.0);
    }
    spec.flip.get_or_insert(true);
    match spec.templates.as_str() {
        "" => spec.templates = "face".to_owned(),
        "face" | "ti27" => {}
        other => checks.refuse("spec.templates", format!("must be \"face\" or \"ti27\", not {other:?}")),
    }
    if let Some(every) = spec.preview_every {
        checks.whole("spec.preview_every", every, 1..=MAX_INVERSION_STEPS);
    }
    if let Some(least) = spec.min_photos {
        let few = MIN_PHOTOS as u32;
        checks.whole("spec.min_photos", least, few..=photos.max(few));
    }
    fill_refinements(&mut spec, checks);
    check_consent(spec.consent.as_ref(), checks);
    spec
}

/// What is off unless it is asked for.
fn fill_refinements(spec: &mut InversionSpec, checks: &mut Checks) {
    match spec.timesteps.as_str() {
        "" => spec.timesteps = "stratified".to_owned(),
        "stratified" | "uniform" => {}
        other => {
            let description = format!("must be \"stratified\" or \"uniform\", not {other:?}");
            checks.refuse("spec.timesteps", description);
        }
    }
    if let Some(gamma) = spec.min_snr_gamma {
        checks.above("spec.min_snr_gamma", gamma, 0.0, 1000.0);
    }
    if let Some(stop) = &mut spec.early_stop {
        let window = *stop.window.get_or_insert(DEFAULT_STOP_WINDOW);
        checks.whole("spec.early_stop.window", window, STOP_WINDOWS);
        let threshold = *stop.threshold.get_or_insert(DEFAULT_STOP_THRESHOLD);
        checks.above("spec.early_stop.threshold", threshold, 0.0, 1.0);
    }
    if let Some(every) = spec.keep_best {
        checks.whole("spec.keep_best", every, 1..=MAX_INVERSION_STEPS);
    }
    if let Some(weight) = spec.background_weight {
        checks.above("spec.background_weight", weight, 0.0, 1.0);
    }
}

fn check_photos(digests: &[String], checks: &mut Checks) {
    checks.require((MIN_PHOTOS..=MAX_PHOTOS).contains(&digests.len()), "spec.photo_digests", || {
        format!("an inversion needs {MIN_PHOTOS} to {MAX_PHOTOS} photos, not {}", digests.len())
    });
    for (index, digest) in digests.iter().enumerate().take(MAX_PHOTOS) {
        checks.parse::<Digest>(&format!("spec.photo_digests[{index}]"), digest);
    }
}

fn fill_start(start: Option<Start>, task_seed: u64, checks: &mut Checks) -> Start {
    let mut kind =
        start.and_then(|start| start.kind).unwrap_or_else(|| start::Kind::Face(PhraseStart::default()));
    match &mut kind {
        start::Kind::Face(face) => {
            if face.phrase.is_empty() {
                face.phrase = DEFAULT_START_PHRASE.to_owned();
            }
            checks.prose("spec.start.face.phrase", &face.phrase, 256);
        }
        start::Kind::Rand2(rand2) => {
            rand2.seed.get_or_insert(task_seed);
        }
        start::Kind::Id(id) => fill_names(&mut id.names, "spec.start.id.names", checks),
        start::Kind::Auto(auto) => fill_names(&mut auto.names, "spec.start.auto.names", checks),
        start::Kind::Vectors(vectors) => {
            checks.parse::<Digest>("spec.start.vectors.artifact_digest", &vectors.artifact_digest);
        }
    }
    Start { kind: Some(kind) }
}

/// Which names a start may take.
fn fill_names(names: &mut String, field: &str, checks: &mut Checks) {
    match names.as_str() {
        "" => *names = "full".to_owned(),
        "full" | "parity" => {}
        other => {
            let description = format!("must be \"full\" or \"parity\", not {other:?}");
            checks.refuse(field, description);
        }
    }
}

fn fill_parameterisation(given: Option<Parameterisation>, checks: &mut Checks) -> Parameterisation {
    let mut kind = given
        .and_then(|given| given.kind)
        .unwrap_or_else(|| parameterisation::Kind::LogNorm(LogNormParameterisation::default()));
    match &mut kind {
        parameterisation::Kind::LogNorm(log_norm) => {
            let base = *log_norm.base.get_or_insert(DEFAULT_LOG_NORM_BASE);
            checks.above("spec.parameterisation.log_norm.base", base, 1.0, 1000.0);
        }
        parameterisation::Kind::None(free) => fill_free(free, checks),
        parameterisation::Kind::Sphere(sphere) => {
            let kappa = *sphere.kappa.get_or_insert(DEFAULT_KAPPA);
            checks.within("spec.parameterisation.sphere.kappa", kappa, 0.0, 1.0);
        }
    }
    Parameterisation { kind: Some(kind) }
}

fn fill_free(free: &mut FreeParameterisation, checks: &mut Checks) {
    match L2Mode::try_from(free.l2_mode) {
        Ok(L2Mode::Unspecified) => free.set_l2_mode(L2Mode::Decoupled),
        Ok(_) => {}
        Err(_) => {
            let description = format!("{} is not a mode that this version knows", free.l2_mode);
            checks.refuse("spec.parameterisation.none.l2_mode", description);
        }
    }
    let weight = *free.l2_weight.get_or_insert(DEFAULT_L2_WEIGHT);
    checks.within("spec.parameterisation.none.l2_weight", weight, 0.0, 100.0);
}

fn check_consent(consent: Option<&Consent>, checks: &mut Checks) {
    let Some(consent) = consent else {
        let description = "is missing: name the consent text to which the person shown agreed";
        return checks.refuse("spec.consent", description);
    };
    checks.require((1..=64).contains(&consent.version.len()), "spec.consent.version", || {
        "must be 1 to 64 bytes: the version of the consent text".to_owned()
    });
    checks.parse::<Digest>("spec.consent.statement_sha256", &consent.statement_sha256);
}
