//! Where the vectors begin: a phrase, a name, two names, the best of a phrase and names, or vectors given by the caller.
//!
//! A start is K x D: K rows of the frozen token table (D is the text encoder's width), or a person file.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use likeness_diffusion::person_file::{PersonFile, PersonFileError};
use likeness_diffusion::rng::{CounterRng, Purpose};
use likeness_diffusion::stable_diffusion::StableDiffusion;

/// Most tokens of a name that an `id` or `auto` start takes.
const MAX_NAME_TOKENS: usize = 4;
/// The phrase of the `face` start.
pub const FACE_PHRASE: &str = "human face";
/// The file of names in a model folder, one name a line.
pub const NAMES_FILE: &str = "names.txt";
/// Most vectors that a person may have.
pub const MAX_VECTORS: usize = 16;

/// A kind of start.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// The token vectors of a phrase, one vector per token.
    Face {
        /// The phrase; [`FACE_PHRASE`] is the method's.
        phrase: String,
    },
    /// The first-position vector of one name and the second-position vector of another.
    Rand2 {
        /// Which pair.
        seed: u64,
    },
    /// The vectors of the name of a bank that is most like the person. Whoever has bank and photos makes [`Start::Tokens`] of it.
    Id {
        /// Which names.
        names: IdNames,
    },
    /// The best of [`FACE_PHRASE`] and the names of a bank that are most like the person. Whoever has bank and photos compares
    /// them; without either it is the phrase.
    Auto {
        /// Which names.
        names: IdNames,
    },
    /// The vectors of these tokens.
    Tokens {
        /// What they stand for, as [`Start::kind`] says it.
        kind: &'static str,
        /// One for each vector.
        ids: Vec<u32>,
    },
    /// Given vectors, K x D.
    Vectors(Vec<Vec<f32>>),
}

/// The names that an `id` or `auto` start may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdNames {
    /// Those of 1 to 4 tokens: the person has as many vectors as the name.
    #[default]
    Full,
    /// Those of two tokens, as the paper has it.
    Parity,
}

impl IdNames {
    /// How many tokens a name may have.
    pub fn lengths(self) -> RangeInclusive<usize> {
        match self {
            Self::Full => 1..=MAX_NAME_TOKENS,
            Self::Parity => 2..=2,
        }
    }

    /// Whether a name of so many tokens may be taken.
    pub fn takes(self, tokens: usize) -> bool {
        self.lengths().contains(&tokens)
    }

    /// Which they are, in words.
    pub fn described(self) -> &'static str {
        match self {
            Self::Full => "1 to 4 tokens",
            Self::Parity => "two tokens",
        }
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::Face { phrase: FACE_PHRASE.to_owned() }
    }
}

/// Why no start could be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A phrase of nothing.
    #[error("the start phrase {0:?} has no tokens: give at least one word, such as \"human face\"")]
    EmptyPhrase(String),
    /// More vectors than a person may have.
    #[error("the start has {0} vectors, at most {MAX_VECTORS} are possible: give a shorter phrase")]
    TooMany(usize),
    /// The model comes without names.
    #[error(
        "rand2 needs the names that the model knows, and {path} cannot be read ({source}): put one name a line there, or start from \"face\""
    )]
    NoNames {
        /// Where the names should be.
        path: PathBuf,
        /// Why they could not be read.
        source: io::Error,
    },
    /// Too few names of two tokens.
    #[error(
        "rand2 needs two names of exactly two tokens, {place} has {found}: add names, or start from \"face\""
    )]
    TooFewNames {
        /// Where the names are.
        place: String,
        /// Names of two tokens in it.
        found: usize,
    },
    /// The vectors belong to another family of models.
    #[error(
        "the start vectors are {found} wide, the model's token vectors {expected}: use a person learned on a model of the same family"
    )]
    Width {
        /// Width of the vectors.
        found: usize,
        /// Width of the model.
        expected: usize,
    },
    /// No vectors at all.
    #[error("the start has no vectors")]
    Empty,
    /// The file of vectors is unreadable.
    #[error("the start's person file cannot be used: {0}")]
    File(#[from] PersonFileError),
    /// The phrase or a name cannot be tokenized.
    #[error("{text:?} cannot be tokenized: {reason}")]
    Tokens {
        /// The phrase or name.
        text: String,
        /// What the tokenizer said.
        reason: String,
    },
    /// An `id` start that nobody has made tokens of.
    #[error("the start \"id\" needs a bank of names and photos: start from \"face\"")]
    NoBank,
    /// The device gave no token vectors.
    #[error("the token table could not be read: {0}")]
    Table(String),
}

impl Start {
    /// The start that a person file holds.
    pub fn from_person_file(bytes: &[u8]) -> Result<Self, StartError> {
        Ok(Self::Vectors(PersonFile::read(bytes)?.vectors))
    }

    /// The word under which files and reports name the start.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Face { .. } => "face",
            Self::Rand2 { .. } => "rand2",
            Self::Id { .. } => "id",
            Self::Auto { .. } => "auto",
            Self::Tokens { kind, .. } => kind,
            Self::Vectors(_) => "vectors",
        }
    }

    /// The start vectors, K x D, in f32. `model_folder` is where [`NAMES_FILE`] lies (`rand2` only).
    pub fn vectors(&self, model: &StableDiffusion, model_folder: &Path) -> Result<Vec<Vec<f32>>, StartError> {
        let vectors = match self {
            Self::Face { phrase } => token_rows(model, &phrase_ids(model, phrase)?)?,
            Self::Auto { .. } => token_rows(model, &phrase_ids(model, FACE_PHRASE)?)?,
            Self::Rand2 { seed } => {
                let path = model_folder.join(NAMES_FILE);
                let names = read_names(&path)?;
                let ids = names.iter().map(|name| token_ids(model, name)).collect::<Result<Vec<_>, _>>()?;
                token_rows(model, &pick_pair(ids.into_iter(), *seed, &path.display().to_string())?)?
            }
            Self::Id { .. } => return Err(StartError::NoBank),
            Self::Tokens { ids, .. } => token_rows(model, ids)?,
            Self::Vectors(vectors) => vectors.clone(),
        };
        check_width(&vectors, model.text_encoder.width())?;
        Ok(vectors)
    }
}

/// The tokens of a phrase that vectors can begin at.
pub(crate) fn phrase_ids(model: &StableDiffusion, phrase: &str) -> Result<Vec<u32>, StartError> {
    let ids = token_ids(model, phrase)?;
    if ids.is_empty() {
        return Err(StartError::EmptyPhrase(phrase.to_owned()));
    }
    if ids.len() > MAX_VECTORS {
        return Err(StartError::TooMany(ids.len()));
    }
    Ok(ids)
}

/// The token vectors of several starts, read from the device at once.
pub(crate) fn rows_of_each(
    model: &StableDiffusion,
    starts: &[Vec<u32>],
) -> Result<Vec<Vec<Vec<f32>>>, StartError> {
    let mut rows = token_rows(model, &starts.concat())?.into_iter();
    Ok(starts.iter().map(|ids| rows.by_ref().take(ids.len()).collect()).collect())
}

fn read_names(path: &Path) -> Result<Vec<String>, StartError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| StartError::NoNames { path: path.to_owned(), source })?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// First token of one name and second token of another, among the names of exactly two tokens.
pub(crate) fn pick_pair(
    names: impl Iterator<Item = Vec<u32>>,
    seed: u64,
    place: &str,
) -> Result<[u32; 2], StartError> {
    let pairs: Vec<[u32; 2]> = names.filter_map(|ids| <[u32; 2]>::try_from(ids).ok()).collect();
    let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
    let order = CounterRng::from_seed(seed).stream(0, 0, Purpose::Start).permutation(count);
    let chosen = |place: usize| order.get(place).and_then(|index| pairs.get(*index as usize));
    match (chosen(0), chosen(1)) {
        (Some(first), Some(second)) => Ok([first[0], second[1]]),
        _ => Err(StartError::TooFewNames { place: place.to_owned(), found: pairs.len() }),
    }
}

fn token_ids(model: &StableDiffusion, text: &str) -> Result<Vec<u32>, StartError> {
    model
        .tokenizer
        .token_ids(text)
        .map_err(|error| StartError::Tokens { text: text.to_owned(), reason: error.to_string() })
}

fn token_rows(model: &StableDiffusion, ids: &[u32]) -> Result<Vec<Vec<f32>>, StartError> {
    let rows =
        model.text_encoder.embedding_rows(ids).map_err(|error| StartError::Table(error.to_string()))?;
    let rows = rows.cast(FloatDType::F32);
    let values =
        rows.into_data().try_to_vec::<f32>().map_err(|error| StartError::Table(format!("{error:?}")))?;
    Ok(values.chunks(model.text_encoder.width().max(1)).map(<[f32]>::to_vec).collect())
}

fn check_width(vectors: &[Vec<f32>], expected: usize) -> Result<(), StartError> {
    if vectors.is_empty() {
        return Err(StartError::Empty);
    }
    if vectors.len() > MAX_VECTORS {
        return Err(StartError::TooMany(vectors.len()));
    }
    match vectors.iter().map(Vec::len).find(|width| *width != expected) {
        Some(found) => Err(StartError::Width { found, expected }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(names: &[&[u32]], seed: u64) -> Result<[u32; 2], StartError> {
        pick_pair(names.iter().map(|ids| ids.to_vec()), seed, "names.txt")
    }

    #[test]
    fn a_pair_joins_two_different_names_of_two_tokens() {
        let names: [&[u32]; 5] = [&[1, 11], &[2, 12], &[3], &[4, 14, 24], &[5, 15]];
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let [first, second] = pick(&names, seed).unwrap();
            assert!([1, 2, 5].contains(&first) && [11, 12, 15].contains(&second));
            assert_ne!(first + 10, second, "both vectors come from one name");
            seen.insert((first, second));
        }
        assert_eq!(seen.len(), 6, "every pair of names occurs");
        assert_eq!(pick(&names, 3).unwrap(), pick(&names, 3).unwrap());
    }

    #[test]
    fn too_few_names_of_two_tokens_are_counted() {
        let refused = pick(&[&[1, 2], &[3]], 0).unwrap_err();
        assert!(refused.to_string().contains("names.txt has 1"), "{refused}");
    }

    #[test]
    fn the_paper_takes_names_of_two_tokens_alone() {
        let taken = |names: IdNames| (0..7).filter(|tokens| names.takes(*tokens)).collect::<Vec<_>>();
        assert_eq!((taken(IdNames::Full), taken(IdNames::Parity)), (vec![1, 2, 3, 4], vec![2]));
    }

    #[test]
    fn a_missing_names_file_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let refused = read_names(&folder.path().join(NAMES_FILE)).unwrap_err().to_string();
        assert!(refused.contains("names.txt") && refused.contains("start from \"face\""), "{refused}");
    }

    #[test]
    fn vectors_of_another_width_are_refused() {
        let refused = check_width(&[vec![0.0; 768]], 1024).unwrap_err().to_string();
        assert!(refused.contains("768 wide") && refused.contains("1024"), "{refused}");
        assert!(matches!(check_width(&[], 4), Err(StartError::Empty)));
    }
}
