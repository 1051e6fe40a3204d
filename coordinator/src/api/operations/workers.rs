//! Workers: who there is, how they are, and whether they may work.

use std::time::Duration;

use likeness_shared::errors::ServiceError;
use likeness_shared::ids::WorkerId;
use likeness_shared::limits::Checks;
use likeness_shared::proto::{
    DeviceFacts, DrainWorkerRequest, ListWorkersRequest, ListWorkersResponse, ModelFacts, Worker, WorkerState,
};

use super::tasks::MAX_REASON;
use crate::api::{Shared, wire};
use crate::store::record::StoreTime;
use crate::store::worker_record::{Drain, WorkerRecord, WorkerStanding};

/// A worker that nobody has seen for so long has no session, whatever became of its coordinator: several times as long
/// as a session lets pass before it says that its worker is there.
const UNSEEN: Duration = Duration::from_secs(45);
/// Listings leave out who has been away for longer, unless asked.
const LONG_AWAY: Duration = Duration::from_secs(10 * 60);

/// By name. A token is the name of the last worker looked at; a page may be shorter than asked.
pub(super) async fn list(
    shared: &Shared,
    request: ListWorkersRequest,
) -> Result<ListWorkersResponse, ServiceError> {
    let mut checks = Checks::new();
    let page_size = wire::page_size(request.page_size, &mut checks);
    let after: Option<WorkerId> = match request.page_token.as_str() {
        "" => None,
        token => checks.parse("page_token", token),
    };
    checks.finish()?;
    let now = shared.stored(shared.store.now()).await?;
    let page = shared.stored(shared.store.list_workers(after, page_size)).await?;
    let next_page_token = match page.items.last() {
        Some(last) if page.more => last.record.facts.id.to_string(),
        _ => String::new(),
    };
    let shown = page.items.into_iter().filter(|worker| {
        request.include_away
            || away_since(&worker.record, now).is_none_or(|since| since.plus(LONG_AWAY) > now)
    });
    let workers = shown.map(|worker| message(worker, now)).collect();
    Ok(ListWorkersResponse { workers, next_page_token })
}

pub(super) async fn get(shared: &Shared, id: &str) -> Result<Worker, ServiceError> {
    let id: WorkerId = wire::id("id", id)?;
    as_it_is(shared, id).await
}

pub(super) async fn drain(shared: &Shared, request: DrainWorkerRequest) -> Result<Worker, ServiceError> {
    let mut checks = Checks::new();
    let id: Option<WorkerId> = checks.parse("id", &request.id);
    checks.prose("reason", &request.reason, MAX_REASON);
    checks.finish()?;
    let id = wire::checked(id)?;
    let drain = Drain { reason: request.reason, finish_running: request.finish_running };
    shared.stored(shared.store.drain_worker(id.clone(), drain)).await?;
    tracing::info!(worker = %id, finish_running = request.finish_running, "worker drains");
    as_it_is(shared, id).await
}

pub(super) async fn undrain(shared: &Shared, id: &str) -> Result<Worker, ServiceError> {
    let id: WorkerId = wire::id("id", id)?;
    shared.stored(shared.store.undrain_worker(id.clone())).await?;
    tracing::info!(worker = %id, "worker may work again");
    shared.roster.wake();
    as_it_is(shared, id).await
}

async fn as_it_is(shared: &Shared, id: WorkerId) -> Result<Worker, ServiceError> {
    let now = shared.stored(shared.store.now()).await?;
    let worker = shared.stored(shared.store.worker(id)).await?;
    Ok(message(worker, now))
}

/// When the worker's session ended; `None` = it has one.
pub(in crate::api) fn away_since(worker: &WorkerRecord, now: StoreTime) -> Option<StoreTime> {
    worker.left.or_else(|| (worker.last_seen.plus(UNSEEN) < now).then_some(worker.last_seen))
}

fn message(worker: WorkerStanding, now: StoreTime) -> Worker {
    let WorkerStanding { record, totals, tasks } = worker;
    let state = if away_since(&record, now).is_some() {
        WorkerState::Away
    } else if record.quarantined.is_some() {
        WorkerState::Quarantined
    } else if record.drain.is_some() {
        WorkerState::Draining
    } else {
        WorkerState::Active
    };
    let drained = record.drain.map(|drain| drain.reason);
    let facts = record.facts;
    Worker {
        id: facts.id.to_string(),
        incarnation: facts.incarnation.to_string(),
        state: state.into(),
        reason: record.quarantined.or(drained).unwrap_or_default(),
        device: Some(DeviceFacts { name: facts.device, memory_bytes: facts.device_memory_bytes }),
        models: facts
            .models
            .into_iter()
            .map(|model| ModelFacts { name: model.name, digest: model.digest, is_default: model.is_default })
            .collect(),
        build: facts.build,
        protocol: facts.protocol,
        slots: facts.slots,
        tasks: u32::try_from(tasks).unwrap_or(u32::MAX),
        join_time: Some(wire::timestamp(record.joined)),
        last_seen_time: Some(wire::timestamp(record.last_seen)),
        failures_in_a_row: record.failures_in_a_row,
        settled: totals.settled,
        device_time: Some(wire::microseconds(totals.device_time_us)),
    }
}
