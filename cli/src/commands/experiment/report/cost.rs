//! What the experiment took: device time of inversions and pictures.

use maud::{Markup, html};

use super::outcome::Outcome;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    inversions: usize,
    inverting: f64,
    drawing: f64,
}

impl Cost {
    fn and(self, other: Self) -> Self {
        Self {
            inversions: self.inversions + other.inversions,
            inverting: self.inverting + other.inverting,
            drawing: self.drawing + other.drawing,
        }
    }
}

/// The costs, for the page.
pub(super) fn section(outcome: &Outcome<'_>) -> Markup {
    let costs: Vec<(String, Cost)> = outcome
        .plan
        .cells
        .iter()
        .enumerate()
        .map(|(index, cell)| (cell.to_string(), of_cell(outcome, index)))
        .collect();
    let all = costs.iter().fold(Cost::default(), |sum, (_, cost)| sum.and(*cost));
    let pictures = outcome.plan.prompts.len() * outcome.plan.pictures as usize;
    html! {
        h2 { "Cost" }
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { "device seconds" }
                    th.number scope="col" { "inversions" }
                    th.number scope="col" { "inverting" }
                    th.number scope="col" { "an inversion" }
                    th.number scope="col" { "drawing" }
                    th.number scope="col" { "a picture" }
                    th.number scope="col" { "both" }
                } }
                tbody { @for (label, cost) in &costs { (row(label, cost, pictures)) } }
                tfoot { (row("in all", &all, pictures)) }
            }
        }
    }
}

fn of_cell(outcome: &Outcome<'_>, cell: usize) -> Cost {
    outcome.units_of(cell).fold(Cost::default(), |sum, unit| {
        sum.and(Cost { inversions: 1, inverting: unit.inversion_seconds, drawing: unit.drawing_seconds })
    })
}

fn row(label: &str, cost: &Cost, pictures: usize) -> Markup {
    let each = |seconds: f64, count: usize| match count {
        0 => "–".to_owned(),
        count => seconds_of(seconds / count as f64),
    };
    html! {
        tr {
            th scope="row" { (label) }
            td.number { (cost.inversions) }
            td.number { (seconds_of(cost.inverting)) }
            td.number { (each(cost.inverting, cost.inversions)) }
            td.number { (seconds_of(cost.drawing)) }
            td.number { (each(cost.drawing, cost.inversions * pictures)) }
            td.number { (seconds_of(cost.inverting + cost.drawing)) }
        }
    }
}

/// Three digits where they tell anything.
fn seconds_of(seconds: f64) -> String {
    let decimals = if seconds >= 100.0 {
        0
    } else if seconds >= 10.0 {
        1
    } else {
        2
    };
    format!("{seconds:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::plan::UnitKey;
    use super::super::super::plan::tests::plan;
    use super::super::super::results::tests::unit;
    use super::*;

    #[test]
    fn costs_are_of_what_is_in() {
        let plan = plan();
        let key = |person| UnitKey { cell: 2, person, seed: 0 };
        let units: BTreeMap<_, _> = (0..3).map(|person| (key(person), unit(key(person), 0.5, 0.2))).collect();
        let page = section(&Outcome::new(&plan, &units)).into_string();
        // 3 inversions of 30 s, and 5 s for 2 prompts of 2 pictures each.
        let numbers = ["3", "90.0", "30.0", "15.0", "1.25", "105"];
        let cells: String =
            numbers.iter().map(|number| format!("<td class=\"number\">{number}</td>")).collect();
        assert_eq!(page.matches(&cells).count(), 2, "of the cell and in all: {page}");
    }
}
