//! Gives waiting tasks to a worker: which user's turn it is, then that user's first task.

use std::collections::BTreeMap;

use bytes::Bytes;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{PersonBinding, ResolvedPerson};
use redb::ReadableTable;

use super::faults::fault;
use super::tables::Tables;
use crate::store::indexes::Share;
use crate::store::record::{Spec, TaskRecord};
use crate::store::{Claimant, Claimed, StoreError};

/// Leases up to `most` tasks. A generation whose person is gone fails here instead of starting.
pub(super) fn claim(
    tables: &mut Tables<'_>,
    claimant: &Claimant,
    most: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed = Vec::new();
    while claimed.len() < most {
        let Some(id) = next_in_order(tables, &claimant.pools)? else { break };
        let old = tables.task(id)?;
        let mut task = old.clone();
        let people = match resolve_people(tables, &task)? {
            Ok(people) => people,
            Err(message) => {
                task.fail_unstarted("person_gone", message, tables.now)?;
                tables.put_task(Some(&old), &task)?;
                continue;
            }
        };
        let ttl = tables.times.lease_ttl;
        let fence = task.lease(&claimant.worker, &claimant.incarnation, tables.now, ttl)?;
        tables.put_task(Some(&old), &task)?;
        let checkpoint = tables.checkpoints.get(id.to_bytes()).map_err(fault)?;
        let checkpoint = checkpoint.map(|guard| Bytes::copy_from_slice(guard.value())).unwrap_or_default();
        claimed.push(Claimed { task, fence, checkpoint, people });
    }
    Ok(claimed)
}

/// The task that is next for a worker with these models.
fn next_in_order(tables: &Tables<'_>, pools: &[String]) -> Result<Option<TaskId>, StoreError> {
    let mut first: Option<(Share, String)> = None;
    for pool in pools {
        let turn = tables.turns.range((pool.as_str(), 0, 0, "")..).map_err(fault)?.next();
        let Some((key, ())) = turn.transpose().map_err(fault)?.map(|(key, value)| (key, value.value()))
        else {
            continue;
        };
        let (turn_pool, in_flight, served, owner) = key.value();
        let candidate = (Share { in_flight, served }, owner.to_owned());
        if turn_pool == pool && first.as_ref().is_none_or(|first| candidate < *first) {
            first = Some(candidate);
        }
    }
    let Some((_, owner)) = first else { return Ok(None) };
    let mut place: Option<(u8, u64, TaskId)> = None;
    for pool in pools {
        let head = tables.queue.range((pool.as_str(), owner.as_str(), 0, 0)..).map_err(fault)?.next();
        let Some((key, id)) = head.transpose().map_err(fault)? else { continue };
        let (head_pool, head_owner, lane, number) = key.value();
        let candidate = (lane, number, TaskId::from_bytes(id.value()));
        if head_pool == pool && head_owner == owner && place.is_none_or(|place| candidate < place) {
            place = Some(candidate);
        }
    }
    Ok(place.map(|(_, _, id)| id))
}

type Resolved = Result<Vec<ResolvedPerson>, String>;

fn resolve_people(tables: &Tables<'_>, task: &TaskRecord) -> Result<Resolved, StoreError> {
    let Spec::Generation(spec) = &task.spec else { return Ok(Ok(Vec::new())) };
    let mut known = BTreeMap::new();
    for PersonBinding { placeholder, person_id } in &spec.people {
        let person = match person_id.parse().map(|id| tables.person(id)) {
            Ok(Ok(person)) => person,
            Ok(Err(StoreError::NotFound { .. })) | Err(_) => {
                return Ok(Err(format!("person {person_id} was deleted before the pictures could be drawn")));
            }
            Ok(Err(error)) => return Err(error),
        };
        let placeholder = if placeholder.is_empty() { person.placeholder } else { placeholder.clone() };
        let resolved = ResolvedPerson {
            placeholder: placeholder.clone(),
            artifact_digest: person.artifact.to_string(),
            model_digest: person.model_digest,
        };
        known.insert(placeholder, resolved);
    }
    Ok(Ok(known.into_values().collect()))
}
