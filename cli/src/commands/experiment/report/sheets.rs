//! The paper's second figure: contact sheets, one a cell, with a row a person.

use std::path::Path;

use maud::{Markup, html};

use super::super::plan::Plan;
use super::kept;

/// More of either would make the page too large to open.
const MOST_PROMPTS: usize = 10;
const MOST_PEOPLE: usize = 16;

/// The sheets of all cells of which pictures were kept.
pub(super) fn section(folder: &Path, plan: &Plan) -> Markup {
    let photos: Vec<Option<String>> =
        shown_people(plan).map(|(person, _)| kept::photo(folder, person)).collect();
    let sheets: Vec<Markup> =
        (0..plan.cells.len()).filter_map(|cell| sheet(folder, plan, cell, &photos)).collect();
    html! {
        h2 { "Pictures" }
        @if sheets.is_empty() { p.note { "No pictures are kept yet." } }
        @else {
            p.note {
                "The first picture of a prompt, of the first seed: nothing is chosen."
                @if plan.prompts.len() > MOST_PROMPTS { " The first " (MOST_PROMPTS) " of " (plan.prompts.len()) " prompts." }
                @if plan.people.len() > MOST_PEOPLE { " The first " (MOST_PEOPLE) " of " (plan.people.len()) " people." }
            }
        }
        @for sheet in sheets { (sheet) }
    }
}

fn shown_people(plan: &Plan) -> impl Iterator<Item = (usize, &str)> {
    plan.people.iter().take(MOST_PEOPLE).enumerate().map(|(index, person)| (index, person.name.as_str()))
}

fn sheet(folder: &Path, plan: &Plan, cell: usize, photos: &[Option<String>]) -> Option<Markup> {
    let prompts = plan.prompts.len().min(MOST_PROMPTS);
    let of = |person| -> Vec<Option<String>> {
        (0..prompts).map(|prompt| kept::picture(folder, cell, person, prompt)).collect()
    };
    let rows: Vec<(usize, &str, Vec<Option<String>>)> = shown_people(plan)
        .map(|(person, name)| (person, name, of(person)))
        .filter(|(_, _, pictures)| pictures.iter().any(Option::is_some))
        .collect();
    let label = plan.cells.get(cell)?.to_string();
    (!rows.is_empty()).then(|| {
        html! {
            h3 { (label) }
            div.scroll tabindex="0" {
                table.sheet {
                    thead { tr {
                        th scope="col" { "photo" }
                        @for prompt in plan.prompts.iter().take(prompts) { th scope="col" { (prompt) } }
                    } }
                    tbody {
                        @for (person, name, pictures) in &rows {
                            tr {
                                th scope="row" {
                                    @if let Some(Some(photo)) = photos.get(*person) { (image(photo, "photo of ", name)) }
                                    (name)
                                }
                                @for (picture, prompt) in pictures.iter().zip(&plan.prompts) {
                                    td { @if let Some(picture) = picture { (image(picture, "", prompt)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn image(uri: &str, kind: &str, of: &str) -> Markup {
    html! { img src=(uri) alt=(format!("{kind}{of}")); }
}
