//! A cell of the table: where an inversion begins, and what is optimised.

use std::fmt;
use std::str::FromStr;

use likeness_shared::proto::parameterisation::Kind as ParameterisationKind;
use likeness_shared::proto::start::Kind as StartKind;
use likeness_shared::proto::{
    AutoStart, FreeParameterisation, IdStart, LogNormParameterisation, Parameterisation, PhraseStart,
    Rand2Start, SphereParameterisation, Start,
};
use serde::{Deserialize, Serialize};

/// Learning rate of an untrained control: the vectors stay where they began, to a billionth.
const STANDING_STILL: f64 = 1e-9;

/// A cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    /// Where it begins.
    pub(super) start: Origin,
    /// What is optimised.
    pub(super) method: Method,
    /// Iterations.
    pub(super) steps: u32,
    /// What it is for.
    pub(super) role: Role,
    /// So many seeds instead of the experiment's.
    pub(super) seeds: Option<u32>,
}

/// What a cell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Part of the table.
    Table,
    /// The start itself, nothing learned.
    Untrained,
    /// A name of the bank that nobody chose, nothing learned.
    RandomName,
    /// As good as long training gets.
    Ceiling,
}

/// Where the vectors begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// "human face".
    Face,
    /// Two names, the pair by the seed.
    Rand2,
    /// The name most like the person, of two tokens as the paper has it.
    IdParity,
    /// The name most like the person.
    Id,
    /// Whichever of these has the lowest loss.
    Auto,
    /// One of these phrases, by person and seed.
    OneOf(Vec<String>),
}

/// What is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    /// The vectors themselves, with decoupled L2.
    None,
    /// Length and direction apart, with this base.
    LogNorm(f64),
    /// The direction alone.
    Sphere,
}

/// What a person draws a name by: another for everybody and every seed, or the name that a seed has drawn for all would pass for the method.
fn lot(person: usize, seed: u32) -> u64 {
    person as u64 + 7919 * u64::from(seed)
}

impl Cell {
    /// The learning rate to ask for; nothing = the method's.
    pub(super) fn learning_rate(&self) -> Option<f64> {
        matches!(self.role, Role::Untrained | Role::RandomName).then_some(STANDING_STILL)
    }

    /// As the protocol has the start.
    pub(super) fn start(&self, person: usize, seed: u32) -> Start {
        let kind = match &self.start {
            Origin::Face => StartKind::Face(PhraseStart::default()),
            Origin::Rand2 => StartKind::Rand2(Rand2Start { seed: Some(lot(person, seed)) }),
            Origin::IdParity => StartKind::Id(IdStart { names: "parity".to_owned() }),
            Origin::Id => StartKind::Id(IdStart::default()),
            Origin::Auto => StartKind::Auto(AutoStart::default()),
            Origin::OneOf(phrases) => {
                let index = lot(person, seed) % phrases.len().max(1) as u64;
                let phrase = phrases.get(index as usize).cloned().unwrap_or_default();
                StartKind::Face(PhraseStart { phrase })
            }
        };
        Start { kind: Some(kind) }
    }

    /// As the protocol has the parameterisation.
    pub(super) fn parameterisation(&self) -> Parameterisation {
        let kind = match self.method {
            Method::None => ParameterisationKind::None(FreeParameterisation::default()),
            Method::LogNorm(base) => {
                ParameterisationKind::LogNorm(LogNormParameterisation { base: Some(base) })
            }
            Method::Sphere => ParameterisationKind::Sphere(SphereParameterisation::default()),
        };
        Parameterisation { kind: Some(kind) }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Table => write!(f, "{}, {}", self.start, self.method),
            Role::Untrained => write!(f, "{}, untrained", self.start),
            Role::RandomName => write!(f, "a random name, untrained"),
            Role::Ceiling => write!(f, "{}, {}, {} steps", self.start, self.method, self.steps),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Face => "face",
            Self::Rand2 => "rand2",
            Self::IdParity => "id:parity",
            Self::Id => "id",
            Self::Auto => "auto",
            Self::OneOf(_) => "a name",
        })
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "face" => Self::Face,
            "rand2" => Self::Rand2,
            "id" => Self::Id,
            "id:parity" => Self::IdParity,
            "auto" => Self::Auto,
            _ => return Err("must be face, rand2, id, id:parity or auto".to_owned()),
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::LogNorm(base) => write!(f, "log_norm:{base}"),
            Self::Sphere => f.write_str("sphere"),
        }
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let base = |text: &str| text.parse().ok().filter(|base: &f64| *base > 1.0 && base.is_finite());
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "sphere" => Ok(Self::Sphere),
            None if text == "log_norm" => Ok(Self::LogNorm(2.71)),
            Some(("log_norm", given)) => {
                base(given).map(Self::LogNorm).ok_or_else(|| "the base of log_norm must be over 1".to_owned())
            }
            _ => Err("must be none, sphere, or log_norm:BASE such as log_norm:2.71".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["none", "log_norm:2.71", "log_norm:2", "sphere"] {
            assert_eq!(text.parse::<Method>().unwrap().to_string(), text);
        }
        for text in ["face", "rand2", "id", "id:parity", "auto"] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        assert!("log_norm:1".parse::<Method>().unwrap_err().contains("over 1"));
        assert!("log_norm:inf".parse::<Method>().is_err());
        assert!("celebrity".parse::<Origin>().unwrap_err().contains("id:parity"));
    }

    #[test]
    fn seeds_and_people_take_other_names() {
        let start = Origin::OneOf(["a b", "c d", "e f"].map(str::to_owned).to_vec());
        let cell = Cell { start, method: Method::None, steps: 1, role: Role::RandomName, seeds: None };
        let phrase = |person, seed| match cell.start(person, seed).kind {
            Some(StartKind::Face(PhraseStart { phrase })) => phrase,
            other => panic!("{other:?}"),
        };
        assert_ne!(phrase(0, 0), phrase(1, 0));
        assert_ne!(phrase(0, 0), phrase(0, 1));
        assert_eq!(cell.learning_rate(), Some(STANDING_STILL));

        let cell = Cell { start: Origin::Rand2, ..cell };
        let lots = [(0, 0), (1, 0), (0, 1)].map(|(person, seed)| match cell.start(person, seed).kind {
            Some(StartKind::Rand2(rand2)) => rand2.seed,
            other => panic!("{other:?}"),
        });
        assert!(lots[0] != lots[1] && lots[0] != lots[2] && lots[1] != lots[2], "{lots:?}");
    }
}
