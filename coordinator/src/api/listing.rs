//! Pages with their tokens, and the check that artifacts are there.

use std::time::Duration;

use likeness_shared::errors::{ServiceError, UnmetPrecondition};
use likeness_shared::ids::{Digest, TenantName, UserName};
use likeness_shared::limits::Checks;
use likeness_shared::proto::{
    ListPeopleRequest, ListPeopleResponse, ListTasksRequest, ListTasksResponse, TaskKind, TaskState,
};

use super::{Shared, wire};
use crate::store::{PeopleFilter, TaskFilter};

/// Newest first. A token is the number of the last task shown and a mark of the filter that it belongs to.
pub(super) async fn list_tasks(
    shared: &Shared,
    request: ListTasksRequest,
) -> Result<ListTasksResponse, ServiceError> {
    let mark = filter_mark(&request);
    let filter = task_filter(shared, request, &mark).await?;
    let page = shared.stored(shared.store.list(filter)).await?;
    let next_page_token = match page.items.last() {
        Some(last) if page.more => format!("{}.{mark}", last.number),
        _ => String::new(),
    };
    Ok(ListTasksResponse { tasks: page.items.into_iter().map(wire::task).collect(), next_page_token })
}

pub(super) async fn task_filter(
    shared: &Shared,
    request: ListTasksRequest,
    mark: &str,
) -> Result<TaskFilter, ServiceError> {
    let mut checks = Checks::new();
    let tenant: Option<TenantName> = checks.parse("tenant", &request.tenant);
    let user: Option<UserName> = match request.user.as_str() {
        "" => None,
        user => checks.parse("user", user),
    };
    let kind = match TaskKind::try_from(request.kind) {
        Ok(TaskKind::Unspecified) => None,
        Ok(kind) => Some(kind),
        Err(_) => {
            checks.refuse("kind", format!("{} is not a kind of task", request.kind));
            None
        }
    };
    let mut states = Vec::new();
    for (index, state) in request.states.iter().enumerate() {
        match TaskState::try_from(*state) {
            Ok(TaskState::Unspecified) | Err(_) => {
                checks.refuse(format!("states[{index}]"), format!("{state} is not a state of a task"));
            }
            Ok(state) if !states.contains(&state) => states.push(state),
            Ok(_) => {}
        }
    }
    let page_size = wire::page_size(request.page_size, &mut checks);
    let before = match request.page_token.split_once('.') {
        None if request.page_token.is_empty() => None,
        Some((number, its_mark)) if its_mark == mark => number.parse().ok(),
        _ => {
            checks.refuse("page_token", "does not belong to this listing: begin again without it");
            None
        }
    };
    let min_age = age("min_age", request.min_age, &mut checks);
    let max_age = age("max_age", request.max_age, &mut checks);
    if let (Some(least), Some(most)) = (min_age, max_age) {
        checks.require(least <= most, "max_age", || "must not be less than min_age".to_owned());
    }
    checks.finish()?;
    let (mut since, mut until) = (None, None);
    if min_age.is_some() || max_age.is_some() {
        let now = shared.stored(shared.store.now()).await?;
        since = max_age.map(|age| now.minus(age));
        until = min_age.map(|age| now.minus(age));
    }
    Ok(TaskFilter { tenant: wire::checked(tenant)?, user, states, kind, before, since, until, page_size })
}

fn age(field: &str, age: Option<prost_types::Duration>, checks: &mut Checks) -> Option<Duration> {
    let age = age.map(Duration::try_from)?;
    checks.require(age.is_ok(), field, || "must not be negative".to_owned());
    age.ok()
}

pub(super) fn filter_mark(request: &ListTasksRequest) -> String {
    let filter = format!(
        "{}\n{}\n{:?}\n{}\n{:?}\n{:?}",
        request.tenant, request.user, request.states, request.kind, request.min_age, request.max_age
    );
    Digest::of(filter.as_bytes()).to_string().chars().take(12).collect()
}

/// In the order of user and name. A token is the user and name of the last person shown.
pub(super) async fn list_people(
    shared: &Shared,
    request: ListPeopleRequest,
) -> Result<ListPeopleResponse, ServiceError> {
    let mut checks = Checks::new();
    let tenant: Option<TenantName> = checks.parse("tenant", &request.tenant);
    let user: Option<UserName> = match request.user.as_str() {
        "" => None,
        user => checks.parse("user", user),
    };
    let page_size = wire::page_size(request.page_size, &mut checks);
    let after = match request.page_token.split_once('/') {
        None if request.page_token.is_empty() => None,
        Some((user, name)) => checks.parse("page_token", user).zip(checks.parse("page_token", name)),
        None => {
            checks.refuse("page_token", "does not belong to this listing: begin again without it");
            None
        }
    };
    checks.finish()?;
    let filter = PeopleFilter { tenant: wire::checked(tenant)?, user, after, page_size };
    let page = shared.stored(shared.store.list_people(filter)).await?;
    let next_page_token = match page.items.last() {
        Some(last) if page.more => format!("{}/{}", last.owner.user, last.name),
        _ => String::new(),
    };
    Ok(ListPeopleResponse { people: page.items.into_iter().map(wire::person).collect(), next_page_token })
}

/// Refuses where an artifact is not there, naming each.
pub(super) async fn require_artifacts(shared: &Shared, needed: &[Digest]) -> Result<(), ServiceError> {
    let missing = shared.artifacts.missing(needed).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let unmet = missing.iter().map(|digest| UnmetPrecondition {
        kind: "ARTIFACT_MISSING",
        subject: digest.to_string(),
        description: "no such artifact is here: upload it first".to_owned(),
    });
    Err(ServiceError::FailedPrecondition(unmet.collect()))
}
