//! One task at a time: hold, release, try again.

use likeness_shared::errors::ServiceError;
use likeness_shared::limits::Checks;
use likeness_shared::proto::{HoldTaskRequest, Task};

use crate::api::{Shared, wire};

/// Longest reason of a hold or a drain, in bytes.
pub(super) const MAX_REASON: usize = 512;

pub(super) async fn hold(shared: &Shared, request: HoldTaskRequest) -> Result<Task, ServiceError> {
    let mut checks = Checks::new();
    let id = checks.parse("id", &request.id);
    checks.prose("reason", &request.reason, MAX_REASON);
    checks.finish()?;
    let task = shared.stored(shared.store.hold(wire::checked(id)?, request.reason)).await?;
    tracing::info!(task = %task.id, state = task.state.wire().as_str_name(), "hold requested");
    Ok(wire::task(task))
}

pub(super) async fn release(shared: &Shared, id: &str) -> Result<Task, ServiceError> {
    let task = shared.stored(shared.store.release(wire::id("id", id)?)).await?;
    tracing::info!(task = %task.id, state = task.state.wire().as_str_name(), "task released");
    Ok(wire::task(task))
}

pub(super) async fn retry(shared: &Shared, id: &str) -> Result<Task, ServiceError> {
    let task = shared.stored(shared.store.retry(wire::id("id", id)?)).await?;
    tracing::info!(task = %task.id, "task is tried again");
    Ok(wire::task(task))
}
