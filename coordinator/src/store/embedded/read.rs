//! Queries: each over one consistent view of the file, none of them a scan.

use likeness_shared::ids::{Digest, PersonId, PersonName, RequestId, TaskId};
use redb::{ReadTransaction, ReadableTable};

use super::faults::fault;
use super::tables::{Id, LISTINGS, PEOPLE, PEOPLE_BY_NAME, REQUESTS, TASKS};
use crate::store::age::AgeSearch;
use crate::store::indexes::{ANY, state_byte};
use crate::store::operations::SUBMITS;
use crate::store::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use crate::store::requests::{RequestRecord, request_key};
use crate::store::{Page, PeopleFilter, StoreError, TaskFilter, codec};

pub(super) fn task(transaction: &ReadTransaction, id: TaskId) -> Result<TaskRecord, StoreError> {
    let tasks = transaction.open_table(TASKS).map_err(fault)?;
    record(&tasks, id.to_bytes())?.ok_or_else(|| StoreError::NotFound { kind: "task", id: id.to_string() })
}

/// The task that a request id made, if it did.
pub(super) fn submitted(
    transaction: &ReadTransaction,
    owner: &Owner,
    request: &RequestId,
    body: Digest,
) -> Result<Option<TaskRecord>, StoreError> {
    let requests = transaction.open_table(REQUESTS).map_err(fault)?;
    let made = request_seen(&requests, SUBMITS, owner, request, body)?;
    made.map(|id| task(transaction, TaskId::from_bytes(id))).transpose()
}

/// What a request id made before; an error where it was used with another body.
pub(super) fn request_seen(
    requests: &impl ReadableTable<&'static str, &'static [u8]>,
    kind: &str,
    owner: &Owner,
    request: &RequestId,
    body: Digest,
) -> Result<Option<Id>, StoreError> {
    let key = request_key(kind, owner, request);
    let Some(found) = requests.get(key.as_str()).map_err(fault)? else { return Ok(None) };
    let record: RequestRecord = codec::decode(found.value())?;
    record.made_by(request, body).map(Some)
}

fn record<T: serde::de::DeserializeOwned>(
    table: &impl ReadableTable<Id, &'static [u8]>,
    id: Id,
) -> Result<Option<T>, StoreError> {
    table.get(id).map_err(fault)?.map(|guard| codec::decode(guard.value())).transpose()
}

/// Merges one ordered list for each state asked for, newest first.
pub(super) fn list(
    transaction: &ReadTransaction,
    filter: &TaskFilter,
) -> Result<Page<TaskRecord>, StoreError> {
    let listings = transaction.open_table(LISTINGS).map_err(fault)?;
    let tasks = transaction.open_table(TASKS).map_err(fault)?;
    let user = filter.user.as_ref().map_or("", |user| user.as_str());
    let kind = filter.kind.map_or(ANY, |kind| u8::try_from(kind as i32).unwrap_or(u8::MAX));
    let states: Vec<u8> = if filter.states.is_empty() {
        vec![ANY]
    } else {
        filter.states.iter().copied().map(state_byte).collect()
    };
    let number_at = |moment: StoreTime| -> Result<u64, StoreError> {
        let key = (filter.tenant.as_str(), user, kind, ANY);
        first_number_at(&listings, &tasks, key, moment)
    };
    let start = filter.since.map_or(Ok(0), number_at)?;
    let end = filter.before.unwrap_or(u64::MAX);
    let end = filter.until.map_or(Ok(end), |until| number_at(until.after()).map(|number| number.min(end)))?;
    // a page token may point to before the start by now
    let start = start.min(end);
    let mut lists = Vec::with_capacity(states.len());
    for state in states {
        let tenant = filter.tenant.as_str();
        let range = listings.range((tenant, user, kind, state, start)..(tenant, user, kind, state, end));
        let mut newest_first = range.map_err(fault)?.rev();
        let head = newest_first.next().transpose().map_err(fault)?;
        lists.push((head, newest_first));
    }
    let mut items = Vec::new();
    loop {
        let newest = lists
            .iter_mut()
            .filter(|(head, _)| head.is_some())
            .max_by_key(|(head, _)| head.as_ref().map_or(0, |(key, _)| key.value().4));
        let Some((head, rest)) = newest else { return Ok(Page { items, more: false }) };
        if items.len() >= filter.page_size {
            return Ok(Page { items, more: true });
        }
        if let Some((_, id)) = head.take() {
            let found = record(&tasks, id.value())?;
            items.push(found.ok_or_else(|| dangling("listings"))?);
        }
        *head = rest.next().transpose().map_err(fault)?;
    }
}

/// The least number in a listing from which on no task was submitted before a moment.
fn first_number_at(
    listings: &impl ReadableTable<(&'static str, &'static str, u8, u8, u64), Id>,
    tasks: &impl ReadableTable<Id, &'static [u8]>,
    (tenant, user, kind, state): (&str, &str, u8, u8),
    moment: StoreTime,
) -> Result<u64, StoreError> {
    let from = |number| (tenant, user, kind, state, number);
    let newest = listings.range(from(0)..=from(u64::MAX)).map_err(fault)?.next_back();
    let Some((newest, _)) = newest.transpose().map_err(fault)? else { return Ok(0) };
    let mut search = AgeSearch::new(moment, newest.value().4.saturating_add(1));
    while let Some(number) = search.look_from() {
        let first = listings.range(from(number)..=from(u64::MAX)).map_err(fault)?.next();
        search.found(match first.transpose().map_err(fault)? {
            Some((key, id)) => {
                let task: Option<TaskRecord> = record(tasks, id.value())?;
                Some((key.value().4, task.ok_or_else(|| dangling("listings"))?.created))
            }
            None => None,
        });
    }
    Ok(search.number())
}

pub(super) fn person(transaction: &ReadTransaction, id: PersonId) -> Result<PersonRecord, StoreError> {
    let people = transaction.open_table(PEOPLE).map_err(fault)?;
    record(&people, id.to_bytes())?.ok_or_else(|| StoreError::NotFound { kind: "person", id: id.to_string() })
}

pub(super) fn person_named(
    transaction: &ReadTransaction,
    owner: &Owner,
    name: &PersonName,
) -> Result<PersonRecord, StoreError> {
    let names = transaction.open_table(PEOPLE_BY_NAME).map_err(fault)?;
    let key = (owner.tenant.as_str(), owner.user.as_str(), name.as_str());
    let id = names.get(key).map_err(fault)?.map(|guard| guard.value());
    let id = id.ok_or_else(|| StoreError::NotFound { kind: "person", id: format!("named {name}") })?;
    person(transaction, PersonId::from_bytes(id))
}

pub(super) fn list_people(
    transaction: &ReadTransaction,
    filter: &PeopleFilter,
) -> Result<Page<PersonRecord>, StoreError> {
    let names = transaction.open_table(PEOPLE_BY_NAME).map_err(fault)?;
    let people = transaction.open_table(PEOPLE).map_err(fault)?;
    let tenant = filter.tenant.as_str();
    let wanted_user = filter.user.as_ref().map_or("", |user| user.as_str());
    let start = match &filter.after {
        Some((user, name)) => (tenant, user.as_str(), name.as_str()),
        None => (tenant, wanted_user, ""),
    };
    let mut items = Vec::new();
    for row in names.range(start..).map_err(fault)? {
        let (key, id) = row.map_err(fault)?;
        let (row_tenant, user, _) = key.value();
        if row_tenant != tenant || (!wanted_user.is_empty() && user != wanted_user) {
            break;
        }
        if filter.after.is_some() && key.value() == start {
            continue;
        }
        if items.len() >= filter.page_size {
            return Ok(Page { items, more: true });
        }
        items.push(record(&people, id.value())?.ok_or_else(|| dangling("people_by_name"))?);
    }
    Ok(Page { items, more: false })
}

pub(super) fn dangling(index: &str) -> StoreError {
    StoreError::Damaged { reason: format!("index {index} names something that is not there") }
}
