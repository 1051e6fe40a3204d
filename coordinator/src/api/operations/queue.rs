//! Who waits, with which share: the queue as operators see it.

use likeness_shared::errors::ServiceError;
use likeness_shared::limits::Checks;
use likeness_shared::proto::{GetQueueRequest, GetQueueResponse, QueueLane, QueueShare};

use crate::api::{Shared, wire};
use crate::store::QueueFilter;
use crate::store::fair::{LaneView, Place, Standing, Terms};

/// The lanes, each with those who are next first; those kept back by a cap last.
pub(super) async fn get_queue(
    shared: &Shared,
    request: GetQueueRequest,
) -> Result<GetQueueResponse, ServiceError> {
    let mut checks = Checks::new();
    if !request.tenant.is_empty() {
        checks.parse::<likeness_shared::ids::TenantName>("tenant", &request.tenant);
    }
    let most = wire::page_size(request.page_size, &mut checks);
    checks.finish()?;
    let filter = QueueFilter { tenant: request.tenant.clone(), most };
    let lanes = shared.stored(shared.store.lanes(filter)).await?;
    let lanes = lanes.into_iter().map(|lane| queue_lane(shared, lane, &request.tenant, most));
    Ok(GetQueueResponse { lanes: lanes.collect() })
}

fn queue_lane(shared: &Shared, view: LaneView, tenant: &str, most: usize) -> QueueLane {
    let waiting = view.waiting();
    let tenants = view.tenants.iter().filter(|shown| tenant.is_empty() || shown.tenant == *tenant);
    let users = tenants.flat_map(|tenant| &tenant.users).take(most);
    let shares = users.map(|user| {
        let place = Place { lane: view.lane.clone(), tenant: user.tenant.clone(), user: user.user.clone() };
        let [weight, ..] = shared.config.fairness.terms(&place).weights;
        QueueShare {
            tenant: user.tenant.clone(),
            user: user.user.clone(),
            weight: f64::from(weight) / f64::from(Terms::USUAL_WEIGHT),
            virtual_time: Some(wire::microseconds(user.virtual_time)),
            waiting: user.waiting.tasks,
            in_flight: user.in_flight,
            eligible: user.standing == Standing::Active,
        }
    });
    QueueLane {
        model: view.lane.model.clone(),
        kind: view.lane.kind().into(),
        waiting: waiting.tasks,
        device_time_waiting: Some(wire::microseconds(waiting.cost)),
        shares: shares.collect(),
    }
}
