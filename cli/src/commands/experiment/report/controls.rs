//! What the table is held against: starts that nothing was learned from, long training, and real photos.

use std::collections::BTreeMap;

use likeness_worker::score::mean;
use maud::{Markup, html};

use super::super::cell::Role;
use super::figure::Figure;
use super::outcome::Outcome;
use super::table::value_cell;

/// The controls, for the page.
pub(super) fn section(outcome: &Outcome<'_>) -> Markup {
    let told: Vec<Figure> = [Figure::HeldOutId, Figure::Id, Figure::Clip, Figure::Score]
        .into_iter()
        .filter(|figure| outcome.figures().contains(figure))
        .collect();
    let controls = || outcome.plan.cells.iter().enumerate().filter(|(_, cell)| cell.role != Role::Table);
    html! {
        h2 { "Controls" }
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { "control" }
                    @for figure in &told { th.number scope="col" { (figure) } }
                } }
                tbody {
                    @for (index, cell) in controls() {
                        tr {
                            th scope="row" { (cell) }
                            @for figure in &told {
                                (value_cell(outcome.value(index, *figure).as_ref(), |_| false))
                            }
                        }
                    }
                    @for (label, of) in PHOTOS {
                        tr {
                            th scope="row" { (label) }
                            @for figure in &told { td.number { (shown(over_people(outcome, *figure, of))) } }
                        }
                    }
                }
            }
        }
        @if controls().next().is_none() { p.note { "This experiment has no controls." } }
        p.note {
            "An untrained control draws with the vectors as they began. The last two rows are cosines between photos, the mean over "
            "the people: no drawing is needed to reach the lower, and none can be expected to pass the upper."
        }
    }
}

type OfIdentity = fn(&likeness_worker::score::Identity) -> Option<f64>;

const PHOTOS: [(&str, OfIdentity); 2] = [
    ("different photos of the person", |identity| identity.ceiling),
    ("photos of the person and of others", |identity| identity.floor),
];

/// Ceiling or floor: a fact of a person's photos, so every person counts once.
fn over_people(outcome: &Outcome<'_>, figure: Figure, of: OfIdentity) -> Option<f64> {
    let mut people = BTreeMap::new();
    for unit in &outcome.units {
        let identity = match figure {
            Figure::Id => Some(&unit.evaluation.identity),
            Figure::HeldOutId => unit.evaluation.held_out.as_ref(),
            _ => None,
        };
        if let Some(value) = identity.and_then(of) {
            people.insert(unit.key.person, value);
        }
    }
    mean(people.into_values())
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}
