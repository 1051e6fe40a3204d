//! Who asks, and when: tenants of different weight, users of whom few ask much and many ask little, day and night.

use super::catalogue::Catalogue;
use super::dice::{Dice, Lottery};
use crate::store::fair::{FairPolicy, Place, TenantPolicy, Terms};

/// Microseconds of a day.
const DAY_US: f64 = 86_400e6;
/// Weights of the tenants.
const TENANT_WEIGHTS: [u32; 8] = [100, 100, 100, 100, 200, 200, 50, 400];
/// Every so many users has twice the usual weight.
const HEAVY_EVERY: usize = 20;
/// How quickly users of higher rank ask less (exponent of Zipf's law).
const ZIPF: f64 = 0.9;
/// How far the busiest hour lies above the mean.
const TIDE: f64 = 0.4;

/// Everyone, by rank: the one who asks most comes first.
#[derive(Debug)]
pub(super) struct Population {
    pub(super) policy: FairPolicy,
    /// Tenant of each user.
    pub(super) tenants: Vec<usize>,
    /// Place and terms of each user in each lane.
    standings: Vec<Vec<(Place, Terms)>>,
}

impl Population {
    /// Users of several tenants.
    pub(super) fn varied(users: usize, catalogue: &Catalogue, dice: &mut Dice) -> Self {
        let tenants = (0..users).map(|_| (dice.share() * TENANT_WEIGHTS.len() as f64) as usize).collect();
        let mut policy = FairPolicy::default();
        for (tenant, weight) in TENANT_WEIGHTS.iter().enumerate() {
            let differs = TenantPolicy { weight: Some(*weight), ..TenantPolicy::default() };
            policy.tenants.insert(tenant_name(tenant), differs);
        }
        let population = Self { policy, tenants, standings: Vec::new() };
        population.weighted(catalogue, HEAVY_EVERY)
    }

    /// Users of one tenant, all of one weight.
    pub(super) fn alike(users: usize, catalogue: &Catalogue) -> Self {
        let population =
            Self { policy: FairPolicy::default(), tenants: vec![0; users], standings: Vec::new() };
        population.weighted(catalogue, usize::MAX)
    }

    fn weighted(mut self, catalogue: &Catalogue, heavy_every: usize) -> Self {
        for (user, tenant) in self.tenants.iter().enumerate().skip(1) {
            if user % heavy_every == 0 {
                let tenant = self.policy.tenants.entry(tenant_name(*tenant)).or_default();
                tenant.user_weights.insert(user_name(user), 2 * Terms::USUAL_WEIGHT);
            }
        }
        let standing = |(user, tenant): (usize, &usize)| {
            let place = |lane: &_| Place {
                lane: Clone::clone(lane),
                tenant: tenant_name(*tenant),
                user: user_name(user),
            };
            let places = catalogue.lanes.iter().map(place);
            places.map(|place| (place.clone(), self.policy.terms(&place))).collect()
        };
        self.standings = self.tenants.iter().enumerate().map(standing).collect();
        self
    }

    pub(super) fn users(&self) -> usize {
        self.tenants.len()
    }

    pub(super) fn standing(&self, user: usize, lane: usize) -> (&Place, &Terms) {
        let (place, terms) = &self.standings[user][lane];
        (place, terms)
    }

    /// The user and lane of a place that the scheduler names.
    pub(super) fn find(&self, place: &Place, catalogue: &Catalogue) -> Option<(usize, usize)> {
        let user = place.user.strip_prefix('u')?.parse().ok()?;
        Some((user, catalogue.lanes.iter().position(|lane| *lane == place.lane)?))
    }
}

fn tenant_name(tenant: usize) -> String {
    format!("t{tenant}")
}

fn user_name(user: usize) -> String {
    format!("u{user}")
}

/// A task that is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    pub(super) user: usize,
    pub(super) product: usize,
}

/// Where tasks come from.
#[derive(Debug)]
pub(super) enum Source {
    /// At random, more by day than by night.
    Tide(Tide),
    /// As written, by time.
    Written(std::vec::IntoIter<(u64, Arrival)>),
}

impl Source {
    /// The next task, and when it comes.
    pub(super) fn next(&mut self, now: u64, dice: &mut Dice) -> Option<(u64, Arrival)> {
        match self {
            Self::Tide(tide) => tide.next(now, dice),
            Self::Written(arrivals) => arrivals.next(),
        }
    }
}

/// A Poisson process whose rate follows the time of day.
#[derive(Debug)]
pub(super) struct Tide {
    /// Tasks a microsecond, on average.
    rate: f64,
    users: Lottery,
    products: Lottery,
}

impl Tide {
    pub(super) fn new(tasks_per_day: u64, users: usize, catalogue: &Catalogue) -> Self {
        let demand = (1..=users).map(|rank| (rank as f64).powf(-ZIPF));
        let shares = catalogue.products.iter().map(|product| product.share);
        Self {
            rate: tasks_per_day as f64 / DAY_US,
            users: Lottery::new(demand),
            products: Lottery::new(shares),
        }
    }

    fn next(&mut self, now: u64, dice: &mut Dice) -> Option<(u64, Arrival)> {
        let highest = self.rate * (1.0 + TIDE);
        let mut at = now as f64;
        loop {
            at += dice.exponential(highest);
            // from the mean in the morning over the height six hours later to the low at night
            let level = 1.0 + TIDE * (std::f64::consts::TAU * at / DAY_US).sin();
            if !at.is_finite() {
                return None;
            }
            if dice.chance(level / (1.0 + TIDE)) {
                let (user, product) = (self.users.draw(dice), self.products.draw(dice));
                return Some((at as u64, Arrival { user, product }));
            }
        }
    }
}
