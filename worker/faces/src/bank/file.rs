//! A bank as a file: one JSON document with a version. Who writes it sees to it that it appears whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::BankError;
use super::judging::{Rules, Why};
use super::recipe::{NetworksUsed, Recipe};
use crate::recognise::Embedding;

/// What the file calls itself.
const FORMAT: &str = "likeness-name-bank";
/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// Names that a model can draw, and their faces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bank {
    /// How the portraits were made.
    pub recipe: Recipe,
    /// What the names had to be like.
    pub rules: Rules,
    /// Whether faces had to match reference photos.
    pub has_references: bool,
    /// The names that were kept.
    pub names: Vec<BankName>,
    /// The others.
    pub dropped: Vec<DroppedName>,
}

/// A name that the model can draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BankName {
    /// The name, as prompts say it.
    pub name: String,
    /// Its tokens; empty where the builder had not the model's tokenizer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ids: Vec<u32>,
    /// The share of portraits with a face.
    pub face_rate: f32,
    /// The mean cosine between two portraits.
    pub cohesion: f32,
    /// The place of the held-out portraits' own name among all: 1.
    pub rank: u32,
    /// By how much the own name is nearer to them than the next.
    pub margin: f32,
    /// Cosine between portraits and reference photos, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f32>,
    /// The middle of the generated faces.
    pub centroid: Embedding,
}

/// A name that was not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DroppedName {
    /// The name.
    pub name: String,
    /// The first reason that holds.
    pub why: Why,
    /// As [`BankName::face_rate`].
    pub face_rate: f32,
    /// As [`BankName::cohesion`]; nothing where there were fewer than two faces.
    pub cohesion: Option<f32>,
    /// As [`BankName::rank`].
    pub rank: Option<u32>,
    /// As [`BankName::reference`].
    pub reference: Option<f32>,
}

/// What every version's file has.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize)]
struct Document<'b> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    bank: &'b Bank,
}

impl Bank {
    /// The file's bytes.
    ///
    /// # Errors
    /// [`BankError::NotABank`] where it holds what JSON cannot, such as a number that is none.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BankError> {
        let document = Document { format: FORMAT, version: VERSION, bank: self };
        let refused = |error: serde_json::Error| not_a_bank(Path::new("it"), error.to_string());
        let mut bytes = serde_json::to_vec(&document).map_err(refused)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`BankError`] where it is none, or of another version.
    pub fn read(path: &Path) -> Result<Self, BankError> {
        let refused = |source| BankError::Io { what: "read the bank", path: path.to_owned(), source };
        Self::from_bytes(path, &std::fs::read(path).map_err(refused)?)
    }

    fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, BankError> {
        let wrong = |error: serde_json::Error| not_a_bank(path, error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
        if head.format != FORMAT {
            return Err(not_a_bank(path, format!("it calls itself {:?}", head.format)));
        }
        if head.version != VERSION {
            let path = path.to_owned();
            return Err(BankError::Version { path, found: head.version, known: VERSION });
        }
        let bank: Self = serde_json::from_slice(bytes).map_err(wrong)?;
        let width = bank.width();
        if bank.names.iter().any(|name| Some(name.centroid.values().len()) != width) {
            return Err(not_a_bank(path, "its faces differ in width".to_owned()));
        }
        Ok(bank)
    }

    /// Numbers of an embedding; `None` where no name was kept.
    pub fn width(&self) -> Option<usize> {
        self.names.first().map(|name| name.centroid.values().len())
    }

    /// Refuses networks other than those it was built with: their cosines would mean nothing.
    ///
    /// # Errors
    /// [`BankError::Networks`] with all that differs.
    pub fn check_networks(&self, given: &NetworksUsed) -> Result<(), BankError> {
        self.recipe.networks.check(given)
    }

    /// Refuses a model other than that it was built with: another one draws other faces for the names.
    ///
    /// # Errors
    /// [`BankError::Model`].
    pub fn check_model(&self, digest: &str) -> Result<(), BankError> {
        if self.recipe.model_digest == digest {
            return Ok(());
        }
        Err(BankError::Model { expected: self.recipe.model_digest.clone(), found: digest.to_owned() })
    }
}

fn not_a_bank(path: &Path, reason: String) -> BankError {
    BankError::NotABank { path: path.to_owned(), reason }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::judging::judge;
    use super::super::portraits::tests::portraits;
    use super::super::recipe::tests::recipe;
    use super::*;

    const RULES: Rules = Rules { face_rate: 0.75, same_person: 0.5 };

    /// A bank with these names at so many degrees around a circle.
    pub(in crate::bank) fn bank(names: &[(&str, f32)]) -> Bank {
        let name = |(name, degrees): &(&str, f32)| BankName {
            name: (*name).to_owned(),
            token_ids: vec![7, 8],
            face_rate: 1.0,
            cohesion: 0.8,
            rank: 1,
            margin: 0.3,
            reference: None,
            centroid: Embedding::of(&[degrees.to_radians().cos(), degrees.to_radians().sin()]).unwrap(),
        };
        let names = names.iter().map(name).collect();
        Bank { recipe: recipe(), rules: RULES, has_references: false, names, dropped: vec![] }
    }

    #[test]
    fn what_is_written_is_read_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.json");
        let names = vec![
            portraits("ann lee", &[Some(1.3), Some(2.7), Some(3.1), None]),
            portraits("bob ray", &[Some(100.0), Some(180.0)]),
            portraits("nobody", &[None, None]),
        ];
        let bank = judge(recipe(), RULES, names, None);
        assert_eq!((bank.names.len(), bank.dropped.len()), (1, 2));
        std::fs::write(&path, bank.to_bytes().unwrap()).unwrap();
        assert_eq!(Bank::read(&path).unwrap(), bank);
        bank.check_model("m1").unwrap();
        let said = bank.check_model("m2").unwrap_err().to_string();
        assert!(said.contains("(m1)") && said.contains("(m2)"), "{said}");
        bank.check_networks(&recipe().networks).unwrap();
    }

    #[test]
    fn other_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.json");
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Bank::read(&path).unwrap_err().to_string()
        };
        assert!(
            Bank::read(&folder.path().join("none")).unwrap_err().to_string().contains("cannot read the bank")
        );
        for (bytes, word) in [
            (&b"no JSON"[..], "is not a bank of names"),
            (b"{}", "is not a bank of names"),
            (br#"{"format":"recipe","version":1}"#, "it calls itself \"recipe\""),
            (br#"{"format":"likeness-name-bank","version":2}"#, "is a bank of version 2"),
            (br#"{"format":"likeness-name-bank","version":1}"#, "missing field"),
        ] {
            let said = said(bytes);
            assert!(said.contains(word) && said.contains("bank.json"), "{said}");
        }
        let whole = String::from_utf8(bank(&[("a", 0.0), ("b", 1.0)]).to_bytes().unwrap()).unwrap();
        assert!(said(&whole.as_bytes()[..whole.len() - 9]).contains("is not a bank"));
        assert!(said(whole.replace("[1.0,0.0]", "[0.5,0.0]").as_bytes()).contains("not of length 1"));
        assert!(said(whole.replace("[1.0,0.0]", "[1.0]").as_bytes()).contains("differ in width"));
    }
}
