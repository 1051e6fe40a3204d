//! Checks a [`QualityRequest`] and writes its defaults into it.

use super::{
    Checks, DEFAULT_GUIDANCE_SCALE, DEFAULT_QUALITY_PICTURES, DEFAULT_QUALITY_STEPS, MAX_GUIDANCE_SCALE,
    MAX_PICTURES, MAX_QUALITY_PICTURES, MAX_QUALITY_PROMPT_BYTES, MAX_QUALITY_PROMPTS, MAX_SAMPLER_STEPS,
    MIN_PHOTOS,
};
use crate::proto::{InversionSpec, QualityRequest};

/// What is drawn for a report where the request does not say: neutral prompts, most of them of another place than the photos'.
#[must_use]
pub fn default_quality_prompts(placeholder: &str) -> Vec<String> {
    ["a photo of", "a close-up photo of"]
        .map(|words| format!("{words} {placeholder}"))
        .into_iter()
        .chain(["in the snow", "on a beach"].map(|place| format!("a photo of {placeholder} {place}")))
        .collect()
}

/// Fills in what the spec asks for, where it asks for a report; returns the photos that are to be kept from the training. The
/// placeholder is filled in.
pub(super) fn fill_quality(spec: &mut InversionSpec, photos: u32, checks: &mut Checks) -> u32 {
    let placeholder = spec.placeholder.as_str();
    let Some(request) = &mut spec.quality else { return 0 };
    if request.prompts.is_empty() {
        request.prompts = default_quality_prompts(placeholder);
    }
    check_prompts(request, placeholder, checks);
    let pictures = *request.pictures.get_or_insert(DEFAULT_QUALITY_PICTURES);
    checks.whole("spec.quality.pictures", pictures, 1..=MAX_QUALITY_PICTURES);
    let all = (request.prompts.len() as u64).saturating_mul(pictures.into());
    let few_enough = all <= MAX_PICTURES.into() || pictures > MAX_QUALITY_PICTURES;
    checks.require(few_enough, "spec.quality.pictures", || {
        format!("all prompts together can have {MAX_PICTURES} pictures, not {all}")
    });
    let steps = *request.sampler_steps.get_or_insert(DEFAULT_QUALITY_STEPS);
    checks.whole("spec.quality.sampler_steps", steps, 1..=MAX_SAMPLER_STEPS);
    let guidance = *request.guidance_scale.get_or_insert(DEFAULT_GUIDANCE_SCALE);
    checks.within("spec.quality.guidance_scale", guidance, 1.0, MAX_GUIDANCE_SCALE);
    let held_out = *request.held_out.get_or_insert(0);
    let most = photos.saturating_sub(MIN_PHOTOS as u32);
    checks.require(held_out <= most, "spec.quality.held_out", || {
        format!("must leave {MIN_PHOTOS} of {photos} photos to learn from: at most {most}, not {held_out}")
    });
    held_out.min(most)
}

fn check_prompts(request: &QualityRequest, placeholder: &str, checks: &mut Checks) {
    let count = request.prompts.len();
    checks.require(count <= MAX_QUALITY_PROMPTS, "spec.quality.prompts", || {
        format!("at most {MAX_QUALITY_PROMPTS} prompts, not {count}")
    });
    for (index, prompt) in request.prompts.iter().enumerate().take(MAX_QUALITY_PROMPTS) {
        let field = format!("spec.quality.prompts[{index}]");
        checks.prose(&field, prompt, MAX_QUALITY_PROMPT_BYTES);
        checks.require(prompt.contains(placeholder), &field, || {
            format!("must hold the placeholder {placeholder:?}, or the person is not in the picture")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(quality: QualityRequest, photos: u32) -> (QualityRequest, u32, Vec<String>) {
        let placeholder = "zwx".to_owned();
        let mut spec = InversionSpec { placeholder, quality: Some(quality), ..InversionSpec::default() };
        let mut checks = Checks::new();
        let held_out = fill_quality(&mut spec, photos, &mut checks);
        let fields = checks.into_violations().into_iter().map(|violation| violation.field).collect();
        (spec.quality.unwrap(), held_out, fields)
    }

    #[test]
    fn a_report_gets_the_documented_defaults() {
        let (request, held_out, wrong) = filled(QualityRequest::default(), 5);
        assert_eq!((held_out, wrong), (0, vec![]));
        assert_eq!((request.pictures, request.sampler_steps, request.held_out), (Some(2), Some(20), Some(0)));
        assert_eq!(request.guidance_scale, Some(7.5));
        assert_eq!(request.prompts.len(), 4);
        assert!(request.prompts.iter().all(|prompt| prompt.contains("zwx")));
    }

    #[test]
    fn every_fault_of_a_request_is_named() {
        let request = QualityRequest {
            prompts: vec!["a photo of sks".to_owned(), "zwx ".repeat(200)],
            pictures: Some(9),
            sampler_steps: Some(0),
            guidance_scale: Some(f64::NAN),
            held_out: Some(3),
        };
        let (_, held_out, wrong) = filled(request, 5);
        let fields = ["prompts[0]", "prompts[1]", "pictures", "sampler_steps", "guidance_scale", "held_out"];
        assert_eq!(wrong, fields.map(|field| format!("spec.quality.{field}")));
        assert_eq!(held_out, 2, "three are learned from in any case");
        let many = QualityRequest {
            prompts: vec!["zwx".to_owned(); 16],
            pictures: Some(5),
            ..QualityRequest::default()
        };
        assert_eq!(filled(many, 5).2, ["spec.quality.pictures"]);
    }
}
