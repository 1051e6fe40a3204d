//! Request ids: what a request made, so that its repetition makes nothing new.

use likeness_shared::ids::{Digest, RequestId};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::Owner;
use super::workspace::Id;

/// What a request id was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RequestRecord {
    pub(super) body: Digest,
    pub(super) made: Id,
}

impl RequestRecord {
    /// What the request made; an error where it is used again with another body.
    pub(super) fn made_by(self, request: &RequestId, body: Digest) -> Result<Id, StoreError> {
        if self.body != body {
            return Err(StoreError::RequestReused { request: request.to_string() });
        }
        Ok(self.made)
    }
}

/// A request id as a key: request ids are each user's own, and each kind's.
pub(super) fn request_key(kind: &str, owner: &Owner, request: &RequestId) -> String {
    format!("{kind}/{}/{}/{request}", owner.tenant, owner.user)
}
