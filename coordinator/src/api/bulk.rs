//! The same for many tasks: a page of a listing a call, so that no call grows with the store.

use likeness_shared::errors::ServiceError;
use likeness_shared::proto::{CancelTasksRequest, CancelTasksResponse, ListTasksRequest, TaskState};

use super::{Shared, listing};

/// The states that are not terminal.
const LIVE: [TaskState; 5] =
    [TaskState::Scheduled, TaskState::Queued, TaskState::Held, TaskState::Leased, TaskState::Running];
/// Tasks in a page where the request does not say.
const PAGE: u32 = 200;

/// Asks a page of tasks to stop. Repeatable: one that has ended meanwhile is left as it is.
pub(super) async fn cancel_tasks(
    shared: &Shared,
    request: CancelTasksRequest,
) -> Result<CancelTasksResponse, ServiceError> {
    let mut states = request.states;
    if states.is_empty() {
        states.extend(LIVE.map(i32::from));
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
    let mut cancelled = 0;
    for task in &page.items {
        if !task.state.is_terminal() && !task.cancel_requested {
            shared.stored(shared.store.request_cancel(task.id)).await?;
            cancelled += 1;
        }
    }
    let next_page_token = match page.items.last() {
        Some(last) if page.more => format!("{}.{mark}", last.number),
        _ => String::new(),
    };
    Ok(CancelTasksResponse { cancelled, next_page_token })
}
