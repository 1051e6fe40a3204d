//! The methods paragraph: how every number of the page came about.

use maud::{Markup, html};

use super::outcome::Outcome;

/// Of sha256 hashes, so many digits are shown.
const DIGITS: usize = 12;

/// The paragraph and the figures' definitions.
pub(super) fn section(outcome: &Outcome<'_>) -> Markup {
    let judges = &outcome.plan.scored_by;
    html! {
        h2 { "Methods" }
        p {
            "Of every person, the vectors were learned once in every cell with every seed, from the photos that are not held out; seed s "
            "trains with s and draws with s. Then every prompt was drawn, the learned word in the place of “" (outcome.plan.placeholder)
            "”. A figure of an inversion is taken over all its pictures. A figure of a cell is the mean over seeds, each seed the mean over "
            "the people, ± the sample deviation over the seeds (none for one seed). While a cell is not complete, only those seeds count "
            "that have as many people as its fullest."
        }
        p {
            "Faces are found by the detector " (hash(&judges.detector)) " and compared by the judge " (hash(&judges.judge))
            ", the recogniser that the operator named to judge. Where that is another network than the one that chooses names and photos, "
            "likeness is not measured by what it was chosen by. "
            @if outcome.has_clip() { "Whole pictures and prompts are compared by the CLIP model " (hash(&judges.clip)) "." }
            @else { "There was no CLIP model, so fit to the prompts, the scores, diversity and copies are not known." }
        }
        dl {
            @for figure in outcome.figures() {
                dt { (figure) }
                dd { (figure.meaning()) }
            }
        }
        @if outcome.has_held_out() && outcome.plan.people.iter().any(|person| person.held_out.is_empty()) {
            p.note { "Not everybody has held-out photos: figures against them are over those who do." }
        }
        h3 { "Prompts" }
        ol { @for prompt in &outcome.plan.prompts { li { (prompt) } } }
    }
}

fn hash(sha256: &str) -> Markup {
    html! {
        @if sha256.is_empty() { "(not recorded)" }
        @else { code { (sha256.chars().take(DIGITS).collect::<String>()) } }
    }
}
