//! The page: all sections in their order, in one file that needs nothing else.

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::Shown;
use super::figure::Figure;
use super::grid::Grid;
use super::outcome::Outcome;
use super::table::Table;
use super::{chart, comparisons, controls, cost, definitions, paper, sheets};

const STYLE: &str = include_str!("page.css");

/// The whole page. `folder` has the kept pictures.
pub(super) fn page(folder: &Path, outcome: &Outcome<'_>, grid: &Grid) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Experiment on " (model(outcome)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(outcome))
                    (tables(outcome, grid))
                    (controls::section(outcome))
                    (comparisons::section(outcome, grid))
                    (charts(outcome, grid))
                    (sheets::section(folder, outcome.plan))
                    (cost::section(outcome))
                    (definitions::section(outcome))
                }
            }
        }
    };
    markup.into_string()
}

fn model<'a>(outcome: &'a Outcome<'_>) -> &'a str {
    if outcome.plan.model.is_empty() { "the fleet's default model" } else { &outcome.plan.model }
}

/// What was run, and how far it is.
fn head(outcome: &Outcome<'_>) -> Markup {
    let plan = outcome.plan;
    let (done, planned) = (outcome.units.len(), outcome.planned);
    let photos = span(plan.people.iter().map(|person| person.photos.len()));
    let held_out = span(plan.people.iter().map(|person| person.held_out.len()));
    let steps =
        span(plan.cells.iter().filter(|cell| cell.learning_rate().is_none()).map(|cell| cell.steps as usize));
    let facts = [
        ("people", plan.people.len().to_string()),
        ("photos of each", format!("{photos} learned from, {held_out} held out")),
        ("cells", plan.cells.len().to_string()),
        ("seeds", plan.seeds.to_string()),
        ("steps", steps),
        ("batch", plan.batch.map_or_else(|| "the method's".to_owned(), |batch| batch.to_string())),
        ("prompts", plan.prompts.len().to_string()),
        ("pictures of each", plan.pictures.to_string()),
        ("sampler", format!("{}, {} steps, guidance {}", plan.sampler, plan.sampler_steps, plan.guidance)),
    ];
    html! {
        h1 { "Experiment on " (model(outcome)) }
        dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
        p.progress {
            @if done == planned { "Complete: all " (planned) " inversions are in." }
            @else {
                progress max=(planned) value=(done) {}
                " " b { (done) " of " (planned) " inversions are in." }
                " Numbers will change, and cells that are not complete are means over fewer people or seeds than their neighbours."
            }
        }
    }
}

/// "8", or "6 to 9".
fn span(counts: impl Iterator<Item = usize> + Clone) -> String {
    match (counts.clone().min(), counts.max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => "0".to_owned(),
    }
}

/// The paper's table, and those of all other figures.
fn tables(outcome: &Outcome<'_>, grid: &Grid) -> Markup {
    let figures = outcome.figures();
    html! {
        h2 { "Starts and parameterisations" }
        @if !outcome.has_clip() { p.note { "Without a CLIP model there is no score: likeness alone is told." } }
        @if figures.contains(&Figure::Score) {
            div.tables { (Table::of(outcome, grid, Figure::Score).html()) (paper::table()) }
        }
        div.tables {
            @for figure in figures.into_iter().filter(|figure| *figure != Figure::Score) {
                (Table::of(outcome, grid, figure).html())
            }
        }
    }
}

fn charts(outcome: &Outcome<'_>, grid: &Grid) -> Markup {
    let leading = outcome.leading_id();
    html! {
        h2 { "Likeness and fit to the words" }
        @for shown in [Shown::Cells, Shown::Everything] { @if let Some(scatter) = chart::scatter(outcome, grid, shown) { (scatter) } }
        @if !outcome.has_clip() {
            // Fit is not known, but likeness alone has a spread to be looked at.
            @if let Some(strip) = chart::strip(outcome, grid, leading, None) { (strip) }
        }
        @if outcome.units.is_empty() { p.note { "No inversion is in yet." } }
        @if let Some(strip) = chart::strip(outcome, grid, Figure::NormRatio, Some(1.0)) {
            h2 { "Length of the vectors" }
            (strip)
        }
    }
}
