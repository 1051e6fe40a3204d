//! `likeness bank match`: which names of a bank are most like the person in some photos. For operators: a name that somebody looks
//! like is nothing to show to users.

use std::path::PathBuf;

use clap::Args;
use likeness_faces::bank::{Bank, NetworksUsed};
use likeness_faces::recognise::Embedding;
use serde::Serialize;

use super::reading;
use crate::arguments::whole_number;
use crate::commands::face_networks::NetworkArguments;
use crate::exit::{CliError, Exit};
use crate::output::Voice;

/// Options of `bank match`.
#[derive(Debug, Args)]
pub(crate) struct MatchArguments {
    /// The bank.
    #[arg(value_name = "BANK")]
    bank: PathBuf,
    /// Photos of one person.
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    #[command(flatten)]
    networks: NetworkArguments,
    /// How many names.
    #[arg(long, allow_hyphen_values = true, default_value_t = 5, value_parser = |text: &str| whole_number(text, 1, 1000), value_name = "N")]
    top: u32,
}

#[derive(Debug, Serialize)]
struct Matched<'b> {
    faces: usize,
    matches: Vec<Found<'b>>,
}

#[derive(Debug, Serialize)]
struct Found<'b> {
    name: &'b str,
    cosine: f32,
}

pub(crate) fn run(options: &MatchArguments, voice: Voice) -> anyhow::Result<Exit> {
    let bank = Bank::read(&options.bank)?;
    let faces = options.networks.faces()?;
    faces.validate()?;
    let reader = faces.reader()?;
    bank.check_networks(&NetworksUsed::of(&reader))?;
    let mut found = Vec::new();
    for path in &options.photos {
        found.extend(reading::photo(&reader, path, voice)?);
    }
    let Some(person) = Embedding::mean(&found) else {
        let message = "no face is seen in any photo: give photos that show the person's face";
        return Err(CliError::new(Exit::Failed, message).into());
    };
    let matches = bank.best(&person, options.top as usize, |_| true)?;
    let matches: Vec<Found<'_>> =
        matches.iter().map(|found| Found { name: &found.name.name, cosine: found.cosine }).collect();
    let matched = Matched { faces: found.len(), matches };
    let rows =
        matched.matches.iter().map(|found| vec![found.name.to_owned(), format!("{:.3}", found.cosine)]);
    voice.rows(&matched, &["NAME", "COSINE"], rows)?;
    Ok(Exit::Ok)
}
