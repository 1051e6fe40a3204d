//! What an observer sees of the tree, and what it says of the time until a task starts.

use super::{FairPolicy, Lane, NodeKey, Place, Standing, Terms, Waiting};

/// A user who waits in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    /// The platform.
    pub tenant: String,
    /// The platform's user.
    pub user: String,
    /// Above the lane's floor, in GPU-microseconds at the usual weight.
    pub virtual_time: u64,
    /// Whether a cap keeps the user back.
    pub standing: Standing,
    /// What waits.
    pub waiting: Waiting,
    /// Leases of the user, in every lane.
    pub in_flight: u64,
}

/// A tenant with users who wait in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView {
    /// Its name.
    pub tenant: String,
    /// In GPU-microseconds at the usual weight.
    pub virtual_time: u64,
    /// Whether a cap keeps the tenant back.
    pub standing: Standing,
    /// What waits, of users shown and others.
    pub waiting: Waiting,
    /// Leases of the tenant, in every lane.
    pub in_flight: u64,
    /// Its users, those who are next first; those kept back last.
    pub users: Vec<UserView>,
}

/// A lane and who waits in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneView {
    /// Model and class.
    pub lane: Lane,
    /// Of the class among the model's, in GPU-microseconds at the usual weight.
    pub virtual_time: u64,
    /// Its tenants, those who are next first; those kept back last.
    pub tenants: Vec<TenantView>,
}

impl LaneView {
    /// Everything that waits in the lane.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.tenants.iter().fold(Waiting::default(), |sum, tenant| Waiting {
            tasks: sum.tasks + tenant.waiting.tasks,
            cost: sum.cost + tenant.waiting.cost,
        })
    }

    fn key(&self) -> NodeKey {
        NodeKey::class(&self.lane)
    }
}

/// GPU-microseconds that are served before the task at `place` which has `own` of its user's work before it, by the
/// lanes of its model. Exact but for the size of single tasks; users who are not shown count with their tenant.
#[must_use]
pub fn work_before(lanes: &[LaneView], policy: &FairPolicy, place: &Place, own: u64) -> u64 {
    let Some(lane) = lanes.iter().find(|lane| lane.lane == place.lane) else { return own };
    let Some(tenant) = lane.tenants.iter().find(|tenant| tenant.tenant == place.tenant) else { return own };
    let terms = policy.terms(place);
    // the user's own virtual time at the moment of the start, and what its neighbours are served until theirs is as high
    let start =
        |virtual_time: u64, work: u64, weight: u32| virtual_time.saturating_add(scaled_up(work, weight));
    let until = |virtual_time: u64, start: u64, weight: u32, waits: u64| {
        scaled_down(start.saturating_sub(virtual_time), weight).min(waits)
    };
    let user_time =
        tenant.users.iter().find(|user| user.user == place.user).map_or(0, |user| user.virtual_time);
    let user_start = start(user_time, own, terms.weights[0]);
    let in_tenant =
        tenant.users.iter().filter(|user| user.user != place.user && user.standing == Standing::Active);
    let in_tenant: u64 = in_tenant
        .map(|user| {
            let weight = weights(policy, &place.lane, &user.tenant, &user.user)[0];
            until(user.virtual_time, user_start, weight, user.waiting.cost)
        })
        .sum();
    let of_tenant = own.saturating_add(in_tenant);
    let tenant_start = start(tenant.virtual_time, of_tenant, terms.weights[1]);
    let in_lane = lane
        .tenants
        .iter()
        .filter(|other| other.tenant != place.tenant && other.standing == Standing::Active);
    let in_lane: u64 = in_lane
        .map(|other| {
            let weight = weights(policy, &place.lane, &other.tenant, "")[1];
            until(other.virtual_time, tenant_start, weight, other.waiting.cost)
        })
        .sum();
    let of_lane = of_tenant.saturating_add(in_lane);
    let lane_start = start(lane.virtual_time, of_lane, terms.weights[2]);
    let siblings =
        lanes.iter().filter(|other| other.lane.model == place.lane.model && other.key() != lane.key());
    let in_siblings: u64 = siblings
        .map(|other| {
            let weight = weights(policy, &other.lane, &place.tenant, "")[2];
            until(other.virtual_time, lane_start, weight, other.waiting().cost)
        })
        .sum();
    of_lane.saturating_add(in_siblings)
}

fn weights(policy: &FairPolicy, lane: &Lane, tenant: &str, user: &str) -> [u32; 4] {
    policy.terms(&Place { lane: lane.clone(), tenant: tenant.to_owned(), user: user.to_owned() }).weights
}

fn scaled_up(work: u64, weight: u32) -> u64 {
    work.saturating_mul(u64::from(Terms::USUAL_WEIGHT)) / u64::from(weight.max(1))
}

fn scaled_down(time: u64, weight: u32) -> u64 {
    time.saturating_mul(u64::from(weight)) / u64::from(Terms::USUAL_WEIGHT)
}

#[cfg(test)]
mod tests {
    use likeness_shared::proto::TaskKind;

    use super::super::{Change, Ledger, MemoryLedger, apply, class_byte, next};
    use super::*;

    const COST: u64 = 100;

    fn place(tenant: &str, user: &str, kind: TaskKind) -> Place {
        let lane = Lane { model: String::new(), class: class_byte(kind) };
        Place { lane, tenant: tenant.to_owned(), user: user.to_owned() }
    }

    fn view(ledger: &MemoryLedger, places: &[Place], lane: &Lane) -> LaneView {
        let time = |key: &NodeKey| ledger.node(key).unwrap().unwrap().virtual_time;
        let mut tenants: Vec<TenantView> = Vec::new();
        for place in places.iter().filter(|place| place.lane == *lane) {
            let [user_key, tenant_key, ..] = place.nodes();
            let user = UserView {
                tenant: place.tenant.clone(),
                user: place.user.clone(),
                virtual_time: time(&user_key),
                standing: ledger.node(&user_key).unwrap().unwrap().standing,
                waiting: ledger.waiting(&place.owner(), lane).unwrap(),
                in_flight: 0,
            };
            match tenants.iter_mut().find(|tenant| tenant.tenant == place.tenant) {
                Some(tenant) => tenant.users.push(user),
                None => tenants.push(TenantView {
                    tenant: place.tenant.clone(),
                    virtual_time: time(&tenant_key),
                    standing: Standing::Active,
                    waiting: ledger.waiting(&place.tenant, lane).unwrap(),
                    in_flight: 0,
                    users: vec![user],
                }),
            }
        }
        LaneView { lane: lane.clone(), virtual_time: time(&NodeKey::class(lane)), tenants }
    }

    #[test]
    fn the_work_before_a_task_is_what_is_then_served_before_it() {
        let mut policy = FairPolicy { user_in_flight: 1000, ..FairPolicy::default() };
        policy.tenants.entry("big".to_owned()).or_default().weight = Some(300);
        let places = [
            (place("big", "anna", TaskKind::Generation), 30),
            (place("big", "bert", TaskKind::Generation), 5),
            (place("small", "carl", TaskKind::Generation), 40),
            (place("small", "dora", TaskKind::Inversion), 25),
        ];
        let mut ledger = MemoryLedger::default();
        for (place, tasks) in &places {
            for _ in 0..*tasks {
                let change = Change { come: Some(COST), ..Change::default() };
                apply(&mut ledger, place, &policy.terms(place), change).unwrap();
            }
        }
        let only: Vec<Place> = places.iter().map(|(place, _)| place.clone()).collect();
        let lanes = [TaskKind::Generation, TaskKind::Inversion]
            .map(|kind| view(&ledger, &only, &Lane { model: String::new(), class: class_byte(kind) }));
        for (place, tasks) in &places {
            // the last task of each user
            let own = (tasks - 1) * COST;
            let expected = work_before(&lanes, &policy, place, own);
            let (mut ledger, mut before, mut seen) = (ledger.clone(), 0, 0);
            loop {
                let served = next(&ledger, &[String::new()]).unwrap().unwrap();
                seen += u64::from(served == *place);
                if seen == *tasks {
                    break;
                }
                before += COST;
                let change =
                    Change { gone: Some(COST), in_flight: 1, charge: 100, served: true, ..Change::default() };
                apply(&mut ledger, &served, &policy.terms(&served), change).unwrap();
            }
            let apart = expected.abs_diff(before);
            assert!(
                apart <= 4 * COST,
                "{place:?}: {before} were served before it, and {expected} were expected"
            );
        }
    }
}
