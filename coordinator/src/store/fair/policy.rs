//! Weights and caps, as an operator sets them.

use std::collections::BTreeMap;

use likeness_shared::proto::TaskKind;
use serde::{Deserialize, Serialize};

use super::Place;

/// How GPU time is shared. Coordinators of one fleet must have the same.
///
/// A weight of 200 is twice the usual share, 50 half of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FairPolicy {
    /// Weight of drawing pictures against learning people, for each model.
    pub generation_weight: u32,
    /// Weight of learning people.
    pub inversion_weight: u32,
    /// Tasks that one user may have in flight.
    pub user_in_flight: u64,
    /// Tasks that one tenant may have in flight.
    pub tenant_in_flight: u64,
    /// Tasks of one user that may wait.
    pub user_queued: u64,
    /// Tasks of one tenant that may wait.
    pub tenant_queued: u64,
    /// Tenants that differ.
    pub tenants: BTreeMap<String, TenantPolicy>,
}

/// What is different for one tenant; unset = as for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantPolicy {
    /// Weight against other tenants; usual 100.
    pub weight: Option<u32>,
    /// Tasks that it may have in flight.
    pub in_flight: Option<u64>,
    /// Tasks of it that may wait.
    pub queued: Option<u64>,
    /// Tasks that each of its users may have in flight.
    pub user_in_flight: Option<u64>,
    /// Tasks of each of its users that may wait.
    pub user_queued: Option<u64>,
    /// Weights of users against the tenant's others; usual 100.
    pub user_weights: BTreeMap<String, u32>,
}

impl Default for FairPolicy {
    fn default() -> Self {
        Self {
            generation_weight: 300,
            inversion_weight: 100,
            user_in_flight: 64,
            tenant_in_flight: 100_000,
            user_queued: 10_000,
            tenant_queued: 1_000_000,
            tenants: BTreeMap::new(),
        }
    }
}

/// What holds for one user in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Weights of the user, the tenant, the class and the model.
    pub weights: [u32; 4],
    /// Tasks that the user may have in flight.
    pub user_in_flight: u64,
    /// Tasks that the tenant may have in flight.
    pub tenant_in_flight: u64,
    /// Tasks of the user that may wait.
    pub user_queued: u64,
    /// Tasks of the tenant that may wait.
    pub tenant_queued: u64,
}

impl Terms {
    /// A weight that changes nothing.
    pub const USUAL_WEIGHT: u32 = 100;
}

impl FairPolicy {
    /// What holds for a place.
    #[must_use]
    pub fn terms(&self, place: &Place) -> Terms {
        let tenant = self.tenants.get(&place.tenant);
        let class = match place.lane.kind() {
            TaskKind::Inversion => self.inversion_weight,
            TaskKind::Generation | TaskKind::Unspecified => self.generation_weight,
        };
        let user = tenant.and_then(|tenant| tenant.user_weights.get(&place.user).copied());
        let of_tenant =
            |field: fn(&TenantPolicy) -> Option<u64>, usual| tenant.and_then(field).unwrap_or(usual);
        Terms {
            weights: [
                user.unwrap_or(Terms::USUAL_WEIGHT),
                tenant.and_then(|tenant| tenant.weight).unwrap_or(Terms::USUAL_WEIGHT),
                class,
                Terms::USUAL_WEIGHT,
            ],
            user_in_flight: of_tenant(|tenant| tenant.user_in_flight, self.user_in_flight),
            tenant_in_flight: of_tenant(|tenant| tenant.in_flight, self.tenant_in_flight),
            user_queued: of_tenant(|tenant| tenant.user_queued, self.user_queued),
            tenant_queued: of_tenant(|tenant| tenant.queued, self.tenant_queued),
        }
    }

    /// What cannot work, as option and problem.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let zero = |option| Some((option, "must be at least 1".to_owned()));
        if self.generation_weight == 0 {
            return zero("fairness.generation_weight");
        }
        if self.inversion_weight == 0 {
            return zero("fairness.inversion_weight");
        }
        for (option, value) in [
            ("fairness.user_in_flight", self.user_in_flight),
            ("fairness.tenant_in_flight", self.tenant_in_flight),
            ("fairness.user_queued", self.user_queued),
            ("fairness.tenant_queued", self.tenant_queued),
        ] {
            if value == 0 {
                return zero(option);
            }
        }
        for tenant in self.tenants.values() {
            if tenant.weight == Some(0) || tenant.user_weights.values().any(|weight| *weight == 0) {
                return zero("fairness.tenants.*.weight");
            }
            let caps = [tenant.in_flight, tenant.queued, tenant.user_in_flight, tenant.user_queued];
            if caps.contains(&Some(0)) {
                return zero("fairness.tenants.*.in_flight");
            }
        }
        None
    }
}
