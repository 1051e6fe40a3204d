//! Keeps protocol messages inside serde records as their own wire bytes: fields that later versions add survive a
//! round trip through an older binary's store only as far as prost keeps them, and older bytes always read.

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<M: Message, S: Serializer>(message: &M, serializer: S) -> Result<S::Ok, S::Error> {
    message.encode_to_vec().serialize(serializer)
}

pub(super) fn deserialize<'de, M: Message + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<M, D::Error> {
    let bytes = Vec::<u8>::deserialize(deserializer)?;
    M::decode(bytes.as_slice()).map_err(serde::de::Error::custom)
}

/// The same for a message that may be missing.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Message, Serialize, Serializer};

    pub(in super::super) fn serialize<M: Message, S: Serializer>(
        message: &Option<M>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        message.as_ref().map(Message::encode_to_vec).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, M: Message + Default, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<M>, D::Error> {
        let bytes = Option::<Vec<u8>>::deserialize(deserializer)?;
        bytes.map(|bytes| M::decode(bytes.as_slice())).transpose().map_err(serde::de::Error::custom)
    }
}

/// As [`optional`], for the last field of a record that earlier versions wrote without it: where the bytes end before it there is none.
/// An earlier version reads a longer record as far as it knows it.
pub(super) mod last {
    use super::{Deserializer, Message, Serializer, optional};

    pub(in super::super) fn serialize<M: Message, S: Serializer>(
        message: &Option<M>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        optional::serialize(message, serializer)
    }

    pub(in super::super) fn deserialize<'de, M: Message + Default, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<M>, D::Error> {
        Ok(optional::deserialize(deserializer).unwrap_or(None))
    }
}

#[cfg(test)]
mod tests {
    use likeness_shared::proto::QualityReport;
    use serde::{Deserialize, Serialize};

    use super::super::codec;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Earlier {
        name: String,
        vectors: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Later {
        name: String,
        vectors: u32,
        #[serde(with = "super::last")]
        quality: Option<Box<QualityReport>>,
    }

    #[test]
    fn records_of_earlier_versions_are_read_and_those_read_later_ones() {
        let earlier = Earlier { name: "anna".to_owned(), vectors: 2 };
        let read: Later = codec::decode(&codec::encode(&earlier).unwrap()).unwrap();
        assert_eq!(read, Later { name: "anna".to_owned(), vectors: 2, quality: None });
        let report = QualityReport { pictures: 8, clip: Some(0.25), ..QualityReport::default() };
        let later = Later { quality: Some(Box::new(report)), ..read };
        let bytes = codec::encode(&later).unwrap();
        assert_eq!(codec::decode::<Later>(&bytes).unwrap(), later);
        assert_eq!(codec::decode::<Earlier>(&bytes).unwrap(), earlier);
    }
}
