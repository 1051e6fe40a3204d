//! The store's indexes, held against its records at an operator's word.

use likeness_shared::errors::ServiceError;
use likeness_shared::proto::{ScrubStoreRequest, ScrubStoreResponse};

use crate::api::Shared;

/// Takes as long as it takes to read the whole store, so the caller's deadline alone ends it.
pub(super) async fn scrub(
    shared: &Shared,
    request: ScrubStoreRequest,
) -> Result<ScrubStoreResponse, ServiceError> {
    let scrubbed = shared.scrubber.scrub(&*shared.store, request.dry_run).await?;
    Ok(ScrubStoreResponse {
        differences: scrubbed.differences,
        repaired: scrubbed.repaired,
        tasks_checked: scrubbed.tasks,
        differences_found: scrubbed.found,
        shares_compared: scrubbed.shares_compared,
    })
}
