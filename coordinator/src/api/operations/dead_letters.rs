//! Dead letters in bulk: a page of a listing a call, so that no call grows with the store.

use likeness_shared::errors::ServiceError;
use likeness_shared::proto::{ListTasksRequest, RetryTasksRequest, RetryTasksResponse, TaskState};

use crate::api::{Shared, listing};
use crate::store::StoreError;
use crate::store::record::{State, TaskRecord};

/// Tasks in a page where the request does not say.
const PAGE: u32 = 200;
/// What ended without a result, and can be tried again.
const DEAD: [TaskState; 3] = [TaskState::Failed, TaskState::Expired, TaskState::Quarantined];
/// What is tried again where the request does not say: whoever submits with a deadline seldom wants it later.
const BY_ITSELF: [TaskState; 2] = [TaskState::Quarantined, TaskState::Failed];

/// Tries a page of dead letters again. Repeatable: one that waits already is left as it is.
pub(super) async fn retry(
    shared: &Shared,
    request: RetryTasksRequest,
) -> Result<RetryTasksResponse, ServiceError> {
    let mut states = request.states;
    if states.is_empty() {
        states.extend(BY_ITSELF.map(i32::from));
    }
    if let Some((index, state)) =
        states.iter().enumerate().find(|(_, state)| !DEAD.map(i32::from).contains(state))
    {
        let name = TaskState::try_from(*state)
            .map_or_else(|_| state.to_string(), |state| state.as_str_name().to_owned());
        let description = format!("{name} is none of FAILED, EXPIRED and QUARANTINED");
        return Err(ServiceError::invalid(format!("states[{index}]"), description));
    }
    let listed = ListTasksRequest {
        tenant: request.tenant,
        user: request.user,
        states,
        kind: request.kind,
        page_size: if request.page_size == 0 { PAGE } else { request.page_size },
        page_token: request.page_token,
        ..ListTasksRequest::default()
    };
    let mark = listing::filter_mark(&listed);
    let filter = listing::task_filter(shared, listed, &mark).await?;
    let page = shared.stored(shared.store.list(filter)).await?;
    let mut retried = 0;
    for task in page.items.iter().filter(|task| failed_with(task, &request.code)) {
        match shared.store.retry(task.id).await {
            Ok(_) => retried += 1,
            // it was tried again, or swept, meanwhile
            Err(StoreError::Refused(_) | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    tracing::info!(tasks = retried, "dead letters are tried again");
    let next_page_token = match page.items.last() {
        Some(last) if page.more => format!("{}.{mark}", last.number),
        _ => String::new(),
    };
    Ok(RetryTasksResponse { retried, next_page_token })
}

/// Whether the task is a dead letter with this code; empty = any.
fn failed_with(task: &TaskRecord, code: &str) -> bool {
    match &task.state {
        State::Failed(failure) | State::Expired(failure) | State::Quarantined(failure) => {
            code.is_empty() || failure.code == code
        }
        _ => false,
    }
}
