//! What the networks see in the photos of people and in drawn pictures.

use anyhow::{Context, bail};
use likeness_diffusion::picture::RgbPicture;
use likeness_faces::intake::{PhotoLimits, RgbPixels, read_photo};
use likeness_faces::recognise::Embedding;
use likeness_worker::score::{Against, Drawn, Evaluate, Evaluation, Evaluator, Seen, read_as_person};

use super::people::Person;
use super::plan::Plan;
use crate::commands::photos::PhotoFile;
use crate::output::Voice;
use crate::progress::{Meter, Standing};

/// Everything that pictures are held against.
pub(super) struct Looked {
    evaluator: Evaluator,
    people: Vec<Photos>,
    prompts: Vec<Embedding>,
}

/// What was seen in a person's photos.
struct Photos {
    learned: Vec<Seen>,
    held_out: Vec<Seen>,
}

impl Looked {
    /// Looks at the photos of all people.
    pub(super) fn at(
        evaluator: Evaluator,
        people: &[Person],
        plan: &Plan,
        voice: Voice,
    ) -> anyhow::Result<Self> {
        let mut meter = Meter::new(voice, "photos");
        let total =
            people.iter().map(|person| person.photos.len() + person.held_out.len()).sum::<usize>() as u64;
        let mut step = 0;
        let mut look_at = |person: &Person, files: &[PhotoFile]| {
            let mut seen = Vec::new();
            for (index, file) in files.iter().enumerate() {
                meter.show(Standing { phase: "look".into(), step, total, ..Standing::default() });
                step += 1;
                let what = || format!("photo {} of {}", index + 1, person.name);
                let photo = photo(&evaluator, file).with_context(what)?;
                if photo.face.is_none() {
                    voice.warn(format_args!("{}: the judge sees no face", what()));
                }
                seen.push(photo);
            }
            anyhow::Ok(seen)
        };
        let mut looked = Vec::new();
        for person in people {
            let photos = Photos {
                learned: look_at(person, &person.photos)?,
                held_out: look_at(person, &person.held_out)?,
            };
            if photos.learned.iter().all(|photo| photo.face.is_none()) {
                bail!(
                    "no photo of {} shows a face that the judge sees, so nothing can be like it",
                    person.name
                );
            }
            looked.push(photos);
        }
        meter.finish(format_args!("{total} looked at"));
        let texts: Vec<String> =
            plan.prompts.iter().map(|prompt| read_as_person(prompt, &plan.placeholder)).collect();
        let prompts = evaluator.prompts(&texts)?.unwrap_or_default();
        Ok(Self { evaluator, people: looked, prompts })
    }

    /// The scores of pictures of this person, each with its prompt.
    pub(super) fn evaluate(
        &self,
        person: usize,
        pictures: &[(usize, RgbPicture)],
    ) -> anyhow::Result<Evaluation> {
        let photos = self.people.get(person).context("nobody of this number")?;
        let others: Vec<Seen> = self
            .people
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != person)
            .flat_map(|(_, photos)| photos.learned.iter().cloned())
            .collect();
        let mut drawn = Vec::new();
        for (prompt, picture) in pictures {
            drawn.push(Drawn { prompt: *prompt, seen: self.evaluator.look(picture)? });
        }
        let against = Against {
            photos: &photos.learned,
            held_out: &photos.held_out,
            others: &others,
            prompts: &self.prompts,
        };
        Evaluation::of(&drawn, against).context("there are no pictures to score")
    }
}

fn photo(evaluator: &Evaluator, file: &PhotoFile) -> anyhow::Result<Seen> {
    let photo = match read_photo(&file.bytes, &PhotoLimits::default()) {
        Ok(photo) => photo,
        Err(refused) => bail!("{}; {}", refused.sentence, refused.hint),
    };
    let RgbPixels { width, height, pixels } = photo.picture().clone();
    Ok(evaluator.look(&RgbPicture { width, height, pixels })?)
}
