//! One user floods, and others have one task each: what the others wait, and what everyone is served in an hour in
//! which the others always have something waiting too.

use super::HOUR_US;
use super::catalogue::Catalogue;
use super::dice::Dice;
use super::fleet::Fleet;
use super::life::Life;
use super::population::{Arrival, Population, Source};
use super::report::{FloodReport, Wait};

/// Tasks of the one.
const FLOOD: usize = 10_000;
/// The others, who come after the one.
const OTHERS: usize = 200;
/// Within this time the others come, in microseconds.
const OTHERS_COME_WITHIN: f64 = 600e6;

/// Plays the three lives.
pub(super) fn flood(workers: usize, seed: u64) -> FloodReport {
    let others = |dice: &mut Dice| -> Vec<(u64, Arrival)> {
        let arrival = |user| ((dice.share() * OTHERS_COME_WITHIN) as u64, Arrival { user, product: 0 });
        let mut arrivals: Vec<_> = (1..=OTHERS).map(arrival).collect();
        arrivals.sort_unstable();
        arrivals
    };
    let floods = std::iter::repeat_n((0, Arrival { user: 0, product: 0 }), FLOOD);
    let others = others(&mut Dice::new(seed, 4));
    let flooded: Vec<_> = floods.clone().chain(others.clone()).collect();
    let at_once = (1..=OTHERS).map(|user| (0, Arrival { user, product: 0 }));

    let alone = waits_of_others(workers, seed, others);
    let flooded = waits_of_others(workers, seed, flooded);
    let mut hour = life(workers, seed, floods.chain(at_once).collect()).with_steady_users(1);
    hour.run(HOUR_US as u64);
    FloodReport {
        task_seconds: Catalogue::uniform(1).mean_us() / 1e6,
        alone,
        flooded,
        fairness: hour.shares.measured(),
        utilisation: hour.fleet.utilisation(hour.now),
    }
}

fn life(workers: usize, seed: u64, arrivals: Vec<(u64, Arrival)>) -> Life {
    let (fleet, catalogue) = (Fleet::uniform(workers), Catalogue::uniform(1));
    let population = Population::alike(1 + OTHERS, &catalogue);
    Life::new(catalogue, population, fleet, Source::Written(arrivals.into_iter()), seed)
}

fn waits_of_others(workers: usize, seed: u64, arrivals: Vec<(u64, Arrival)>) -> Wait {
    let mut life = life(workers, seed, arrivals).counting_waits_from(1);
    life.run(HOUR_US as u64);
    life.waits.all()
}
