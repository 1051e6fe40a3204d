//! How a cell looks in charts: its start is a colour and a shape, its parameterisation a filling.

use std::f64::consts::TAU;

use maud::{Markup, html};

use super::super::super::cell::Role;
use super::super::super::plan::Plan;
use super::super::grid::Grid;

/// Colours of the page's style sheet: `--c0` and so on.
const COLOURS: usize = 6;

/// A cell's look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Nothing = neither a start of the table nor one of its colours.
    start: Option<usize>,
    filling: Filling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    Hollow,
    Solid,
    Dotted,
    Barred,
    Untrained,
    Ringed,
}

impl Look {
    /// Of a cell of the plan.
    pub(super) fn of(plan: &Plan, grid: &Grid, cell: usize) -> Self {
        if let Some((row, column)) = grid.place(cell) {
            let fillings = [Filling::Hollow, Filling::Solid, Filling::Dotted, Filling::Barred];
            return Self { start: Some(column), filling: fillings[row % fillings.len()] };
        }
        let told = plan.cells.get(cell);
        let start = told.and_then(|told| {
            let label = told.start.to_string();
            grid.columns.iter().position(|column| *column == label)
        });
        let is_ceiling = told.is_some_and(|told| told.role == Role::Ceiling);
        Self { start, filling: if is_ceiling { Filling::Ringed } else { Filling::Untrained } }
    }

    /// Of a start alone.
    pub(super) fn of_start(column: usize) -> Self {
        Self { start: Some(column), filling: Filling::Solid }
    }

    /// As the style sheet names it.
    pub(super) fn colour(self) -> String {
        self.start.map_or_else(|| "var(--muted)".to_owned(), |start| format!("var(--c{})", start % COLOURS))
    }

    /// Drawn around a place.
    pub(super) fn mark(self, x: f64, y: f64, radius: f64) -> Markup {
        let outline = self.outline(x, y, radius);
        let fill = if self.filling == Filling::Solid { "currentColor" } else { "var(--ground)" };
        let dashes = (self.filling == Filling::Untrained).then_some("2 1.5");
        html! {
            g style=(format!("color:{}", self.colour())) {
                @if self.filling == Filling::Ringed {
                    path d=(self.outline(x, y, radius * 1.6)) fill="none" stroke="currentColor" stroke-width="1.5" {}
                }
                path d=(outline) fill=(fill) stroke="currentColor" stroke-width="2" stroke-dasharray=[dashes] {}
                @match self.filling {
                    Filling::Dotted => circle cx=(px(x)) cy=(px(y)) r=(px(radius * 0.35)) fill="currentColor" {},
                    Filling::Barred => path d=(format!("M{:.1} {:.1}h{:.1}", x - radius, y, 2.0 * radius)) stroke="currentColor" stroke-width="2.5" {},
                    _ => {}
                }
            }
        }
    }

    fn outline(self, x: f64, y: f64, radius: f64) -> String {
        // Corners and turn of the polygon, and how much larger it is than a circle that looks as large.
        let (corners, turn, larger) = match self.start.map(|start| start % COLOURS) {
            Some(0) | None => (32, 0.0, 1.0),
            Some(1) => (4, TAU / 8.0, 1.2),
            Some(2) => (3, -TAU / 4.0, 1.35),
            Some(3) => (4, 0.0, 1.25),
            Some(4) => (3, TAU / 4.0, 1.35),
            Some(_) => (5, -TAU / 4.0, 1.15),
        };
        let corner = |index: u32| {
            let angle = turn + TAU * f64::from(index) / f64::from(corners);
            let (across, down) = (radius * larger * angle.cos(), radius * larger * angle.sin());
            format!("{:.1} {:.1}", x + across, y + down)
        };
        format!("M{}Z", (0..corners).map(corner).collect::<Vec<_>>().join("L"))
    }
}

/// A key of marks, as HTML: it wraps where the screen is narrow.
pub(super) fn legend(entries: impl IntoIterator<Item = (Look, String)>) -> Markup {
    html! {
        ul.legend {
            @for (look, label) in entries {
                li {
                    svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" { (look.mark(10.0, 10.0, 5.0)) }
                    (label)
                }
            }
        }
    }
}

/// A coordinate: a tenth of a pixel is enough.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::super::super::super::plan::tests::plan;
    use super::*;

    #[test]
    fn no_two_cells_look_alike() {
        let plan = plan();
        let grid = Grid::of(&plan);
        let looks: Vec<Look> = (0..plan.cells.len()).map(|cell| Look::of(&plan, &grid, cell)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "cell {index}");
        }
        assert_ne!(
            looks[0].outline(0.0, 0.0, 5.0),
            looks[2].outline(0.0, 0.0, 5.0),
            "starts differ in shape"
        );
    }
}
