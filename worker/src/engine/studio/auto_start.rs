//! The start `auto`: the best of the phrase and the names of the bank most like the person, by the loss on the task's fixed batch.
//!
//! Here it is decided what is compared; [`Comparison`] says how, and the passes are those in which fixed batches are measured anyway.
//! Without names there is nothing to compare, and the start is the phrase. A resumed task does not compare again: its checkpoint
//! is bound to its start by a digest, and among the phrase and all the bank's names that start is found by it.
//! Which start won is told to nobody: it may be a name, and the name is the person's own affair.

use likeness_faces::bank::{Bank, BankName};
use likeness_faces::recognise::Embedding;
use likeness_shared::ids::TaskId;

use super::named_start::tokens;
use super::{LoadedModel, inversion_job};
use crate::engine::order::Fault;
use crate::inversion::comparison::Comparison;
use crate::inversion::material::Material;
use crate::inversion::start::{FACE_PHRASE, IdNames, StartError, phrase_ids, rows_of_each};
use crate::inversion::{Inversion, InversionError};

/// Names that are compared, beside the phrase.
const NAMES: usize = 5;

/// How an inversion begins.
pub(super) enum Beginning<'m> {
    /// With its first iteration.
    Training(Inversion<'m>),
    /// With a comparison of starts.
    Comparing(Comparison<'m>),
}

/// The task whose start it is, and what is known of the person.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) task: TaskId,
    pub(super) bank: Option<&'a Bank>,
    /// Who the photos show.
    pub(super) person: Option<&'a Embedding>,
    /// Empty where nothing has been learned yet.
    pub(super) checkpoint: &'a [u8],
}

/// Begins to compare, or at the phrase where there are no names to compare it with, or, with a checkpoint, where that began.
pub(super) fn begin<'m>(
    names: IdNames,
    material: Material<'m>,
    model: &LoadedModel,
    subject: Subject<'_>,
) -> Result<Beginning<'m>, Fault> {
    let lengths: Vec<usize> = names.lengths().filter(|tokens| material.takes(*tokens)).collect();
    let mut starts = vec![phrase_ids(&model.diffusion, FACE_PHRASE).map_err(bad_start)?];
    let vectors = |starts: &[Vec<u32>]| rows_of_each(&model.diffusion, starts).map_err(bad_start);
    if !subject.checkpoint.is_empty() {
        starts.extend(subject.bank.into_iter().flat_map(|bank| all_names(bank, model, &lengths)));
        let starts = vectors(&starts)?;
        // Resuming from the phrase says what is wrong with a checkpoint of none of them.
        let start = material.start_of(subject.checkpoint, &starts).or(starts.first().map(Vec::as_slice));
        let inversion = Inversion::of(material, start.unwrap_or_default().to_vec());
        return inversion.map(Beginning::Training).map_err(fault);
    }
    match nearest_names(subject, model, &lengths) {
        Ok(names) => starts.extend(names),
        Err(reason) => {
            tracing::info!(task = %subject.task, reason, "auto start has no names to compare, the phrase is taken");
        }
    }
    let mut starts = vectors(&starts)?;
    match (starts.len(), starts.pop()) {
        (1, Some(phrase)) => Inversion::of(material, phrase).map(Beginning::Training).map_err(fault),
        (_, last) => {
            starts.extend(last);
            Comparison::new(material, starts).map(Beginning::Comparing).map_err(fault)
        }
    }
}

/// Tokens of the names most like the person, the nearest first, or why there are none.
fn nearest_names(
    subject: Subject<'_>,
    model: &LoadedModel,
    lengths: &[usize],
) -> Result<Vec<Vec<u32>>, &'static str> {
    let bank = subject.bank.ok_or("the worker has no bank of names")?;
    if bank.check_model(&model.digest).is_err() {
        return Err("the worker's bank belongs to another model");
    }
    let person = subject.person.ok_or("no face was recognised in the photos")?;
    let fits = |name: &BankName| tokens(model, name).is_some_and(|ids| lengths.contains(&ids.len()));
    let found =
        bank.best(person, NAMES, fits).map_err(|_| "the worker's bank belongs to another recogniser")?;
    let found: Vec<Vec<u32>> = found.iter().filter_map(|found| tokens(model, found.name)).collect();
    if found.is_empty() {
        return Err("the worker's bank has no names of as many tokens as can be learned");
    }
    Ok(found)
}

/// Tokens of every name that a start may have been.
fn all_names(bank: &Bank, model: &LoadedModel, lengths: &[usize]) -> Vec<Vec<u32>> {
    let ids = bank.names.iter().filter_map(|name| tokens(model, name));
    ids.filter(|ids| lengths.contains(&ids.len())).collect()
}

fn bad_start(error: StartError) -> Fault {
    Fault::lasting("bad_start", error)
}

fn fault(error: InversionError) -> Fault {
    inversion_job::fault(error)
}
