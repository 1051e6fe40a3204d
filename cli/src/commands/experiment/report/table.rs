//! One figure of every cell, as a table.

use maud::{Markup, html};

use super::figure::Figure;
use super::grid::Grid;
use super::outcome::{Outcome, Value};

/// A figure's table.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) figure: Figure,
    pub(super) grid: &'a Grid,
    /// Row by row, as the grid has them.
    pub(super) values: Vec<Vec<Option<Value>>>,
    best: Option<String>,
}

impl<'a> Table<'a> {
    /// Of what is in.
    pub(super) fn of(outcome: &Outcome<'_>, grid: &'a Grid, figure: Figure) -> Self {
        let value = |cell: &Option<usize>| cell.and_then(|cell| outcome.value(cell, figure));
        let values: Vec<Vec<Option<Value>>> =
            grid.rows.iter().map(|row| row.cells.iter().map(value).collect()).collect();
        let means: Vec<f64> = values.iter().flatten().flatten().map(|value| value.mean).collect();
        // A best of one is none.
        let best = figure.best().of(means.iter().copied()).filter(|_| means.len() > 1);
        let best = best.map(|best| format!("{best:.4}"));
        Self { figure, grid, values, best }
    }

    /// Whether a value is the best, or cannot be told from it as it is shown.
    pub(super) fn is_best(&self, value: &Value) -> bool {
        self.best.as_ref().is_some_and(|best| *best == value.shown())
    }

    /// For the page.
    pub(super) fn html(&self) -> Markup {
        html! {
            figure {
                figcaption { b { (self.figure) } " " small { "(marked: " (self.figure.best()) ")" } }
                div.scroll tabindex="0" {
                    table {
                        thead { tr {
                            th scope="col" { "parameterisation" }
                            @for column in &self.grid.columns { th.number scope="col" { (column) } }
                        } }
                        tbody {
                            @for (row, values) in self.grid.rows.iter().zip(&self.values) {
                                tr {
                                    th scope="row" { (row.label) }
                                    @for value in values { (value_cell(value.as_ref(), |value| self.is_best(value))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A value in a table: mean, deviation, and how much is missing.
pub(super) fn value_cell(value: Option<&Value>, is_best: impl Fn(&Value) -> bool) -> Markup {
    html! {
        @match value {
            None => td.number { "–" },
            Some(value) => td.number.best[is_best(value)] {
                (value.shown())
                @if let Some(deviation) = value.shown_deviation() { " " span.deviation { "± " (deviation) } }
                @if value.is_partial() { br; small { (value.inversions) " of " (value.planned) } }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::plan::UnitKey;
    use super::super::super::plan::tests::plan;
    use super::super::super::results::tests::unit;
    use super::*;

    #[test]
    fn the_best_is_marked_and_the_missing_is_a_dash() {
        let plan = plan();
        let grid = Grid::of(&plan);
        let key = |cell, seed| UnitKey { cell, person: 0, seed };
        let told = [(key(0, 0), 0.5), (key(0, 1), 0.7), (key(3, 0), 0.2)];
        let units: BTreeMap<_, _> = told.into_iter().map(|(key, id)| (key, unit(key, id, 0.0))).collect();
        let page = Table::of(&Outcome::new(&plan, &units), &grid, Figure::Id).html().into_string();
        assert!(
            page.contains("<td class=\"number best\">0.6000 <span class=\"deviation\">± 0.1414</span>"),
            "{page}"
        );
        assert!(page.contains("<td class=\"number\">0.2000<br><small>1 of 6</small>"), "{page}");
        assert_eq!(page.matches("<td class=\"number\">–</td>").count(), 2, "{page}");
    }
}
