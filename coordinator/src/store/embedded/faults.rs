//! What redb's errors mean to us.

use std::io::ErrorKind;

use crate::store::StoreError;

/// A failure of the storage in the middle of an operation.
pub(super) fn fault(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) if is_full(&error) => StoreError::DiskFull,
        redb::Error::Corrupted(reason) => StoreError::Damaged { reason },
        other => StoreError::Unavailable { reason: other.to_string() },
    }
}

/// Whether an I/O error says that there is no room.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
