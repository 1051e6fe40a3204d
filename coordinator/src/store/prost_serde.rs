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
