//! What is in of an experiment, and the figures of its cells.

use std::collections::BTreeMap;

use likeness_worker::score::mean;

use super::super::plan::{Plan, UnitKey};
use super::super::results::Unit;
use super::figure::Figure;
use super::statistics::sample_deviation;

/// A plan and those of its inversions that are in.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    pub(super) plan: &'a Plan,
    pub(super) units: Vec<&'a Unit>,
    /// Inversions in all.
    pub(super) planned: usize,
}

/// A figure of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Value {
    /// Mean over the seeds that count, each the mean over its people.
    pub(super) mean: f64,
    /// Over these seeds; nothing for one.
    pub(super) deviation: Option<f64>,
    /// Seeds that count.
    pub(super) seeds: usize,
    /// Inversions of the cell that have the figure.
    pub(super) inversions: usize,
    /// Inversions that the cell is to have.
    pub(super) planned: usize,
}

impl<'a> Outcome<'a> {
    /// Inversions that the plan does not know are left out.
    pub(super) fn new(plan: &'a Plan, units: &'a BTreeMap<UnitKey, Unit>) -> Self {
        let planned = plan.units();
        let units = planned.iter().filter_map(|key| units.get(key)).collect();
        Self { plan, units, planned: planned.len() }
    }

    /// Whether pictures are scored by a CLIP model.
    pub(super) fn has_clip(&self) -> bool {
        !self.plan.scored_by.clip.is_empty() || self.units.iter().any(|unit| unit.evaluation.clip.is_some())
    }

    /// Whether photos of anybody were kept from the training.
    pub(super) fn has_held_out(&self) -> bool {
        self.plan.people.iter().any(|person| !person.held_out.is_empty())
    }

    /// The id that tells most: against held-out photos where everybody has some.
    pub(super) fn leading_id(&self) -> Figure {
        let everybody = self.plan.people.iter().all(|person| !person.held_out.is_empty());
        if everybody { Figure::HeldOutId } else { Figure::Id }
    }

    /// The figures there is something to go by for.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let (clip, held_out) = (self.has_clip(), self.has_held_out());
        let is_known = |figure: &Figure| {
            let can_be = (clip || !figure.needs_clip()) && (held_out || !figure.needs_held_out());
            can_be && (self.units.is_empty() || self.units.iter().any(|unit| figure.of(unit).is_some()))
        };
        Figure::ALL.into_iter().filter(is_known).collect()
    }

    /// The inversions of a cell.
    pub(super) fn units_of(&self, cell: usize) -> impl Iterator<Item = &'a Unit> {
        self.units.iter().copied().filter(move |unit| unit.key.cell == cell)
    }

    /// Inversions that a cell is to have.
    pub(super) fn planned_of(&self, cell: usize) -> usize {
        let seeds = self.plan.cells.get(cell).and_then(|told| told.seeds).unwrap_or(self.plan.seeds);
        self.plan.people.len() * seeds.min(self.plan.seeds) as usize
    }

    /// A figure of a cell. A seed counts as soon as it has as many people as the cell's fullest: half a seed is the mean of other people.
    pub(super) fn value(&self, cell: usize, figure: Figure) -> Option<Value> {
        let mut by_seed: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for unit in self.units_of(cell) {
            if let Some(value) = figure.of(unit) {
                by_seed.entry(unit.key.seed).or_default().push(value);
            }
        }
        let fullest = by_seed.values().map(Vec::len).max()?;
        let whole = by_seed.values().filter(|people| people.len() == fullest);
        let seeds: Vec<f64> = whole.filter_map(|people| mean(people.iter().copied())).collect();
        Some(Value {
            mean: mean(seeds.iter().copied())?,
            deviation: sample_deviation(&seeds),
            seeds: seeds.len(),
            inversions: by_seed.values().map(Vec::len).sum(),
            planned: self.planned_of(cell),
        })
    }
}

impl Value {
    /// The mean, as it is shown.
    pub(super) fn shown(&self) -> String {
        format!("{:.4}", self.mean)
    }

    /// The deviation, as it is shown.
    pub(super) fn shown_deviation(&self) -> Option<String> {
        self.deviation.map(|deviation| format!("{deviation:.4}"))
    }

    /// Whether inversions are missing.
    pub(super) fn is_partial(&self) -> bool {
        self.inversions < self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::tests::plan;
    use super::super::super::results::tests::unit;
    use super::*;

    fn units(told: &[(usize, u32, f64)]) -> BTreeMap<UnitKey, Unit> {
        let key = |person, seed| UnitKey { cell: 1, person, seed };
        told.iter()
            .map(|(person, seed, id)| (key(*person, *seed), unit(key(*person, *seed), *id, 0.0)))
            .collect()
    }

    #[test]
    fn the_deviation_is_over_seeds_of_means_over_people() {
        let plan = plan();
        let units = units(&[(0, 0, 0.1), (1, 0, 0.2), (2, 0, 0.3), (0, 1, 0.3), (1, 1, 0.4), (2, 1, 0.8)]);
        let value = Outcome::new(&plan, &units).value(1, Figure::Id).unwrap();
        assert!((value.mean - 0.35).abs() < 1e-12);
        // 0.2 and 0.5: each 0.15 from the mean, 2 * 0.0225 / 1.
        assert!((value.deviation.unwrap() - 0.045_f64.sqrt()).abs() < 1e-12);
        assert_eq!((value.seeds, value.inversions, value.is_partial()), (2, 6, false));
    }

    #[test]
    fn half_a_seed_does_not_count() {
        let plan = plan();
        let units = units(&[(0, 0, 0.1), (1, 0, 0.2), (2, 0, 0.3), (0, 1, 0.9)]);
        let outcome = Outcome::new(&plan, &units);
        let value = outcome.value(1, Figure::Id).unwrap();
        assert_eq!((value.shown(), value.deviation), ("0.2000".to_owned(), None));
        assert!(value.is_partial() && (value.inversions, value.planned) == (4, 6));
        assert_eq!(outcome.value(0, Figure::Id), None);
    }

    #[test]
    fn what_the_plan_does_not_know_is_left_out() {
        let plan = plan();
        let units = units(&[(0, 0, 0.1), (0, 7, 0.9)]);
        let outcome = Outcome::new(&plan, &units);
        assert_eq!((outcome.units.len(), outcome.planned, outcome.planned_of(4)), (1, 27, 3));
    }
}
