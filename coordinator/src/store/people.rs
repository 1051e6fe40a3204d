//! The operations on people, the same for every store.

use std::collections::BTreeMap;

use likeness_shared::ids::{PersonId, PersonName};
use likeness_shared::proto::{PersonBinding, ResolvedPerson};

use super::record::{Owner, PersonRecord, Spec, TaskRecord};
use super::transition::Refusal;
use super::workspace::Workspace;
use super::{LearnedPerson, NewPerson, StoreError};

/// Request ids of imports.
pub(super) const IMPORTS: &str = "person";
/// Longest name of a person.
const NAME_LENGTH: usize = 64;

pub(super) fn import_person(step: &mut impl Workspace, new: &NewPerson) -> Result<PersonRecord, StoreError> {
    if let Some(made) = step.request_seen(IMPORTS, &new.owner, &new.request, new.body)? {
        return step.person(PersonId::from_bytes(made));
    }
    require_name_free(step, &new.owner, new.name.as_str())?;
    let person = PersonRecord {
        id: PersonId::generate(),
        owner: new.owner.clone(),
        name: new.name.clone(),
        placeholder: new.placeholder.clone(),
        model_digest: new.learned.model_digest.clone(),
        artifact: new.learned.artifact,
        vectors: new.learned.vectors,
        width: new.learned.width,
        task: None,
        created: step.now(),
        quality: None,
    };
    step.put_person(&person)?;
    step.remember_request(IMPORTS, &person.owner, &new.request, new.body, person.id.to_bytes())?;
    Ok(person)
}

/// Refuses a name that the owner's people have already.
pub(super) fn require_name_free(step: &impl Workspace, owner: &Owner, name: &str) -> Result<(), StoreError> {
    if step.name_taken(owner, name)? {
        return Err(StoreError::NameTaken { name: name.to_owned() });
    }
    Ok(())
}

/// Registers what an inversion has learned. A name that was taken meanwhile gets a number, for a finished inversion
/// must not be lost to a name.
pub(super) fn register_learned(
    step: &mut impl Workspace,
    task: &TaskRecord,
    learned: LearnedPerson,
) -> Result<PersonId, StoreError> {
    let (name, placeholder) = match &task.spec {
        Spec::Inversion(spec) => (spec.person_name.clone(), spec.placeholder.clone()),
        Spec::Generation(_) => return Err(Refusal::OutcomeMismatch.into()),
    };
    let person = PersonRecord {
        id: PersonId::generate(),
        owner: task.owner.clone(),
        name: free_name(step, &task.owner, &name)?,
        placeholder,
        model_digest: learned.model_digest,
        artifact: learned.artifact,
        vectors: learned.vectors,
        width: learned.width,
        task: Some(task.id),
        created: step.now(),
        quality: learned.quality,
    };
    step.put_person(&person)?;
    Ok(person.id)
}

fn free_name(step: &impl Workspace, owner: &Owner, wanted: &str) -> Result<PersonName, StoreError> {
    let mut number = 1u32;
    let mut name = numbered_name(wanted, number);
    while step.name_taken(owner, &name)? {
        number += 1;
        name = numbered_name(wanted, number);
    }
    name.parse().map_err(|_| StoreError::Damaged { reason: format!("{wanted:?} is no name of a person") })
}

/// The name itself as number 1, then `name-2` and so on.
pub(super) fn numbered_name(wanted: &str, number: u32) -> String {
    if number <= 1 {
        return wanted.to_owned();
    }
    let suffix = format!("-{number}");
    let stem: String = wanted.chars().take(NAME_LENGTH - suffix.len()).collect();
    format!("{stem}{suffix}")
}

type Resolved = Result<Vec<ResolvedPerson>, String>;

/// The people that a task draws, or why it cannot be drawn.
pub(super) fn resolve_people(step: &impl Workspace, task: &TaskRecord) -> Result<Resolved, StoreError> {
    let Spec::Generation(spec) = &task.spec else { return Ok(Ok(Vec::new())) };
    let mut known = BTreeMap::new();
    for PersonBinding { placeholder, person_id } in &spec.people {
        let found = match person_id.parse() {
            Ok(id) => step.find_person(id)?,
            Err(_) => None,
        };
        let Some(person) = found else {
            return Ok(Err(format!("person {person_id} was deleted before the pictures could be drawn")));
        };
        let placeholder = if placeholder.is_empty() { person.placeholder } else { placeholder.clone() };
        let resolved = ResolvedPerson {
            placeholder: placeholder.clone(),
            artifact_digest: person.artifact.to_string(),
            model_digest: person.model_digest,
        };
        known.insert(placeholder, resolved);
    }
    Ok(Ok(known.into_values().collect()))
}
