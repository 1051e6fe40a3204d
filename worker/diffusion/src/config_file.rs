//! A model's `config.json`, read key by key so that every complaint names the file and the key.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What can be wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}: {source}; is this a folder in the diffusers layout?", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a JSON object.
    #[error("{} is not a JSON object: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// A key that decides the structure is not given.
    #[error("{} lacks the key \"{key}\"", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value of the wrong type or outside its range.
    #[error("{}: \"{key}\" is {found}; expected {expected}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value as written.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A setting that asks for a structure which this crate does not have.
    #[error("{}: \"{key}\" is {found}, which is not supported; supported: {supported}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value as written.
        found: String,
        /// The values that work.
        supported: String,
    },
}

/// An open configuration file: a JSON object and the path that errors name.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    /// Where in the file the object lies: empty, or a key and a dot.
    place: String,
    entries: Map<String, Value>,
}

impl ConfigFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_path_buf();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        match serde_json::from_slice(&bytes) {
            Ok(entries) => Ok(Self { path, place: String::new(), entries }),
            Err(error) => Err(ConfigError::Json { path, reason: error.to_string() }),
        }
    }

    /// The object that is the value of `key`, in which whatever is absent or null has the value that `defaults` gives it.
    pub(crate) fn section(&self, key: &str, defaults: Map<String, Value>) -> Result<Self, ConfigError> {
        let written: Map<String, Value> = self.or(key, Map::new())?;
        let mut entries = defaults;
        entries.extend(written.into_iter().filter(|(_, value)| !value.is_null()));
        Ok(Self { path: self.path.clone(), place: format!("{}{key}.", self.place), entries })
    }

    /// The value of `key`; a JSON null counts as absent.
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).filter(|value| !value.is_null())
    }

    /// The value of `key`, if given.
    pub(crate) fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match serde_json::from_value(value.clone()) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => Err(self.invalid(key, error.to_string())),
        }
    }

    /// The value of `key`, or the reference library's default for it.
    pub(crate) fn or<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.optional(key)?.unwrap_or(default))
    }

    /// The value of `key`, which must be given.
    pub(crate) fn required<T: DeserializeOwned>(&self, key: &str) -> Result<T, ConfigError> {
        self.optional(key)?
            .ok_or_else(|| ConfigError::Missing { path: self.path.clone(), key: self.place_of(key) })
    }

    /// A positive count.
    pub(crate) fn count(&self, key: &str) -> Result<usize, ConfigError> {
        let count: usize = self.required(key)?;
        if count == 0 {
            return Err(self.invalid(key, "a number above 0"));
        }
        Ok(count)
    }

    /// Refuses every value of `key` but `supported`; absent or null is accepted.
    pub(crate) fn only(&self, key: &str, supported: &[Value]) -> Result<(), ConfigError> {
        match self.value(key) {
            Some(value) if !supported.contains(value) => Err(ConfigError::Unsupported {
                path: self.path.clone(),
                key: self.place_of(key),
                found: value.to_string(),
                supported: if supported.is_empty() {
                    "leaving it out or null".to_owned()
                } else {
                    supported.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
                },
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn invalid(&self, key: &str, expected: impl Into<String>) -> ConfigError {
        ConfigError::Invalid {
            path: self.path.clone(),
            key: self.place_of(key),
            found: self.entries.get(key).unwrap_or(&Value::Null).to_string(),
            expected: expected.into(),
        }
    }

    /// A key with the place that it lies at.
    fn place_of(&self, key: &str) -> String {
        format!("{}{key}", self.place)
    }

    /// One value for all `len` blocks, or a list with one value a block.
    pub(crate) fn per_block<T: DeserializeOwned + Clone>(
        &self,
        key: &str,
        len: usize,
        default: Option<T>,
    ) -> Result<Vec<T>, ConfigError> {
        match self.value(key) {
            None => match default {
                Some(value) => Ok(vec![value; len]),
                None => Err(ConfigError::Missing { path: self.path.clone(), key: self.place_of(key) }),
            },
            Some(Value::Array(_)) => {
                let values: Vec<T> = self.required(key)?;
                if values.len() != len {
                    return Err(self.invalid(key, format!("a list of {len} values, one a block")));
                }
                Ok(values)
            }
            Some(_) => Ok(vec![self.required(key)?; len]),
        }
    }
}
