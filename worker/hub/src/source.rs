//! What an operator writes about where a model comes from.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::layout::Variant;
use crate::reference::{ModelReference, ReferenceError};

/// A source that contradicts itself or names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It names no model.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Two revisions.
    #[error("{source_text:?} states a revision, and revision is {revision:?}: give one of them")]
    TwoRevisions {
        /// The source.
        source_text: String,
        /// The other revision.
        revision: String,
    },
    /// Revisions and variants are a hub's.
    #[error("{} is a folder: {what} is only for a model of a hub", .folder.display())]
    OfAFolder {
        /// The folder.
        folder: PathBuf,
        /// What was given.
        what: &'static str,
    },
    /// No digest.
    #[error("digest is {0:?}: give the 64 hexadecimal digits that the worker logs as the model's digest")]
    Digest(String),
}

/// Where a model comes from. In a configuration a text, or a table of these names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSource {
    /// A folder, `owner/name` or `owner/name@revision`.
    pub source: String,
    /// Commit, tag or branch of a hub's repository; none = what `source` says, or `main`.
    pub revision: Option<String>,
    /// The digest that the model must have; none = any.
    pub digest: Option<String>,
    /// Which weights to fetch.
    pub variant: Variant,
}

impl ModelSource {
    /// Refuses what is wrong wherever it is read.
    ///
    /// # Errors
    /// Where a revision is stated twice or a digest is none.
    pub fn validate(&self) -> Result<(), SourceError> {
        if let (Some(revision), true) = (&self.revision, self.source.contains('@')) {
            let (source_text, revision) = (self.source.clone(), revision.clone());
            return Err(SourceError::TwoRevisions { source_text, revision });
        }
        match &self.digest {
            Some(digest) if digest.len() != 64 || !digest.chars().all(|sign| sign.is_ascii_hexdigit()) => {
                Err(SourceError::Digest(digest.clone()))
            }
            _ => Ok(()),
        }
    }

    /// What it refers to on this machine as it is.
    ///
    /// # Errors
    /// Where it refers to nothing, or says of a folder what only a hub's models have.
    pub fn reference(&self) -> Result<ModelReference, SourceError> {
        self.validate()?;
        match (ModelReference::parse(&self.source)?, &self.revision) {
            (ModelReference::Folder(folder), Some(_)) => {
                Err(SourceError::OfAFolder { folder, what: "revision" })
            }
            (ModelReference::Folder(folder), None) if self.variant != Variant::Full => {
                Err(SourceError::OfAFolder { folder, what: "variant" })
            }
            (ModelReference::Hub(name), Some(revision)) => Ok(ModelReference::Hub(name.at(revision)?)),
            (reference, _) => Ok(reference),
        }
    }

    fn is_plain(&self) -> bool {
        self.revision.is_none() && self.digest.is_none() && self.variant == Variant::Full
    }
}

impl From<&str> for ModelSource {
    fn from(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }
}

impl From<PathBuf> for ModelSource {
    fn from(folder: PathBuf) -> Self {
        Self { source: folder.to_string_lossy().into_owned(), ..Self::default() }
    }
}

/// The table form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    source: String,
    revision: Option<String>,
    digest: Option<String>,
    #[serde(default)]
    variant: Variant,
}

impl<'de> Deserialize<'de> for ModelSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTable)
    }
}

struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = ModelSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a folder, \"owner/name@revision\", or a table with source, revision, digest and variant")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ModelSource, E> {
        Ok(text.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelSource, A::Error> {
        let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let Table { source, revision, digest, variant } = table;
        Ok(ModelSource { source, revision, digest, variant })
    }
}

impl Serialize for ModelSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_plain() {
            return serializer.serialize_str(&self.source);
        }
        let mut table = serializer.serialize_struct("ModelSource", 4)?;
        table.serialize_field("source", &self.source)?;
        match &self.revision {
            Some(revision) => table.serialize_field("revision", revision)?,
            None => table.skip_field("revision")?,
        }
        match &self.digest {
            Some(digest) => table.serialize_field("digest", digest)?,
            None => table.skip_field("digest")?,
        }
        table.serialize_field("variant", &self.variant)?;
        table.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_text_or_a_table() {
        let read = |json: &str| serde_json::from_str::<ModelSource>(json);
        assert_eq!(read("\"models/pocket\"").unwrap(), "models/pocket".into());
        let table = r#"{"source":"a/b","revision":"v1","variant":"fp16"}"#;
        let whole = read(table).unwrap();
        assert_eq!((whole.revision.as_deref(), whole.variant), (Some("v1"), Variant::Fp16));
        for source in [whole, "a/b".into()] {
            assert_eq!(read(&serde_json::to_string(&source).unwrap()).unwrap(), source);
        }
        assert!(read(r#"{"source":"a/b","revison":"v1"}"#).unwrap_err().to_string().contains("revison"));
        assert!(read(r#"{"source":"a/b","variant":"int8"}"#).unwrap_err().to_string().contains("int8"));
        assert!(read("7").unwrap_err().to_string().contains("owner/name@revision"));
    }

    #[test]
    fn contradictions_are_refused() {
        let source = |text: &str| ModelSource::from(text);
        let twice = ModelSource { revision: Some("v2".into()), ..source("a/b@v1") };
        assert!(twice.validate().unwrap_err().to_string().contains("give one of them"));
        let short = ModelSource { digest: Some("abc".into()), ..source("a/b") };
        assert!(short.validate().unwrap_err().to_string().contains("64 hexadecimal"));
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().display().to_string();
        let dated = ModelSource { revision: Some("v1".into()), ..source(&text) };
        assert!(dated.reference().unwrap_err().to_string().contains("revision is only for"));
        let named = ModelSource { revision: Some("v1".into()), ..source("a/b") };
        let ModelReference::Hub(name) = named.reference().unwrap() else { panic!("it is a folder") };
        assert_eq!(name.to_string(), "a/b@v1");
    }
}
