//! Cells against each other, person by person: pairs that differ in the start alone, or in the parameterisation alone.

use std::collections::BTreeMap;

use likeness_worker::score::mean;

use super::figure::Figure;
use super::grid::Grid;
use super::outcome::Outcome;
use super::statistics::{holm, sign_flip_p};

/// With fewer people nothing can be told.
pub(super) const FEWEST_PEOPLE: usize = 5;

/// Two cells, compared in one figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    /// What they have in common.
    pub(super) within: String,
    /// What is subtracted from.
    pub(super) one: String,
    /// What is subtracted.
    pub(super) other: String,
    /// People that have both.
    pub(super) people: usize,
    /// People of whom `one` has more.
    pub(super) raised: usize,
    /// Mean difference over the people.
    pub(super) mean: Option<f64>,
    /// Of [`sign_flip_p`]; nothing with too few people.
    pub(super) p: Option<f64>,
    /// The same, corrected for all comparisons of the figure.
    pub(super) corrected: Option<f64>,
}

/// All comparisons in a figure: of the starts, then of the parameterisations.
pub(super) fn comparisons(outcome: &Outcome<'_>, grid: &Grid, figure: Figure) -> Vec<Comparison> {
    let mut compared = Vec::new();
    for row in &grid.rows {
        for (one, other) in pairs(grid.columns.len()) {
            if let (Some(one_cell), Some(other_cell)) = (row.cells[one], row.cells[other]) {
                let differences = differences(outcome, figure, one_cell, other_cell);
                compared.push(compare(&row.label, &grid.columns[one], &grid.columns[other], &differences));
            }
        }
    }
    for (index, column) in grid.columns.iter().enumerate() {
        for (one, other) in pairs(grid.rows.len()) {
            let (one, other) = (&grid.rows[one], &grid.rows[other]);
            if let (Some(one_cell), Some(other_cell)) = (one.cells[index], other.cells[index]) {
                let differences = differences(outcome, figure, one_cell, other_cell);
                compared.push(compare(column, &one.label, &other.label, &differences));
            }
        }
    }
    let known: Vec<f64> = compared.iter().filter_map(|comparison| comparison.p).collect();
    let mut corrected = holm(&known).into_iter();
    for comparison in compared.iter_mut().filter(|comparison| comparison.p.is_some()) {
        comparison.corrected = corrected.next();
    }
    compared
}

/// All pairs, the later first: what comes later in a plan is mostly what is hoped to be better.
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |other| (other + 1..count).map(move |one| (one, other)))
}

/// One minus other of each person, the mean over the seeds that have both.
fn differences(outcome: &Outcome<'_>, figure: Figure, one: usize, other: usize) -> Vec<f64> {
    let told = |cell| -> BTreeMap<(usize, u32), f64> {
        let units = outcome.units_of(cell);
        units.filter_map(|unit| Some(((unit.key.person, unit.key.seed), figure.of(unit)?))).collect()
    };
    let others = told(other);
    let mut by_person: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (key, value) in told(one) {
        if let Some(other) = others.get(&key) {
            by_person.entry(key.0).or_default().push(value - other);
        }
    }
    by_person.into_values().filter_map(mean).collect()
}

fn compare(within: &str, one: &str, other: &str, differences: &[f64]) -> Comparison {
    Comparison {
        within: within.to_owned(),
        one: one.to_owned(),
        other: other.to_owned(),
        people: differences.len(),
        raised: differences.iter().filter(|difference| **difference > 0.0).count(),
        mean: mean(differences.iter().copied()),
        p: sign_flip_p(differences).filter(|_| differences.len() >= FEWEST_PEOPLE),
        corrected: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::tests::plan;
    use super::super::super::plan::{Plan, UnitKey};
    use super::super::super::results::Unit;
    use super::super::super::results::tests::unit;
    use super::*;

    fn experiment(people: usize) -> (Plan, BTreeMap<UnitKey, Unit>) {
        let mut plan = plan();
        plan.people = vec![plan.people[0].clone(); people];
        let ids =
            |key: &UnitKey| 0.1 * key.cell as f64 + 0.01 * key.person as f64 + 0.001 * f64::from(key.seed);
        let units = plan.units().into_iter().map(|key| (key, unit(key, ids(&key), 0.0))).collect();
        (plan, units)
    }

    #[test]
    fn cells_that_differ_in_one_thing_are_compared() {
        let (plan, units) = experiment(6);
        let grid = Grid::of(&plan);
        let compared = comparisons(&Outcome::new(&plan, &units), &grid, Figure::Id);
        let shown: Vec<String> =
            compared.iter().map(|c| format!("{}: {} - {}", c.within, c.one, c.other)).collect();
        assert_eq!(
            shown,
            [
                "none: id - face",
                "log_norm:2.71: id - face",
                "face: log_norm:2.71 - none",
                "id: log_norm:2.71 - none"
            ]
        );
        let first = &compared[0];
        assert!((first.mean.unwrap() - 0.2).abs() < 1e-12);
        assert_eq!((first.people, first.raised, first.p), (6, 6, Some(2.0 / 64.0)));
        assert_eq!(first.corrected, Some(4.0 * 2.0 / 64.0));
    }

    #[test]
    fn four_people_tell_nothing_and_halves_of_pairs_are_left_out() {
        let (plan, mut units) = experiment(5);
        units.retain(|key, _| key.cell != 2 || key.person != 4);
        units.retain(|key, _| key.cell != 0 || (key.person, key.seed) != (1, 0));
        let grid = Grid::of(&plan);
        let compared = comparisons(&Outcome::new(&plan, &units), &grid, Figure::Id);
        let first = &compared[0];
        assert_eq!((first.people, first.p, first.corrected), (4, None, None));
        assert!((first.mean.unwrap() - 0.2).abs() < 1e-12);
        assert_eq!(compared[1].p, Some(2.0 / 32.0));
        assert_eq!(compared[1].corrected, Some(2.0 * 2.0 / 32.0), "two can be tested");
    }
}
