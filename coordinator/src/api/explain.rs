//! Why a task does not run, and when it is expected to start.
//!
//! The estimate follows the order of the shares: what comes before the task in GPU time, divided by the workers that can
//! take it. It is right as far as the costs of single tasks are known and nobody else comes; the later of the two
//! times allows for how much costs have differed from their mean.

use likeness_shared::errors::ServiceError;
use likeness_shared::ids::TaskId;
use likeness_shared::proto::{BindingConstraint, ExplainTaskResponse};

use super::operations::away_since;
use super::{Shared, wire};
use crate::store::fair::{LaneView, Place, Standing, work_before};
use crate::store::record::{State, StoreTime, TaskRecord};
use crate::store::{Ahead, QueueFilter};

/// Tenants and users looked at; those after them count with their tenant.
const LOOKED_AT: usize = 1000;
/// Workers looked at.
const WORKERS_LOOKED_AT: usize = 1000;
/// Standard deviations above the mean that nine cases of ten stay under.
const NINE_OF_TEN: f64 = 1.28;
/// Of a standard deviation, for one of the mean distance.
const OF_MEAN_DISTANCE: f64 = 1.25;

/// What keeps a task, what comes first, and the estimate.
pub(super) async fn explain(shared: &Shared, id: TaskId) -> Result<ExplainTaskResponse, ServiceError> {
    let task = shared.stored(shared.store.task(id)).await?;
    let now = shared.stored(shared.store.now()).await?;
    let fleet = Fleet::of(shared, &task, now).await?;
    let mut answer = ExplainTaskResponse { fitting_workers: fleet.workers, ..ExplainTaskResponse::default() };
    match shared.stored(shared.store.ahead(id)).await? {
        Some(ahead) if task.state == State::Queued => {
            let filter = QueueFilter { tenant: task.owner.tenant.to_string(), most: LOOKED_AT };
            let lanes = shared.stored(shared.store.lanes(filter)).await?;
            waiting(shared, &task, &lanes, ahead, &fleet, &mut answer);
        }
        _ => not_waiting(&task, now, &mut answer),
    }
    answer.task = Some(wire::task(task));
    Ok(answer)
}

/// The workers that could take the task.
#[derive(Default)]
struct Fleet {
    workers: u32,
    /// Tasks that they could begin this moment.
    room: usize,
}

impl Fleet {
    async fn of(shared: &Shared, task: &TaskRecord, now: StoreTime) -> Result<Self, ServiceError> {
        let known = shared.stored(shared.store.list_workers(None, WORKERS_LOOKED_AT)).await?;
        let mut fleet = Self::default();
        for worker in known.items {
            let here = away_since(&worker.record, now).is_none() && worker.record.takes_work();
            if here && worker.record.facts.has_model(task.spec.model()) {
                let slots = usize::try_from(worker.record.facts.slots.max(1)).unwrap_or(1);
                fleet.workers += 1;
                fleet.room += slots.saturating_sub(worker.tasks);
            }
        }
        Ok(fleet)
    }
}

fn not_waiting(task: &TaskRecord, now: StoreTime, answer: &mut ExplainTaskResponse) {
    let (constraint, explanation) = match &task.state {
        State::Leased(tenure) | State::Running(tenure) => {
            (BindingConstraint::None, format!("it runs on {}", tenure.worker))
        }
        State::Queued => (BindingConstraint::Queue, "it has just begun to wait: ask again".to_owned()),
        State::Held { reason } => (BindingConstraint::Held, format!("an operator holds it: {reason}")),
        State::Scheduled => {
            let left = task.not_before.map_or(0, |time| time.0.saturating_sub(now.0));
            (BindingConstraint::Scheduled, format!("its time comes in {:.0} s", seconds(left)))
        }
        _ => (BindingConstraint::None, "it has ended".to_owned()),
    };
    answer.set_constraint(constraint);
    answer.explanation = explanation;
}

fn waiting(
    shared: &Shared,
    task: &TaskRecord,
    lanes: &[LaneView],
    ahead: Ahead,
    fleet: &Fleet,
    answer: &mut ExplainTaskResponse,
) {
    let policy = &shared.config.fairness;
    let place = Place {
        lane: task.spec.lane(),
        tenant: task.owner.tenant.to_string(),
        user: task.owner.user.to_string(),
    };
    let terms = policy.terms(&place);
    let before = work_before(lanes, policy, &place, ahead.cost);
    answer.ahead_of_own = u32::try_from(ahead.tasks).unwrap_or(u32::MAX);
    answer.device_time_ahead = Some(wire::microseconds(before));
    let tenant = lanes
        .iter()
        .filter(|lane| lane.lane == place.lane)
        .flat_map(|lane| &lane.tenants)
        .find(|tenant| tenant.tenant == place.tenant);
    let user = tenant.and_then(|tenant| tenant.users.iter().find(|user| user.user == place.user));
    let model = if place.lane.model.is_empty() { "the default model" } else { &place.lane.model };
    let (constraint, explanation) = if fleet.workers == 0 {
        (BindingConstraint::NoWorker, format!("no worker that takes work has {model}"))
    } else if user.is_some_and(|user| user.standing == Standing::KeptBack) {
        let cap = terms.user_in_flight;
        let explanation =
            format!("{} has {cap} tasks in flight, which is as many as a user may", place.owner());
        (BindingConstraint::UserCap, explanation)
    } else if tenant.is_some_and(|tenant| tenant.standing == Standing::KeptBack) {
        let cap = terms.tenant_in_flight;
        let explanation =
            format!("{} has {cap} tasks in flight, which is as many as a tenant may", place.tenant);
        (BindingConstraint::TenantCap, explanation)
    } else if before == 0 && fleet.room == 0 {
        let explanation = format!("it is next, and all {} workers with {model} are full", fleet.workers);
        (BindingConstraint::FleetFull, explanation)
    } else {
        let explanation = format!(
            "{} tasks of {} and, by others who have had less, {:.1} s of GPU time in all come first",
            ahead.tasks,
            place.owner(),
            seconds(before)
        );
        (BindingConstraint::Queue, explanation)
    };
    if fleet.workers > 0 {
        let (p50, p90) = start(before, task, fleet);
        answer.start_p50 = Some(wire::microseconds(p50));
        answer.start_p90 = Some(wire::microseconds(p90));
    }
    answer.set_constraint(constraint);
    answer.explanation = explanation;
}

/// From this moment until the start, as likely as not and in nine cases of ten, in microseconds.
///
/// The costs of the tasks that come first differ from their mean independently, so that of many is known better than
/// that of one. Where every worker is full, one of the tasks that run must end first.
fn start(before: u64, task: &TaskRecord, fleet: &Fleet) -> (u64, u64) {
    let (before, own) = (before as f64, task.expected_us() as f64);
    let workers = f64::from(fleet.workers.max(1));
    let spread = OF_MEAN_DISTANCE * task.unit_deviation_ns as f64 / task.unit_ns.max(1) as f64;
    let tasks = (before / own.max(1.0)).max(1.0);
    let until_room = if fleet.room == 0 { own / workers } else { 0.0 };
    let p50 = before / workers + until_room / 2.0;
    let p90 = before / workers * (1.0 + NINE_OF_TEN * spread / tasks.sqrt()) + until_room * (1.0 + spread);
    (p50 as u64, p90 as u64)
}

fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}
