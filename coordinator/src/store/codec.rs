//! Values as bytes: one version byte, then postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// Version of the layout that follows.
const VERSION: u8 = 2;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(value, vec![VERSION])
        .map_err(|error| StoreError::Damaged { reason: format!("a record cannot be written: {error}") })
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { reason };
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|error| damaged(format!("a record cannot be read: {error}")))
        }
        Some((version, _)) => Err(damaged(format!("a record has layout {version}, which is not known here"))),
        None => Err(damaged("a record is empty".to_owned())),
    }
}
