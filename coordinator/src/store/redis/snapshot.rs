//! Everything that a fleet has in the store, for the invariants and the scrubber. Reads the whole fleet in many small
//! exchanges, so that none holds others up; what changes meanwhile is seen before or after its change.

use std::collections::BTreeMap;

use likeness_shared::ids::{PersonId, TaskId, WorkerId};
use redis::Value;

use super::RedisStore;
use super::keys::{
    damaged, read_node, read_person_id, read_queue_row, read_task_id, read_turn, read_waiting,
};
use super::link::Exchange;
use super::load::{read, values};
use super::workers::read_worker_id;
use crate::store::fair::{Lane, NodeKey};
use crate::store::indexes::ListingRow;
use crate::store::invariants::Snapshot;
use crate::store::record::{StoreTime, TaskRecord};
use crate::store::{StoreError, codec};

/// Rows or keys looked at in one command.
const SCAN_COUNT: usize = 1000;
/// Commands in one exchange.
const AT_ONCE: usize = 100;

/// The content of a store, with what tells whether a record has changed since.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) snapshot: Snapshot,
    pub(super) versions: BTreeMap<TaskId, Vec<u8>>,
    pub(super) worker_versions: BTreeMap<WorkerId, Vec<u8>>,
    /// The records of people as they are written.
    pub(super) people: BTreeMap<PersonId, Vec<u8>>,
}

/// The keys of a fleet.
struct AllKeys<'s> {
    store: &'s RedisStore,
    keys: Vec<String>,
}

impl AllKeys<'_> {
    /// Those that begin so, with what follows.
    fn of(&self, beginning: &str) -> (Vec<String>, Vec<&str>) {
        let rest = |key: &'_ str| self.store.keys.rest(key, beginning).is_some();
        let keys: Vec<String> = self.keys.iter().filter(|key| rest(key)).cloned().collect();
        let rests = self.keys.iter().filter_map(|key| self.store.keys.rest(key, beginning)).collect();
        (keys, rests)
    }
}

impl RedisStore {
    pub(super) async fn view(&self) -> Result<View, StoreError> {
        let all = AllKeys { store: self, keys: self.all_keys().await? };
        let mut view = View::default();
        self.read_tasks(&all, &mut view).await?;
        self.read_workers(&all, &mut view).await?;
        self.read_people(&all, &mut view).await?;
        let snapshot = &mut view.snapshot;
        let keys = &self.keys;
        for (row, _) in self.pairs("ZSCAN", &keys.queue()).await? {
            snapshot.queue.insert(read_queue_row(&row)?);
        }
        for (id, time) in self.pairs("ZSCAN", &keys.leases()).await? {
            snapshot.leases.insert((read_time(&time)?, read_task_id(&id)?));
        }
        for (id, time) in self.pairs("ZSCAN", &keys.ended()).await? {
            snapshot.ended.insert((read_time(&time)?, read_task_id(&id)?));
        }
        for (id, time) in self.pairs("ZSCAN", &keys.due()).await? {
            snapshot.due.insert((read_time(&time)?, read_task_id(&id)?));
        }
        let (held, workers) = all.of("held:");
        for (worker, ids) in workers.into_iter().zip(self.scanned("SSCAN", &held).await?) {
            for id in ids {
                snapshot.held.insert((worker.to_owned(), read_task_id(&id)?));
            }
        }
        let (lists, rows) = all.of("list:");
        for (row, numbered) in rows.into_iter().zip(self.scanned("ZSCAN", &lists).await?) {
            let row = listing_row(row).ok_or_else(|| damaged("of lists"))?;
            for (id, number) in in_pairs(numbered) {
                let number = read_time(&number)?.0;
                snapshot.listings.insert((ListingRow { number, ..row.clone() }, read_task_id(&id)?));
            }
        }
        self.read_shares(&all, snapshot).await?;
        Ok(view)
    }

    async fn read_tasks(&self, all: &AllKeys<'_>, view: &mut View) -> Result<(), StoreError> {
        for keys in all.of("task:").0.chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            for key in keys {
                pipeline.cmd("HMGET").arg(key).arg("r").arg("v").cmd("HEXISTS").arg(key).arg("c");
            }
            let mut answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter();
            while let Some(answer) = answers.next() {
                let (record, version): (Option<Vec<u8>>, Option<Vec<u8>>) = read(answer)?;
                let has_checkpoint: bool = read(answers.next().unwrap_or(Value::Nil))?;
                // it may have been removed since its key was found
                let Some(record) = record else { continue };
                let task: TaskRecord = codec::decode(&record)?;
                if has_checkpoint {
                    view.snapshot.checkpoints.insert(task.id);
                }
                view.versions.insert(task.id, version.unwrap_or_default());
                view.snapshot.tasks.insert(task.id, task);
            }
        }
        Ok(())
    }

    async fn read_workers(&self, all: &AllKeys<'_>, view: &mut View) -> Result<(), StoreError> {
        let ids: Result<Vec<WorkerId>, StoreError> =
            all.of("worker:").1.into_iter().map(read_worker_id).collect();
        let ids = ids?;
        for ids in ids.chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            for id in ids {
                pipeline.cmd("HGET").arg(self.keys.worker(id.as_str())).arg("v");
            }
            // the version first: a record that is newer than its version fails every guard
            let versions = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
            for (id, version) in ids.iter().zip(versions) {
                let version: Option<Vec<u8>> = read(version)?;
                view.worker_versions.insert(id.clone(), version.unwrap_or_default());
            }
            for standing in self.standings(ids).await? {
                let id = standing.record.facts.id.clone();
                view.snapshot.workers.insert(id, (standing.record, standing.totals));
            }
        }
        let snapshot = &mut view.snapshot;
        for (name, _) in self.pairs("ZSCAN", &self.keys.workers()).await? {
            snapshot.workers_in_order.insert(read_worker_id(&text(name, "of workers")?)?);
        }
        for (name, time) in self.pairs("ZSCAN", &self.keys.workers_by_age()).await? {
            let id = read_worker_id(&text(name, "workers_by_age")?)?;
            snapshot.workers_by_age.insert((read_time(&time)?, id));
        }
        Ok(())
    }

    async fn read_people(&self, all: &AllKeys<'_>, view: &mut View) -> Result<(), StoreError> {
        for (id, bytes) in self.pairs("HSCAN", &self.keys.people()).await? {
            let id = read_person_id(&id)?;
            view.snapshot.people.insert(id, codec::decode(&bytes)?);
            view.people.insert(id, bytes);
        }
        let snapshot = &mut view.snapshot;
        let (names, owners) = all.of("names:");
        for (owner, named) in owners.into_iter().zip(self.scanned("HSCAN", &names).await?) {
            for (name, id) in in_pairs(named) {
                let name = text(name, "names")?;
                snapshot.names.insert((owner.to_owned(), name, read_person_id(&id)?));
            }
        }
        let (orders, tenants) = all.of("people_in_order:");
        for (tenant, rows) in tenants.into_iter().zip(self.scanned("ZSCAN", &orders).await?) {
            for (row, _) in in_pairs(rows) {
                let row = text(row, "people_in_order")?;
                let (user, name) = row.split_once('\0').ok_or_else(|| damaged("people_in_order"))?;
                snapshot.names_in_order.insert((format!("{tenant}/{user}"), name.to_owned()));
            }
        }
        Ok(())
    }

    async fn read_shares(&self, all: &AllKeys<'_>, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let keys = &self.keys;
        for (row, _) in self.pairs("ZSCAN", &keys.turns()).await? {
            snapshot.turns.insert(read_turn(&text(row, "turns")?)?);
        }
        for (key, node) in self.pairs("HSCAN", &keys.nodes()).await? {
            let key = NodeKey::from_text(text(key, "nodes")?);
            snapshot.nodes.insert(key, read_node(&text(node, "nodes")?)?);
        }
        for (party, count) in self.pairs("HSCAN", &keys.in_flight()).await? {
            let count = text(count, "in_flight")?.parse().map_err(|_| damaged("in_flight"))?;
            snapshot.in_flight.insert(text(party, "in_flight")?, count);
        }
        for key in self.scanned("SSCAN", &[keys.kept_back()]).await?.into_iter().flatten() {
            snapshot.kept_back.insert(NodeKey::from_text(text(key, "kept_back")?));
        }
        for (key, time) in self.pairs("ZSCAN", &keys.idle()).await? {
            snapshot.idle.insert((read_time(&time)?, NodeKey::from_text(text(key, "idle")?)));
        }
        let (waiting, parties) = all.of("waiting:");
        for (party, lanes) in parties.into_iter().zip(self.scanned("HSCAN", &waiting).await?) {
            for (lane, waiting) in in_pairs(lanes) {
                let lane = Lane::read(&text(lane, "waiting")?).ok_or_else(|| damaged("waiting"))?;
                let waiting = read_waiting(&text(waiting, "waiting")?)?;
                snapshot.waiting.insert((party.to_owned(), lane), waiting);
            }
        }
        Ok(())
    }

    async fn all_keys(&self) -> Result<Vec<String>, StoreError> {
        let mut found = std::collections::BTreeSet::new();
        let mut cursor = 0u64;
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(self.keys.pattern());
            pipeline.arg("COUNT").arg(SCAN_COUNT);
            let answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
            let (next, keys): (u64, Vec<String>) = read(answers.into_iter().next().unwrap_or(Value::Nil))?;
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                return Ok(found.into_iter().collect());
            }
        }
    }

    /// Fields and values, or members and scores, of one key. Some may come twice.
    async fn pairs(&self, command: &str, key: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let scanned = self.scanned(command, &[key.to_owned()]).await?;
        Ok(scanned.into_iter().flat_map(in_pairs).collect())
    }

    /// All that is in each key, a bounded part of it in one command, of many keys in one exchange.
    async fn scanned(&self, command: &str, keys: &[String]) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let mut found = vec![Vec::new(); keys.len()];
        let mut left: Vec<(usize, u64)> = (0..keys.len()).map(|index| (index, 0)).collect();
        while !left.is_empty() {
            let rest = left.split_off(left.len().min(AT_ONCE));
            let mut pipeline = redis::pipe();
            for (index, cursor) in &left {
                let key = keys.get(*index).map_or("", String::as_str);
                pipeline.cmd(command).arg(key).arg(cursor).arg("COUNT").arg(SCAN_COUNT);
            }
            let answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
            let mut unfinished = Vec::new();
            for ((index, _), answer) in left.into_iter().zip(answers) {
                let (next, members): (u64, Vec<Vec<u8>>) = read(answer)?;
                if let Some(of_key) = found.get_mut(index) {
                    of_key.extend(members);
                }
                if next != 0 {
                    unfinished.push((index, next));
                }
            }
            left = unfinished;
            left.extend(rest);
        }
        Ok(found)
    }
}

fn in_pairs(flat: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut flat = flat.into_iter();
    let mut pairs = Vec::with_capacity(flat.len() / 2);
    while let (Some(member), Some(value)) = (flat.next(), flat.next()) {
        pairs.push((member, value));
    }
    pairs
}

fn text(bytes: Vec<u8>, index: &str) -> Result<String, StoreError> {
    String::from_utf8(bytes).map_err(|_| damaged(index))
}

/// A score; all of them are whole numbers.
fn read_time(score: &[u8]) -> Result<StoreTime, StoreError> {
    let number = std::str::from_utf8(score).ok().and_then(|text| text.parse().ok());
    number.map(StoreTime).ok_or_else(|| damaged("by time"))
}

fn listing_row(rest: &str) -> Option<ListingRow> {
    let mut parts = rest.split('/');
    let (tenant, user) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let (kind, state) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(ListingRow { tenant, user, kind, state, number: 0 })
}
