//! Starts that take names of the bank: `id`, from the name most like the person, and `rand2`, from two names, become tokens here.
//!
//! What is wrong is said without any name: a person's match is nothing for whoever reads the task.

use likeness_faces::bank::BankName;
use likeness_faces::recognise::Embedding;

use super::LoadedModel;
use crate::engine::order::Fault;
use crate::inversion::Start;
use crate::inversion::start::{IdNames, pick_pair};
use crate::names::NameFinder;

/// The start with names replaced by their tokens. `person` is who the photos show, which `id` alone needs. `rand2` takes names of a bank
/// that belongs to the model, and stays as it is (names of the model folder) where there is none.
pub(super) fn resolved(
    start: &Start,
    model: &LoadedModel,
    finder: Option<&NameFinder>,
    person: Option<&Embedding>,
) -> Result<Start, Fault> {
    let names = |finder: &NameFinder| finder.bank().check_model(&model.digest);
    match start {
        Start::Id { names: which } => {
            let finder = finder.ok_or_else(no_bank)?;
            names(finder).map_err(|error| Fault::passing("bad_start", error))?;
            let person = person.ok_or_else(no_face)?;
            let ids = nearest(finder, model, *which, person)?;
            Ok(Start::Tokens { kind: start.kind(), ids })
        }
        Start::Rand2 { seed } => match finder.filter(|finder| names(finder).is_ok()) {
            None => Ok(start.clone()),
            Some(finder) => {
                let ids = finder.bank().names.iter().filter_map(|name| tokens(model, name));
                let pair = pick_pair(ids, *seed, "the bank of names")
                    .map_err(|error| Fault::lasting("bad_start", error))?;
                Ok(Start::Tokens { kind: start.kind(), ids: pair.to_vec() })
            }
        },
        other => Ok(other.clone()),
    }
}

fn nearest(
    finder: &NameFinder,
    model: &LoadedModel,
    which: IdNames,
    person: &Embedding,
) -> Result<Vec<u32>, Fault> {
    let fits = |name: &BankName| tokens(model, name).is_some_and(|ids| which.takes(ids.len()));
    let found = finder.nearest(person, fits).map_err(|error| Fault::passing("bad_start", error))?;
    found.and_then(|name| tokens(model, name)).ok_or_else(|| {
        let message = format!(
            "the worker's bank has no name of {}: build it from more names, or start from \"face\"",
            which.described()
        );
        Fault::lasting("bad_start", message)
    })
}

fn tokens(model: &LoadedModel, name: &BankName) -> Option<Vec<u32>> {
    model.diffusion.tokenizer.token_ids(&name.name).ok()
}

fn no_bank() -> Fault {
    let message = "the start \"id\" needs a bank of names, and this worker has none: build one with `likeness bank build`, name it in \
                   faces.bank of every worker's configuration, or start from \"face\"";
    // Another worker may have one.
    Fault::passing("no_bank", message)
}

fn no_face() -> Fault {
    let message = "no face is seen in any photo, so nobody can be most like it: send photos of the person's face, or start from \"face\"";
    Fault::lasting("no_face", message)
}
