//! Queries. None of them scans; each reads an index first and the records that it names after that, so a record that
//! has changed in between is given as it is by then, or left out where it no longer belongs.

use likeness_shared::ids::{Digest, PersonId, PersonName, RequestId, TaskId};
use redis::Value;

use super::RedisStore;
use super::keys::{read_person_id, read_task_id};
use super::link::Exchange;
use super::load::{read, single, values};
use crate::store::age::AgeSearch;
use crate::store::indexes::{ANY, ListingRow, owner_key, state_byte};
use crate::store::operations::SUBMITS;
use crate::store::record::{Owner, PersonRecord, StoreTime, TaskRecord};
use crate::store::requests::{RequestRecord, request_key};
use crate::store::{Page, PeopleFilter, StoreError, TaskFilter, codec};

impl RedisStore {
    pub(super) async fn find_task(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        Ok(self.tasks(&[id]).await?.into_iter().next().flatten())
    }

    pub(super) async fn read_task(&self, id: TaskId) -> Result<TaskRecord, StoreError> {
        let found = self.find_task(id).await?;
        found.ok_or_else(|| StoreError::NotFound { kind: "task", id: id.to_string() })
    }

    /// The task that a request id made, if it did.
    pub(super) async fn submitted_by(
        &self,
        owner: &Owner,
        request: &RequestId,
        body: Digest,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let mut pipeline = redis::pipe();
        let key = request_key(SUBMITS, owner, request);
        pipeline.cmd("HGET").arg(self.keys.requests()).arg(key);
        let found: Option<Vec<u8>> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        let Some(bytes) = found else { return Ok(None) };
        let made = codec::decode::<RequestRecord>(&bytes)?.made_by(request, body)?;
        self.read_task(TaskId::from_bytes(made)).await.map(Some)
    }

    /// Merges one ordered list for each state asked for, newest first.
    pub(super) async fn list_tasks(&self, filter: &TaskFilter) -> Result<Page<TaskRecord>, StoreError> {
        let kind = filter.kind.map_or(ANY, |kind| u8::try_from(kind as i32).unwrap_or(u8::MAX));
        let states: Vec<u8> = if filter.states.is_empty() {
            vec![ANY]
        } else {
            filter.states.iter().copied().map(state_byte).collect()
        };
        let every_state = ListingRow {
            tenant: filter.tenant.to_string(),
            user: filter.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind,
            state: ANY,
            number: 0,
        };
        let start = match filter.since {
            Some(since) => self.first_number_at(&every_state, since).await?,
            None => 0,
        };
        let mut end = filter.before;
        if let Some(until) = filter.until {
            let number = self.first_number_at(&every_state, until.after()).await?;
            end = Some(end.map_or(number, |end| end.min(number)));
        }
        let end = end.map_or_else(|| "+inf".to_owned(), |number| format!("({number}"));
        let mut pipeline = redis::pipe();
        for state in states {
            let row = ListingRow { state, ..every_state.clone() };
            pipeline.cmd("ZRANGE").arg(self.keys.listing(&row)).arg(&end).arg(start);
            pipeline.arg("BYSCORE").arg("REV").arg("LIMIT").arg(0).arg(filter.page_size.saturating_add(1));
            pipeline.arg("WITHSCORES");
        }
        let mut found: Vec<(u64, TaskId)> = Vec::new();
        for list in values(self.link.ask(Exchange::Commands(&pipeline)).await?)? {
            for (member, number) in read::<Vec<(Vec<u8>, u64)>>(list)? {
                found.push((number, read_task_id(&member)?));
            }
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        found.dedup();
        let more = found.len() > filter.page_size;
        found.truncate(filter.page_size);
        let ids: Vec<TaskId> = found.into_iter().map(|(_, id)| id).collect();
        let belongs =
            |task: &TaskRecord| filter.states.is_empty() || filter.states.contains(&task.state.wire());
        let items = self.tasks(&ids).await?.into_iter().flatten().filter(belongs).collect();
        Ok(Page { items, more })
    }

    /// The least number in a listing from which on no task was submitted before a moment.
    async fn first_number_at(&self, row: &ListingRow, moment: StoreTime) -> Result<u64, StoreError> {
        let key = self.keys.listing(row);
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZRANGE").arg(&key).arg(-1).arg(-1).arg("WITHSCORES");
        let newest: Vec<(Vec<u8>, u64)> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        let Some((_, newest)) = newest.first() else { return Ok(0) };
        let mut search = AgeSearch::new(moment, newest.saturating_add(1));
        while let Some(number) = search.look_from() {
            search.found(self.first_from(&key, number).await?);
        }
        Ok(search.number())
    }

    /// Number and time of the first task of a listing from a number on; one that is removed meanwhile is passed over.
    async fn first_from(&self, key: &str, number: u64) -> Result<Option<(u64, StoreTime)>, StoreError> {
        let mut from = number.to_string();
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ZRANGE").arg(key).arg(&from).arg("+inf").arg("BYSCORE");
            pipeline.arg("LIMIT").arg(0).arg(1).arg("WITHSCORES");
            let first: Vec<(Vec<u8>, u64)> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
            let Some((member, number)) = first.into_iter().next() else { return Ok(None) };
            if let Some(task) = self.find_task(read_task_id(&member)?).await? {
                return Ok(Some((number, task.created)));
            }
            from = format!("({number}");
        }
    }

    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGET").arg(self.keys.task(*id)).arg("r");
        }
        self.records(&pipeline).await
    }

    async fn people(&self, ids: &[PersonId]) -> Result<Vec<Option<PersonRecord>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGET").arg(self.keys.people()).arg(&id.to_bytes()[..]);
        }
        self.records(&pipeline).await
    }

    async fn records<T: serde::de::DeserializeOwned>(
        &self,
        pipeline: &redis::Pipeline,
    ) -> Result<Vec<Option<T>>, StoreError> {
        let answers = values(self.link.ask(Exchange::Commands(pipeline)).await?)?.into_iter();
        let decoded = answers.map(|answer: Value| {
            read::<Option<Vec<u8>>>(answer)?.map(|bytes| codec::decode(&bytes)).transpose()
        });
        decoded.collect()
    }

    pub(super) async fn read_person(&self, id: PersonId) -> Result<PersonRecord, StoreError> {
        let found = self.people(&[id]).await?.into_iter().next().flatten();
        found.ok_or_else(|| StoreError::NotFound { kind: "person", id: id.to_string() })
    }

    pub(super) async fn read_person_named(
        &self,
        owner: &Owner,
        name: &PersonName,
    ) -> Result<PersonRecord, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGET").arg(self.keys.names(&owner_key(owner))).arg(name.as_str());
        let id: Option<Vec<u8>> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        let id = id.ok_or_else(|| StoreError::NotFound { kind: "person", id: format!("named {name}") })?;
        self.read_person(read_person_id(&id)?).await
    }

    pub(super) async fn people_in_order(
        &self,
        filter: &PeopleFilter,
    ) -> Result<Page<PersonRecord>, StoreError> {
        let start = match (&filter.after, &filter.user) {
            (Some((user, name)), _) => format!("[{user}\0{name}\x01"),
            (None, Some(user)) => format!("[{user}\0"),
            (None, None) => "-".to_owned(),
        };
        let end = filter.user.as_ref().map_or_else(|| "+".to_owned(), |user| format!("({user}\x01"));
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZRANGE").arg(self.keys.people_in_order(&filter.tenant)).arg(start).arg(end);
        pipeline.arg("BYLEX").arg("LIMIT").arg(0).arg(filter.page_size.saturating_add(1));
        let mut rows: Vec<String> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        let more = rows.len() > filter.page_size;
        rows.truncate(filter.page_size);
        let ids = self.person_ids(filter, &rows).await?;
        let items = self.people(&ids).await?.into_iter().flatten().collect();
        Ok(Page { items, more })
    }

    async fn person_ids(&self, filter: &PeopleFilter, rows: &[String]) -> Result<Vec<PersonId>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for row in rows {
            let (user, name) = row.split_once('\0').unwrap_or((row, ""));
            let owner = format!("{}/{user}", filter.tenant);
            pipeline.cmd("HGET").arg(self.keys.names(&owner)).arg(name);
        }
        let mut ids = Vec::with_capacity(rows.len());
        for answer in values(self.link.ask(Exchange::Commands(&pipeline)).await?)? {
            if let Some(id) = read::<Option<Vec<u8>>>(answer)? {
                ids.push(read_person_id(&id)?);
            }
        }
        Ok(ids)
    }
}
