//! `likeness bank show`: the names of a bank and their figures, and why others were not kept.

use std::path::PathBuf;

use clap::Args;
use likeness_faces::bank::{Bank, Recipe, Rules, Why};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::Voice;

/// Options of `bank show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The bank.
    #[arg(value_name = "BANK")]
    bank: PathBuf,
}

/// All of a bank but the faces.
#[derive(Debug, Serialize)]
struct Shown<'b> {
    recipe: &'b Recipe,
    rules: &'b Rules,
    has_references: bool,
    kept: usize,
    names: Vec<ShownName<'b>>,
}

#[derive(Debug, Serialize)]
struct ShownName<'b> {
    name: &'b str,
    /// Why it was not kept; nothing = it was.
    dropped: Option<Why>,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    token_ids: &'b [u32],
    face_rate: f32,
    cohesion: Option<f32>,
    rank: Option<u32>,
    margin: Option<f32>,
    reference: Option<f32>,
}

pub(crate) fn run(options: &ShowArguments, voice: Voice) -> anyhow::Result<Exit> {
    let bank = Bank::read(&options.bank)?;
    let shown = shown(&bank);
    let figure = |value: Option<f32>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let rows = shown.names.iter().map(|name| {
        vec![
            name.name.to_owned(),
            if name.token_ids.is_empty() { "-".to_owned() } else { name.token_ids.len().to_string() },
            format!("{:.0} %", name.face_rate * 100.0),
            figure(name.cohesion),
            name.rank.map_or("-".to_owned(), |rank| rank.to_string()),
            figure(name.margin),
            figure(name.reference),
            name.dropped.map_or("kept", Why::sentence).to_owned(),
        ]
    });
    let headings = ["NAME", "TOKENS", "FACES", "COHESION", "RANK", "MARGIN", "REFERENCE", "VERDICT"];
    voice.rows(&shown, &headings, rows)?;
    let recipe = &bank.recipe;
    voice.say(format_args!(
        "{} of {} names are kept: faces in {:.0} % of {} portraits, cohesion {:.3}; model {}, recogniser {}",
        bank.names.len(),
        shown.names.len(),
        bank.rules.face_rate * 100.0,
        recipe.portraits,
        bank.rules.same_person,
        short(&recipe.model_digest),
        short(&recipe.networks.recogniser.digest),
    ));
    Ok(Exit::Ok)
}

fn shown(bank: &Bank) -> Shown<'_> {
    let kept = bank.names.iter().map(|name| ShownName {
        name: &name.name,
        dropped: None,
        token_ids: &name.token_ids,
        face_rate: name.face_rate,
        cohesion: Some(name.cohesion),
        rank: Some(name.rank),
        margin: Some(name.margin),
        reference: name.reference,
    });
    let dropped = bank.dropped.iter().map(|name| ShownName {
        name: &name.name,
        dropped: Some(name.why),
        token_ids: &[],
        face_rate: name.face_rate,
        cohesion: name.cohesion,
        rank: name.rank,
        margin: None,
        reference: name.reference,
    });
    Shown {
        recipe: &bank.recipe,
        rules: &bank.rules,
        has_references: bank.has_references,
        kept: bank.names.len(),
        names: kept.chain(dropped).collect(),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
