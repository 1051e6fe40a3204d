//! How the portraits of a bank are made: whatever changes them is here.

use serde::{Deserialize, Serialize};

use super::error::BankError;
use crate::FaceReader;
use crate::recognise::ChannelOrder;

/// What stands for the name in [`Recipe::prompt`].
pub const NAME_PLACE: &str = "{name}";

/// How portraits are drawn and read. Two builds with one recipe give the same portraits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// sha256 of the model that draws, lower-case hex.
    pub model_digest: String,
    /// What finds and knows the faces.
    pub networks: NetworksUsed,
    /// What is drawn; [`NAME_PLACE`] is the name.
    pub prompt: String,
    /// What is stayed away from.
    pub negative_prompt: String,
    /// Portraits of each name.
    pub portraits: u32,
    /// Seed of a name's first portrait; the next ones count on from it.
    pub seed: u64,
    /// The sampler's name, such as "ddim".
    pub sampler: String,
    /// The sampler's steps.
    pub steps: u32,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
}

/// The networks that read the portraits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworksUsed {
    /// What finds faces.
    pub detector: DetectorUsed,
    /// What knows them.
    pub recogniser: RecogniserUsed,
}

/// A detector and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorUsed {
    /// sha256 of its file, lower-case hex.
    pub digest: String,
    /// Larger pictures are scaled down to so many pixels first.
    pub side: u32,
    /// A find less sure than this is none.
    pub score: f32,
}

/// A recogniser and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecogniserUsed {
    /// sha256 of its file, lower-case hex.
    pub digest: String,
    /// "rgb" or "bgr".
    pub channels: String,
    /// What is subtracted from a pixel's value.
    pub mean: f32,
    /// What the difference is divided by.
    pub scale: f32,
}

impl NetworksUsed {
    /// Those of this reader.
    pub fn of(reader: &FaceReader) -> Self {
        let (detector, recogniser) = (reader.detector(), reader.recogniser());
        let channels = match recogniser.options().channels {
            ChannelOrder::Rgb => "rgb",
            ChannelOrder::Bgr => "bgr",
        };
        Self {
            detector: DetectorUsed {
                digest: hex::encode(detector.digest()),
                side: detector.options().side,
                score: detector.options().score,
            },
            recogniser: RecogniserUsed {
                digest: hex::encode(recogniser.digest()),
                channels: channels.to_owned(),
                mean: recogniser.options().mean,
                scale: recogniser.options().scale,
            },
        }
    }

    /// Refuses networks other than `self`'s.
    ///
    /// # Errors
    /// [`BankError::Networks`] with all that differs.
    pub fn check(&self, given: &Self) -> Result<(), BankError> {
        let mut differs = Vec::new();
        note(&mut differs, "the detector's sha256", &self.detector.digest, &given.detector.digest);
        note(&mut differs, "detector_side", self.detector.side, given.detector.side);
        note(&mut differs, "detector_score", self.detector.score, given.detector.score);
        note(&mut differs, "the recogniser's sha256", &self.recogniser.digest, &given.recogniser.digest);
        note(
            &mut differs,
            "the recogniser's channels",
            &self.recogniser.channels,
            &given.recogniser.channels,
        );
        note(&mut differs, "the recogniser's mean", self.recogniser.mean, given.recogniser.mean);
        note(&mut differs, "the recogniser's scale", self.recogniser.scale, given.recogniser.scale);
        if differs.is_empty() { Ok(()) } else { Err(BankError::Networks(differs.join(", "))) }
    }
}

impl Recipe {
    /// The prompt for a name.
    pub fn prompt_for(&self, name: &str) -> String {
        self.prompt.replace(NAME_PLACE, name)
    }

    /// Whether portraits of the one are those of the other; all that differs, in words. The model is left out where
    /// `other` does not know its own yet (its digest is empty).
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut differs = Vec::new();
        if !other.model_digest.is_empty() {
            note(&mut differs, "the model's digest", &self.model_digest, &other.model_digest);
        }
        if let Err(BankError::Networks(networks)) = self.networks.check(&other.networks) {
            differs.push(networks);
        }
        note(&mut differs, "the prompt", &self.prompt, &other.prompt);
        note(&mut differs, "the negative prompt", &self.negative_prompt, &other.negative_prompt);
        note(&mut differs, "portraits", self.portraits, other.portraits);
        note(&mut differs, "the seed", self.seed, other.seed);
        note(&mut differs, "the sampler", &self.sampler, &other.sampler);
        note(&mut differs, "steps", self.steps, other.steps);
        note(&mut differs, "guidance", self.guidance_scale, other.guidance_scale);
        differs
    }
}

/// "steps was 50 and is 20".
fn note<T: PartialEq + std::fmt::Display>(differs: &mut Vec<String>, what: &str, was: T, is: T) {
    if was != is {
        let shown = |value: T| match value.to_string() {
            empty if empty.is_empty() => "nothing".to_owned(),
            text => text,
        };
        differs.push(format!("{what} was {} and is {}", shown(was), shown(is)));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::bank) fn recipe() -> Recipe {
        let detector = DetectorUsed { digest: "d1".into(), side: 640, score: 0.7 };
        let recogniser =
            RecogniserUsed { digest: "r1".into(), channels: "rgb".into(), mean: 127.5, scale: 128.0 };
        Recipe {
            model_digest: "m1".into(),
            networks: NetworksUsed { detector, recogniser },
            prompt: "a photo of {name}".into(),
            negative_prompt: String::new(),
            portraits: 4,
            seed: 0,
            sampler: "ddim".into(),
            steps: 20,
            guidance_scale: 7.5,
        }
    }

    #[test]
    fn all_that_differs_is_said() {
        let was = recipe();
        assert_eq!(was.differences(&recipe()), [""; 0]);
        assert_eq!(was.prompt_for("ann lee"), "a photo of ann lee");
        let unknown = Recipe { model_digest: String::new(), ..recipe() };
        assert_eq!(was.differences(&unknown), [""; 0], "a model that is not known yet differs from none");
        let mut other = Recipe { model_digest: "m2".into(), steps: 50, ..recipe() };
        other.networks.recogniser.mean = 0.0;
        let said = was.differences(&other).join("; ");
        for word in ["digest was m1 and is m2", "steps was 20 and is 50", "mean was 127.5 and is 0"] {
            assert!(said.contains(word), "{said}");
        }
        let refused = was.networks.check(&other.networks).unwrap_err().to_string();
        assert!(refused.contains("mean was 127.5") && refused.contains("build"), "{refused}");
    }
}
