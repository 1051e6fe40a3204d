//! Embeddings in files: their numbers, and nothing that is no direction.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::recognise::Embedding;

impl Serialize for Embedding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Embedding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Vec::<f32>::deserialize(deserializer)?;
        Self::of_unit(values).ok_or_else(|| D::Error::custom("an embedding is not of length 1"))
    }
}
