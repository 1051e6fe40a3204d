//! The quality report of an inversion: what is asked for, the figures as the protocol has them, the scores that the person file
//! keeps, and why there is none.

use likeness_diffusion::person_file::keys;
use likeness_shared::limits;
use likeness_shared::proto::{
    IdentityFigures, InversionSpec, PictureFigures, PromptFigures, QualityAbsence, QualityReport,
};

use super::placeholder;
use crate::generation::{GenerationOptions, Person};
use crate::score::{Evaluation, EvaluatorNetworks, Identity, PictureScore, mean, read_as_person};

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QualityOptions {
    pub(super) prompts: Vec<String>,
    /// Of each prompt.
    pub(super) pictures: usize,
    steps: u32,
    guidance_scale: f64,
    placeholder: String,
}

impl QualityOptions {
    /// Where the spec asks for a report.
    pub(super) fn of(spec: &InversionSpec) -> Option<Self> {
        let request = spec.quality.as_ref()?;
        let placeholder = placeholder(spec).to_owned();
        let prompts = match request.prompts.as_slice() {
            [] => limits::default_quality_prompts(&placeholder),
            prompts => prompts.to_vec(),
        };
        Some(Self {
            prompts,
            pictures: request.pictures.unwrap_or(limits::DEFAULT_QUALITY_PICTURES).max(1) as usize,
            steps: request.sampler_steps.unwrap_or(limits::DEFAULT_QUALITY_STEPS),
            guidance_scale: request.guidance_scale.unwrap_or(limits::DEFAULT_GUIDANCE_SCALE),
            placeholder,
        })
    }

    /// Pictures of all prompts.
    pub(super) fn total(&self) -> usize {
        self.prompts.len() * self.pictures
    }

    /// Which prompt picture `index` is of, and its seed. The seeds are the same for every prompt and person: what differs between two
    /// reports is not the noise.
    pub(super) fn place(&self, index: usize) -> (usize, u64) {
        let pictures = self.pictures.max(1);
        (index / pictures, (index % pictures) as u64)
    }

    /// Picture `index` of this person.
    pub(super) fn picture(&self, index: usize, vectors: &[Vec<f32>]) -> GenerationOptions {
        let (prompt, seed) = self.place(index);
        let person =
            Person { placeholder: self.placeholder.clone(), id: String::new(), vectors: vectors.to_vec() };
        GenerationOptions {
            prompt: self.prompts.get(prompt).cloned().unwrap_or_default(),
            persons: vec![person],
            seed,
            steps: self.steps,
            guidance_scale: self.guidance_scale,
            ..GenerationOptions::default()
        }
    }

    /// The prompts as CLIP is to read them.
    pub(super) fn as_read(&self) -> Vec<String> {
        self.prompts.iter().map(|prompt| read_as_person(prompt, &self.placeholder)).collect()
    }
}

/// The figures as the protocol has them. `looked_at` are the photos learned from and those held out; pictures are in the order of
/// [`QualityOptions::place`], without digests.
pub(super) fn report(
    evaluation: &Evaluation,
    options: &QualityOptions,
    looked_at: (usize, usize),
    networks: &EvaluatorNetworks,
) -> QualityReport {
    let prompts = options.prompts.iter().zip(evaluation.pictures.chunks(options.pictures.max(1)));
    QualityReport {
        identity: Some(identity(&evaluation.identity, looked_at.0)),
        held_out: evaluation.held_out.as_ref().map(|held_out| identity(held_out, looked_at.1)),
        clip: evaluation.clip,
        aggregate_of_means: evaluation.aggregate.map(|aggregate| aggregate.of_means),
        mean_of_products: evaluation.aggregate.map(|aggregate| aggregate.mean_of_products),
        diversity: evaluation.diversity,
        copy: evaluation.copy,
        nearest_copy: evaluation.nearest_copy,
        pictures: count(evaluation.pictures.len()),
        prompts: prompts.map(|(prompt, pictures)| of_prompt(prompt, pictures)).collect(),
        detector_digest: networks.detector.clone(),
        judge_digest: networks.judge.clone(),
        clip_digest: networks.clip.clone().unwrap_or_default(),
        judged_by_chooser: networks.judged_by_chooser,
    }
}

fn identity(identity: &Identity, photos: usize) -> IdentityFigures {
    IdentityFigures {
        id: identity.id,
        face_rate: identity.face_rate,
        id_where_found: identity.id_where_found,
        ceiling: identity.ceiling,
        floor: identity.floor,
        normalised_id: identity.normalised(),
        photos: count(photos),
    }
}

fn of_prompt(prompt: &str, pictures: &[PictureScore]) -> PromptFigures {
    let clip: Option<Vec<f64>> = pictures.iter().map(|picture| picture.clip).collect();
    let figures = pictures.iter().zip(0..).map(|(picture, seed)| PictureFigures {
        artifact_digest: String::new(),
        seed,
        face: picture.face,
        id: picture.id,
        clip: picture.clip,
    });
    PromptFigures {
        prompt: prompt.to_owned(),
        id: mean(pictures.iter().map(|picture| picture.id)).unwrap_or_default(),
        face_rate: mean(pictures.iter().map(|picture| f64::from(u8::from(picture.face)))).unwrap_or_default(),
        clip: clip.and_then(mean),
        pictures: figures.collect(),
    }
}

/// What the person file says of its quality.
pub(super) fn scores(report: &QualityReport) -> Vec<(&'static str, String)> {
    let learned = report.identity.as_ref();
    let figures = [
        (keys::ID, learned.map(|figures| figures.id)),
        (keys::CEILING, learned.and_then(|figures| figures.ceiling)),
        (keys::FACE_RATE, learned.map(|figures| figures.face_rate)),
        (keys::HELD_OUT_ID, report.held_out.as_ref().map(|figures| figures.id)),
        (keys::CLIP, report.clip),
        (keys::AGGREGATE, report.aggregate_of_means),
    ];
    let digests = [(keys::JUDGE, &report.judge_digest), (keys::CLIP_MODEL, &report.clip_digest)];
    let digests = digests.into_iter().filter(|(_, digest)| !digest.is_empty());
    figures
        .into_iter()
        .filter_map(|(key, figure)| Some((key, format!("{:.6}", figure?))))
        .chain(digests.map(|(key, digest)| (key, digest.clone())))
        .collect()
}

/// There is no report.
pub(super) fn absent(code: &str, message: impl std::fmt::Display) -> QualityAbsence {
    QualityAbsence { code: code.to_owned(), message: message.to_string() }
}

/// This worker cannot make one.
pub(super) fn no_networks() -> QualityAbsence {
    absent(
        "no_networks",
        "the worker has no networks for faces: configure faces.detector and faces.recogniser, best with faces.judge and faces.clip, \
         and learn again",
    )
}

/// There is nobody to be like.
pub(super) fn no_face() -> QualityAbsence {
    absent("no_face", "no face was found in any photo: send photos that show the person's face")
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use likeness_shared::proto::QualityRequest;

    use super::*;
    use crate::score::Aggregate;

    fn options() -> QualityOptions {
        let request = QualityRequest {
            prompts: vec!["a photo of zwx".to_owned(), "zwx, smiling".to_owned()],
            pictures: Some(2),
            sampler_steps: Some(3),
            ..QualityRequest::default()
        };
        let (placeholder, quality) = ("zwx".to_owned(), Some(request));
        QualityOptions::of(&InversionSpec { placeholder, quality, ..InversionSpec::default() }).unwrap()
    }

    #[test]
    fn pictures_go_prompt_by_prompt_from_the_same_seeds() {
        let options = options();
        assert_eq!(options.total(), 4);
        let drawn = [0, 1, 2, 3].map(|index| {
            let picture = options.picture(index, &[vec![0.5]]);
            assert_eq!((picture.steps, picture.guidance_scale), (3, 7.5));
            (picture.prompt, picture.seed)
        });
        let expected =
            [("a photo of zwx", 0), ("a photo of zwx", 1), ("zwx, smiling", 0), ("zwx, smiling", 1)];
        assert_eq!(drawn, expected.map(|(prompt, seed)| (prompt.to_owned(), seed)));
        assert_eq!(options.as_read(), ["a photo of person", "person, smiling"]);
        assert_eq!(QualityOptions::of(&InversionSpec::default()), None);
    }

    #[test]
    fn the_report_and_the_file_say_what_was_found_and_nothing_else() {
        let score = |face, id, clip| PictureScore { prompt: 0, face, id, clip: Some(clip) };
        let evaluation = Evaluation {
            identity: Identity {
                id: 0.45,
                face_rate: 0.75,
                id_where_found: Some(0.6),
                ceiling: Some(0.8),
                floor: None,
            },
            held_out: None,
            clip: Some(0.25),
            aggregate: Some(Aggregate { of_means: 1.8125, mean_of_products: 1.82 }),
            diversity: Some(0.2),
            copy: None,
            nearest_copy: None,
            pictures: vec![
                score(true, 0.5, 0.2),
                score(false, 0.0, 0.3),
                score(true, 0.6, 0.2),
                score(true, 0.7, 0.4),
            ],
        };
        let networks = EvaluatorNetworks { judge: "aa".to_owned(), ..EvaluatorNetworks::default() };
        let report = report(&evaluation, &options(), (5, 0), &networks);
        let learned = report.identity.unwrap();
        assert_eq!((learned.photos, learned.normalised_id, report.held_out), (5, None, None));
        let [first, second] = report.prompts.as_slice() else { panic!("{:?}", report.prompts) };
        assert_eq!((first.id, first.face_rate, first.clip), (0.25, 0.5, Some(0.25)));
        assert_eq!((second.pictures[1].seed, second.pictures[1].id), (1, 0.7));
        let said: Vec<_> = scores(&report).into_iter().map(|(key, value)| format!("{key} {value}")).collect();
        assert_eq!(
            said,
            [
                "likeness.id 0.450000",
                "likeness.ceiling 0.800000",
                "likeness.face_rate 0.750000",
                "likeness.clip 0.250000",
                "likeness.aggregate 1.812500",
                "likeness.judge aa",
            ]
        );
    }
}
