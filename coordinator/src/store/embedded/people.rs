//! People and request ids over the tables.

use likeness_shared::ids::PersonId;
use redb::ReadableTable;

use super::faults::fault;
use super::tables::Tables;
use crate::store::StoreError;
use crate::store::workspace::Workspace;

pub(super) fn delete_person(tables: &mut Tables<'_>, id: PersonId) -> Result<(), StoreError> {
    let person = tables.person(id)?;
    tables.dirty = true;
    tables.people.remove(id.to_bytes()).map_err(fault)?;
    let key = (person.owner.tenant.as_str(), person.owner.user.as_str(), person.name.as_str());
    tables.people_by_name.remove(key).map_err(fault)?;
    Ok(())
}

impl Tables<'_> {
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
