//! A figure of every single inversion: a band a parameterisation, a line of dots a start.

use maud::{Markup, html};

use super::super::figure::Figure;
use super::super::grid::Grid;
use super::super::outcome::Outcome;
use super::axis::Axis;
use super::marks::{Look, legend, px};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 744.0;
const TOP: f64 = 8.0;
const LANE: f64 = 18.0;
const BAND_GAP: f64 = 12.0;

/// The figure of the table's inversions; nothing while there are none. `rule` is a value that is drawn as a line.
pub(in super::super) fn strip(
    outcome: &Outcome<'_>,
    grid: &Grid,
    figure: Figure,
    rule: Option<f64>,
) -> Option<Markup> {
    let told = |cell: usize| outcome.units_of(cell).filter_map(move |unit| figure.of(unit));
    let cells = || grid.rows.iter().flat_map(|row| row.cells.iter().flatten());
    let values: Vec<f64> = cells().flat_map(|cell| told(*cell)).collect();
    let axis =
        Axis::covering(values.first().and(rule).into_iter().chain(values.iter().copied()), (LEFT, RIGHT))?;
    let band = LANE * grid.columns.len() as f64 + BAND_GAP;
    let bottom = TOP + band * grid.rows.len() as f64;
    let height = bottom + 44.0;
    let lane =
        |row: usize, column: usize| TOP + band * row as f64 + BAND_GAP / 2.0 + LANE * (column as f64 + 0.5);
    Some(html! {
        figure {
            div.scroll tabindex="0" {
                svg.chart viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(format!("{figure} of every inversion")) {
                    @for (x, tick) in axis.ticks() {
                        path.rule d=(format!("M{x:.1} {TOP}V{bottom:.1}")) {}
                        text x=(px(x)) y=(px(bottom + 18.0)) text-anchor="middle" { (tick) }
                    }
                    @if let Some(rule) = rule {
                        path.reference d=(format!("M{:.1} {TOP}V{bottom:.1}", axis.at(rule))) {}
                    }
                    @for (index, row) in grid.rows.iter().enumerate() {
                        path.rule d=(format!("M0 {:.1}H{RIGHT}", TOP + band * (index as f64 + 1.0))) {}
                        text x=(px(LEFT - 14.0)) y=(px(TOP + band * (index as f64 + 0.5) + 4.0)) text-anchor="end" { (row.label) }
                        @for (column, cell) in row.cells.iter().enumerate() {
                            @if let Some(cell) = cell {
                                g opacity="0.7" {
                                    @for value in told(*cell) {
                                        (Look::of_start(column).mark(axis.at(value), lane(index, column), 3.0))
                                    }
                                }
                            }
                        }
                    }
                    text.label x=(px((LEFT + RIGHT) / 2.0)) y=(px(bottom + 38.0)) text-anchor="middle" { (figure) }
                }
            }
            figcaption {
                (legend(grid.columns.iter().enumerate().map(|(column, start)| (Look::of_start(column), start.clone()))))
            }
        }
    })
}
