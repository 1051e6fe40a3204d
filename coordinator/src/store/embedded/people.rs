//! People and request ids over the tables.

use likeness_shared::ids::{Digest, PersonId, PersonName, RequestId};
use redb::ReadableTable;

use super::codec;
use super::faults::fault;
use super::tables::{Id, RequestRecord, Tables};
use crate::store::record::{Owner, PersonRecord, Spec, TaskRecord};
use crate::store::{LearnedPerson, NewPerson, StoreError};

pub(super) fn import_person(tables: &mut Tables<'_>, new: NewPerson) -> Result<PersonRecord, StoreError> {
    if let Some(made) = tables.request_seen("person", &new.owner, &new.request, new.body)? {
        return tables.person(PersonId::from_bytes(made));
    }
    tables.require_name_free(&new.owner, new.name.as_str())?;
    let person = PersonRecord {
        id: PersonId::generate(),
        owner: new.owner,
        name: new.name,
        placeholder: new.placeholder,
        model_digest: new.learned.model_digest,
        artifact: new.learned.artifact,
        vectors: new.learned.vectors,
        width: new.learned.width,
        task: None,
        created: tables.now,
    };
    tables.put_person(&person)?;
    tables.remember_request("person", &person.owner, &new.request, new.body, person.id.to_bytes())?;
    Ok(person)
}

pub(super) fn delete_person(tables: &mut Tables<'_>, id: PersonId) -> Result<(), StoreError> {
    let person = tables.person(id)?;
    tables.dirty = true;
    tables.people.remove(id.to_bytes()).map_err(fault)?;
    let key = (person.owner.tenant.as_str(), person.owner.user.as_str(), person.name.as_str());
    tables.people_by_name.remove(key).map_err(fault)?;
    Ok(())
}

impl Tables<'_> {
    fn put_person(&mut self, person: &PersonRecord) -> Result<(), StoreError> {
        self.dirty = true;
        let encoded = codec::encode(person)?;
        self.people.insert(person.id.to_bytes(), encoded.as_slice()).map_err(fault)?;
        let key = (person.owner.tenant.as_str(), person.owner.user.as_str(), person.name.as_str());
        self.people_by_name.insert(key, person.id.to_bytes()).map_err(fault)?;
        Ok(())
    }

    fn name_taken(&self, owner: &Owner, name: &str) -> Result<bool, StoreError> {
        let key = (owner.tenant.as_str(), owner.user.as_str(), name);
        Ok(self.people_by_name.get(key).map_err(fault)?.is_some())
    }

    /// Refuses a name that the owner's people have already.
    pub(super) fn require_name_free(&self, owner: &Owner, name: &str) -> Result<(), StoreError> {
        if self.name_taken(owner, name)? {
            return Err(StoreError::NameTaken { name: name.to_owned() });
        }
        Ok(())
    }

    /// Registers what an inversion has learned. A name that was taken meanwhile gets a number, for a finished
    /// inversion must not be lost to a name.
    pub(super) fn register_learned(
        &mut self,
        task: &TaskRecord,
        learned: LearnedPerson,
    ) -> Result<PersonId, StoreError> {
        let (name, placeholder) = match &task.spec {
            Spec::Inversion(spec) => (spec.person_name.clone(), spec.placeholder.clone()),
            Spec::Generation(_) => return Err(crate::store::transition::Refusal::OutcomeMismatch.into()),
        };
        let person = PersonRecord {
            id: PersonId::generate(),
            owner: task.owner.clone(),
            name: self.free_name(&task.owner, &name)?,
            placeholder,
            model_digest: learned.model_digest,
            artifact: learned.artifact,
            vectors: learned.vectors,
            width: learned.width,
            task: Some(task.id),
            created: self.now,
        };
        self.put_person(&person)?;
        Ok(person.id)
    }

    fn free_name(&self, owner: &Owner, wanted: &str) -> Result<PersonName, StoreError> {
        let mut name = wanted.to_owned();
        let mut number = 2u32;
        while self.name_taken(owner, &name)? {
            let suffix = format!("-{number}");
            let stem: String = wanted.chars().take(64 - suffix.len()).collect();
            name = format!("{stem}{suffix}");
            number += 1;
        }
        name.parse().map_err(|_| StoreError::Damaged { reason: format!("{wanted:?} is no name of a person") })
    }

    /// What this request id made before; an error where it was used with another body.
    pub(super) fn request_seen(
        &self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
    ) -> Result<Option<Id>, StoreError> {
        request_seen(&self.requests, kind, owner, request, body)
    }

    pub(super) fn remember_request(
        &mut self,
        kind: &str,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
        made: Id,
    ) -> Result<(), StoreError> {
        let key = request_key(kind, owner, request);
        let encoded = codec::encode(&RequestRecord { body, made })?;
        self.requests.insert(key.as_str(), encoded.as_slice()).map_err(fault)?;
        self.requests_by_age.insert((self.now.0, key.as_str()), ()).map_err(fault)?;
        self.dirty = true;
        Ok(())
    }

    /// Forgets request ids that are past their time.
    pub(super) fn forget_requests(&mut self, most: usize) -> Result<usize, StoreError> {
        let before = self.now.minus(self.times.request_ids);
        let mut due = Vec::new();
        for row in self.requests_by_age.range(..(before.0, "")).map_err(fault)?.take(most) {
            let (key, ()) = row.map(|(key, value)| (key, value.value())).map_err(fault)?;
            let (age, request) = key.value();
            due.push((age, request.to_owned()));
        }
        for (age, request) in &due {
            self.requests_by_age.remove((*age, request.as_str())).map_err(fault)?;
            self.requests.remove(request.as_str()).map_err(fault)?;
            self.dirty = true;
        }
        Ok(due.len())
    }
}

/// What a request id made before; an error where it was used with another body.
pub(super) fn request_seen(
    requests: &impl ReadableTable<&'static str, &'static [u8]>,
    kind: &str,
    owner: &Owner,
    request: &RequestId,
    body: Digest,
) -> Result<Option<Id>, StoreError> {
    let key = request_key(kind, owner, request);
    let Some(found) = requests.get(key.as_str()).map_err(fault)? else { return Ok(None) };
    let record: RequestRecord = codec::decode(found.value())?;
    if record.body != body {
        return Err(StoreError::RequestReused { request: request.to_string() });
    }
    Ok(Some(record.made))
}

fn request_key(kind: &str, owner: &Owner, request: &RequestId) -> String {
    format!("{kind}/{}/{}/{request}", owner.tenant, owner.user)
}
