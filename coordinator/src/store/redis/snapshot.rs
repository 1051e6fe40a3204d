//! Everything that a fleet has in the store, for the invariants. Reads the whole fleet, while nothing changes it.

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
use crate::store::record::StoreTime;
use crate::store::{StoreError, codec};

/// Keys looked at in one exchange.
const SCAN_COUNT: usize = 1000;

impl RedisStore {
    pub(super) async fn whole(&self) -> Result<Snapshot, StoreError> {
        let keys = &self.keys;
        let mut snapshot = Snapshot::default();
        for key in self.keys_of("task:").await? {
            let found: (Option<Vec<u8>>, bool) = self.pair("HGET", "HEXISTS", &key, ["r", "c"]).await?;
            let record = found.0.ok_or_else(|| damaged("of tasks"))?;
            let task: crate::store::record::TaskRecord = codec::decode(&record)?;
            if found.1 {
                snapshot.checkpoints.insert(task.id);
            }
            snapshot.tasks.insert(task.id, task);
        }
        for (id, bytes) in self.one::<Vec<(Vec<u8>, Vec<u8>)>>("HGETALL", &keys.people(), &[]).await? {
            snapshot.people.insert(read_person_id(&id)?, codec::decode(&bytes)?);
        }
        for row in self.one::<Vec<Vec<u8>>>("ZRANGE", &keys.queue(), &["0", "-1"]).await? {
            snapshot.queue.insert(read_queue_row(&row)?);
        }
        for row in self.one::<Vec<String>>("ZRANGE", &keys.turns(), &["0", "-1"]).await? {
            snapshot.turns.insert(read_turn(&row)?);
        }
        for (key, node) in self.one::<Vec<(String, String)>>("HGETALL", &keys.nodes(), &[]).await? {
            snapshot.nodes.insert(NodeKey::from_text(key), read_node(&node)?);
        }
        for (party, count) in self.one::<Vec<(String, u64)>>("HGETALL", &keys.in_flight(), &[]).await? {
            snapshot.in_flight.insert(party, count);
        }
        for key in self.one::<Vec<String>>("SMEMBERS", &keys.kept_back(), &[]).await? {
            snapshot.kept_back.insert(NodeKey::from_text(key));
        }
        for (key, time) in self.scored(&keys.idle()).await? {
            let key = String::from_utf8(key).map_err(|_| damaged("idle"))?;
            snapshot.idle.insert((StoreTime(time), NodeKey::from_text(key)));
        }
        for (id, time) in self.scored(&keys.leases()).await? {
            snapshot.leases.insert((StoreTime(time), read_task_id(&id)?));
        }
        for (id, time) in self.scored(&keys.ended()).await? {
            snapshot.ended.insert((StoreTime(time), read_task_id(&id)?));
        }
        let names: Vec<String> = self.one("ZRANGE", &keys.workers(), &["0", "-1"]).await?;
        let ids: Result<Vec<_>, StoreError> = names.iter().map(|name| read_worker_id(name)).collect();
        for standing in self.standings(&ids?).await? {
            snapshot.workers.insert(standing.record.facts.id.clone(), (standing.record, standing.totals));
        }
        if !self.keys_of("worker:").await?.len().eq(&names.len()) {
            return Err(StoreError::Damaged { reason: "workers and their order do not agree".to_owned() });
        }
        let by_age: Vec<(String, u64)> =
            self.one("ZRANGE", &keys.workers_by_age(), &["0", "-1", "WITHSCORES"]).await?;
        for (name, time) in by_age {
            snapshot.workers_by_age.insert((StoreTime(time), read_worker_id(&name)?));
        }
        for (id, time) in self.scored(&keys.due()).await? {
            snapshot.due.insert((StoreTime(time), read_task_id(&id)?));
        }
        self.read_many(&mut snapshot).await?;
        Ok(snapshot)
    }

    /// The indexes that have a key for each of something.
    async fn read_many(&self, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        for key in self.keys_of("held:").await? {
            let worker = self.keys.rest(&key, "held:").unwrap_or_default();
            for id in self.one::<Vec<Vec<u8>>>("SMEMBERS", &key, &[]).await? {
                snapshot.held.insert((worker.to_owned(), read_task_id(&id)?));
            }
        }
        for key in self.keys_of("waiting:").await? {
            let party = self.keys.rest(&key, "waiting:").unwrap_or_default();
            for (lane, waiting) in self.one::<Vec<(String, String)>>("HGETALL", &key, &[]).await? {
                let lane = Lane::read(&lane).ok_or_else(|| damaged("waiting"))?;
                snapshot.waiting.insert((party.to_owned(), lane), read_waiting(&waiting)?);
            }
        }
        for key in self.keys_of("list:").await? {
            let row = listing_row(self.keys.rest(&key, "list:").unwrap_or_default());
            let row = row.ok_or_else(|| damaged("of lists"))?;
            for (id, number) in self.scored(&key).await? {
                snapshot.listings.insert((ListingRow { number, ..row.clone() }, read_task_id(&id)?));
            }
        }
        for key in self.keys_of("names:").await? {
            let owner = self.keys.rest(&key, "names:").unwrap_or_default();
            for (name, id) in self.one::<Vec<(String, Vec<u8>)>>("HGETALL", &key, &[]).await? {
                snapshot.names.insert((owner.to_owned(), name, read_person_id(&id)?));
            }
        }
        let mut in_order = std::collections::BTreeSet::new();
        for key in self.keys_of("people_in_order:").await? {
            let tenant = self.keys.rest(&key, "people_in_order:").unwrap_or_default();
            for row in self.one::<Vec<String>>("ZRANGE", &key, &["0", "-1"]).await? {
                let (user, name) = row.split_once('\0').ok_or_else(|| damaged("people_in_order"))?;
                in_order.insert((format!("{tenant}/{user}"), name.to_owned()));
            }
        }
        let named = snapshot.names.iter().map(|(owner, name, _)| (owner.clone(), name.clone()));
        if !named.eq(in_order) {
            return Err(StoreError::Damaged { reason: "names and their order do not agree".to_owned() });
        }
        Ok(())
    }

    async fn keys_of(&self, beginning: &str) -> Result<Vec<String>, StoreError> {
        let mut found = std::collections::BTreeSet::new();
        let mut cursor = 0u64;
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(self.keys.pattern(beginning));
            pipeline.arg("COUNT").arg(SCAN_COUNT);
            let (next, keys): (u64, Vec<String>) = self.first(&pipeline).await?;
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                return Ok(found.into_iter().collect());
            }
        }
    }

    async fn first<T: redis::FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T, StoreError> {
        let answers = values(self.link.ask(Exchange::Commands(pipeline)).await?)?;
        read(answers.into_iter().next().unwrap_or(Value::Nil))
    }

    async fn one<T: redis::FromRedisValue>(
        &self,
        command: &str,
        key: &str,
        arguments: &[&str],
    ) -> Result<T, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd(command).arg(key).arg(arguments);
        self.first(&pipeline).await
    }

    async fn scored(&self, key: &str) -> Result<Vec<(Vec<u8>, u64)>, StoreError> {
        self.one("ZRANGE", key, &["0", "-1", "WITHSCORES"]).await
    }

    async fn pair<A: redis::FromRedisValue, B: redis::FromRedisValue>(
        &self,
        one: &str,
        other: &str,
        key: &str,
        fields: [&str; 2],
    ) -> Result<(A, B), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd(one).arg(key).arg(fields[0]).cmd(other).arg(key).arg(fields[1]);
        let mut answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        Ok((read(next())?, read(next())?))
    }
}

fn listing_row(rest: &str) -> Option<ListingRow> {
    let mut parts = rest.split('/');
    let (tenant, user) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let (kind, state) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(ListingRow { tenant, user, kind, state, number: 0 })
}
