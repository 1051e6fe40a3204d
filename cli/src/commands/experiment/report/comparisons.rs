//! The paired tests, for the page.

use maud::{Markup, html};

use super::figure::Figure;
use super::grid::Grid;
use super::outcome::Outcome;
use super::paired::{Comparison, FEWEST_PEOPLE, comparisons};
use super::statistics::smallest_p;

const SIGNIFICANT: f64 = 0.05;

/// The tests in score and in id.
pub(super) fn section(outcome: &Outcome<'_>, grid: &Grid) -> Markup {
    let figures = outcome.has_clip().then_some(Figure::Score).into_iter().chain([outcome.leading_id()]);
    let tests: Vec<(Figure, Vec<Comparison>)> =
        figures.map(|figure| (figure, comparisons(outcome, grid, figure))).collect();
    let compared = || tests.iter().flat_map(|(_, tests)| tests);
    let people = compared().map(|comparison| comparison.people).max().unwrap_or(0);
    html! {
        h2 { "Paired tests over people" }
        @if compared().next().is_none() {
            p.note { "There are no two cells that differ in the start alone or in the parameterisation alone." }
        } @else {
            p.note { (power(people)) }
            div.tables {
                @for (figure, tests) in &tests { (table(*figure, tests)) }
            }
        }
    }
}

fn power(people: usize) -> Markup {
    html! {
        @if people < FEWEST_PEOPLE {
            "Nothing can be told: "
            @match people {
                0 => "there is no person yet of whom both cells of a pair are in.",
                _ => {
                    "with " (people) @if people == 1 { " person" } @else { " people" }
                    " the smallest possible p is 2/2" sup { (people) } " = " (p_value(smallest_p(people).min(1.0)))
                    ", however large the differences are. At least " (FEWEST_PEOPLE) " people are needed for a test, "
                    "and more for one that stands after the correction."
                },
            }
        } @else {
            "Differences of the people's means over seeds and pictures. p: two-sided, by flipping the signs of the differences ("
            @if people > 16 { "20,000 drawn assignments" } @else { "all assignments" }
            "; with " (people) " people it cannot be below " (p_value(smallest_p(people)))
            "). Holm: p corrected for all tests of the table; under " (SIGNIFICANT) " it is marked."
        }
    }
}

fn table(figure: Figure, tests: &[Comparison]) -> Markup {
    html! {
        figure {
            figcaption { b { "difference in " (figure) } }
            div.scroll tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "difference" }
                        th scope="col" { "with" }
                        th.number scope="col" { "mean" }
                        th.number scope="col" { "people above 0" }
                        th.number scope="col" { "p" }
                        th.number scope="col" { "Holm" }
                    } }
                    tbody {
                        @for test in tests {
                            tr {
                                th scope="row" { (test.one) " − " (test.other) }
                                td { (test.within) }
                                td.number { (test.mean.map_or_else(dash, signed)) }
                                td.number { (test.raised) " of " (test.people) }
                                td.number { (test.p.map_or_else(dash, p_value)) }
                                td.number.best[test.corrected.is_some_and(|p| p < SIGNIFICANT)] {
                                    (test.corrected.map_or_else(dash, p_value))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn dash() -> String {
    "–".to_owned()
}

/// With a sign that is as wide as the other.
fn signed(mean: f64) -> String {
    format!("{mean:+.4}").replace('-', "−")
}

/// Three decimals, or as many as show two digits.
fn p_value(p: f64) -> String {
    let zeros = if p > 0.0 { (-p.log10()).floor().max(0.0) as usize } else { 0 };
    format!("{p:.0$}", (zeros + 2).max(3))
}

#[cfg(test)]
mod tests {
    use super::p_value;

    #[test]
    fn small_p_values_keep_two_digits() {
        assert_eq!([1.0, 0.25, 0.03125, 0.000_488].map(p_value), ["1.000", "0.250", "0.031", "0.00049"]);
    }
}
