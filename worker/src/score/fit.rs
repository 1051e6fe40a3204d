//! Fit to the words: pictures against their prompts.

use likeness_faces::recognise::Embedding;

use super::identity::cosine;

/// What a placeholder is read as: CLIP has never heard of the learned word.
pub const PERSON: &str = "person";

/// The prompt as CLIP is to read it.
pub fn read_as_person(prompt: &str, placeholder: &str) -> String {
    if placeholder.is_empty() { prompt.to_owned() } else { prompt.replace(placeholder, PERSON) }
}

/// `clip` of each picture: the cosine to its prompt, of directions that one CLIP model gave of pictures and prompts, pair by pair.
pub fn fit<'a>(pairs: impl IntoIterator<Item = (&'a Embedding, &'a Embedding)>) -> Vec<f64> {
    pairs.into_iter().map(|(picture, prompt)| cosine(picture, prompt)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::{direction, near};

    #[test]
    fn a_picture_is_held_against_its_own_prompt() {
        let (right, up, between) = (direction(1.0, 0.0), direction(0.0, 1.0), direction(3.0, 4.0));
        let fits = fit([(&between, &right), (&between, &up), (&right, &up)]);
        for (found, expected) in fits.into_iter().zip([0.6, 0.8, 0.0]) {
            near(found, expected);
        }
    }

    #[test]
    fn the_placeholder_is_a_person_to_clip() {
        assert_eq!(read_as_person("a photo of <face>, <face>!", "<face>"), "a photo of person, person!");
        assert_eq!(read_as_person("a photo", ""), "a photo");
    }
}
