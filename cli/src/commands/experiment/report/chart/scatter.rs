//! The paper's first figure: likeness against fit to the words, a point a cell.

use maud::{Markup, html};

use super::super::super::cell::Role;
use super::super::figure::Figure;
use super::super::grid::Grid;
use super::super::outcome::{Outcome, Value};
use super::axis::Axis;
use super::marks::{Look, legend, px};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 430.0;
const RIGHT: f64 = 744.0;
const TOP: f64 = 14.0;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shown {
    /// Every cell, before the dots of single inversions.
    Everything,
    /// The table's cells alone: they lie close together where inversions spread wide.
    Cells,
}

struct Point {
    look: Look,
    label: String,
    clip: Value,
    id: Value,
    /// Single inversions.
    dots: Vec<(f64, f64)>,
}

/// Clip across, id upwards; nothing while no cell has both.
pub(in super::super) fn scatter(outcome: &Outcome<'_>, grid: &Grid, shown: Shown) -> Option<Markup> {
    let points: Vec<Point> = outcome
        .plan
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| shown == Shown::Everything || cell.role == Role::Table)
        .filter_map(|(index, cell)| point(outcome, grid, shown, index, cell.to_string()))
        .collect();
    let clips = |point: &Point| spread(&point.clip, point.dots.iter().map(|dot| dot.0));
    let ids = |point: &Point| spread(&point.id, point.dots.iter().map(|dot| dot.1));
    let across = Axis::covering(points.iter().flat_map(clips), (LEFT, RIGHT))?;
    let upwards = Axis::covering(points.iter().flat_map(ids), (BOTTOM, TOP))?;
    let leading = outcome.leading_id().to_string();
    Some(html! {
        figure {
            div.scroll tabindex="0" {
                svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(format!("{leading} over clip, one point a cell")) {
                    (frame(&across, &upwards, &leading))
                    @for point in &points {
                        g fill=(point.look.colour()) fill-opacity="0.35" {
                            @for (clip, id) in &point.dots {
                                circle cx=(px(across.at(*clip))) cy=(px(upwards.at(*id))) r="2.2" {}
                            }
                        }
                    }
                    @for point in &points {
                        g {
                            title { (point.label) ": clip " (point.clip.shown()) ", id " (point.id.shown()) }
                            (whiskers(point, &across, &upwards))
                            (point.look.mark(across.at(point.clip.mean), upwards.at(point.id.mean), 6.5))
                        }
                    }
                }
            }
            figcaption {
                (legend(points.iter().map(|point| (point.look, point.label.clone()))))
                p.note {
                    @match shown {
                        Shown::Cells => "The table's cells, with the deviation over seeds where there are several.",
                        Shown::Everything => "The same with the controls, and a small dot for every single inversion.",
                    }
                }
            }
        }
    })
}

fn point(outcome: &Outcome<'_>, grid: &Grid, shown: Shown, cell: usize, label: String) -> Option<Point> {
    let leading = outcome.leading_id();
    let units = outcome.units_of(cell).filter(|_| shown == Shown::Everything);
    Some(Point {
        look: Look::of(outcome.plan, grid, cell),
        label,
        clip: outcome.value(cell, Figure::Clip)?,
        id: outcome.value(cell, leading)?,
        dots: units.filter_map(|unit| Some((Figure::Clip.of(unit)?, leading.of(unit)?))).collect(),
    })
}

/// All that the axis has to hold: the ends of the deviation, and the dots.
fn spread(value: &Value, dots: impl Iterator<Item = f64>) -> Vec<f64> {
    extent(value).into_iter().chain(dots).collect()
}

fn extent(value: &Value) -> [f64; 2] {
    let deviation = value.deviation.unwrap_or(0.0);
    [value.mean - deviation, value.mean + deviation]
}

/// Grid lines, ticks and labels.
fn frame(across: &Axis, upwards: &Axis, label: &str) -> Markup {
    let middle = (TOP + BOTTOM) / 2.0;
    html! {
        @for (x, tick) in across.ticks() {
            path.rule d=(format!("M{x:.1} {TOP}V{BOTTOM}")) {}
            text x=(px(x)) y=(px(BOTTOM + 20.0)) text-anchor="middle" { (tick) }
        }
        @for (y, tick) in upwards.ticks() {
            path.rule d=(format!("M{LEFT} {y:.1}H{RIGHT}")) {}
            text x=(px(LEFT - 8.0)) y=(px(y + 4.0)) text-anchor="end" { (tick) }
        }
        text.label x=(px((LEFT + RIGHT) / 2.0)) y=(px(HEIGHT - 8.0)) text-anchor="middle" { "clip" }
        text.label x="14" y=(px(middle)) text-anchor="middle" transform=(format!("rotate(-90 14 {middle})")) { (label) }
    }
}

/// The deviations over seeds.
fn whiskers(point: &Point, across: &Axis, upwards: &Axis) -> Markup {
    let [left, right] = extent(&point.clip).map(|clip| across.at(clip));
    let [low, high] = extent(&point.id).map(|id| upwards.at(id));
    let (x, y) = (across.at(point.clip.mean), upwards.at(point.id.mean));
    let (beside, above) = (x - 4.0, y - 4.0);
    html! {
        g style=(format!("color:{}", point.look.colour())) stroke="currentColor" stroke-width="1.5" {
            @if point.clip.deviation.is_some() {
                path d=(format!("M{left:.1} {y:.1}H{right:.1}M{left:.1} {above:.1}v8M{right:.1} {above:.1}v8")) {}
            }
            @if point.id.deviation.is_some() {
                path d=(format!("M{x:.1} {low:.1}V{high:.1}M{beside:.1} {low:.1}h8M{beside:.1} {high:.1}h8")) {}
            }
        }
    }
}
