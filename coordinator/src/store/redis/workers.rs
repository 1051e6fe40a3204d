//! Workers in Redis: read by name, and forgotten when they have been away for long.

use likeness_shared::ids::WorkerId;
use redis::Value;

use super::RedisStore;
use super::keys::damaged;
use super::link::Exchange;
use super::load::{read, single, values};
use super::step::Want;
use super::transactions::Terms;
use crate::store::record::StoreTime;
use crate::store::worker_record::{WorkerRecord, WorkerStanding, WorkerTotals};
use crate::store::workers::AWAY_KEPT;
use crate::store::workspace::Workspace;
use crate::store::{Page, StoreError, codec};

/// A name as a member of the sets of workers.
pub(super) fn read_worker_id(member: &str) -> Result<WorkerId, StoreError> {
    member.parse().map_err(|_| damaged("of workers"))
}

impl RedisStore {
    pub(super) async fn find_worker(&self, id: &WorkerId) -> Result<WorkerStanding, StoreError> {
        let found = self.standings(std::slice::from_ref(id)).await?.into_iter().next();
        found.ok_or_else(|| StoreError::NotFound { kind: "worker", id: id.to_string() })
    }

    /// By name. A worker that is forgotten meanwhile is left out.
    pub(super) async fn workers_in_order(
        &self,
        after: Option<&WorkerId>,
        page_size: usize,
    ) -> Result<Page<WorkerStanding>, StoreError> {
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZRANGE").arg(self.keys.workers()).arg(start).arg("+").arg("BYLEX");
        pipeline.arg("LIMIT").arg(0).arg(page_size.saturating_add(1));
        let mut names: Vec<String> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        let more = names.len() > page_size;
        names.truncate(page_size);
        let ids: Result<Vec<WorkerId>, StoreError> = names.iter().map(|name| read_worker_id(name)).collect();
        Ok(Page { items: self.standings(&ids?).await?, more })
    }

    /// Those of the workers that are known.
    pub(super) async fn standings(&self, ids: &[WorkerId]) -> Result<Vec<WorkerStanding>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HMGET").arg(self.keys.worker(id.as_str())).arg("r").arg("s").arg("d");
            pipeline.cmd("SCARD").arg(self.keys.held(id.as_str()));
        }
        let mut answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter();
        let mut standings = Vec::with_capacity(ids.len());
        while let Some(answer) = answers.next() {
            type Fields = (Option<Vec<u8>>, Option<u64>, Option<u64>);
            let (record, settled, device_time): Fields = read(answer)?;
            let tasks = read(answers.next().unwrap_or(Value::Nil))?;
            let Some(record) = record else { continue };
            let record: WorkerRecord = codec::decode(&record)?;
            let (settled, device_time_us) = (settled.unwrap_or(0), device_time.unwrap_or(0));
            standings.push(WorkerStanding {
                record,
                totals: WorkerTotals { settled, device_time_us },
                tasks,
            });
        }
        Ok(standings)
    }

    /// Forgets workers that were last seen long ago; one that comes back meanwhile stays.
    pub(super) async fn forget_workers(&self, now: StoreTime) -> Result<usize, StoreError> {
        let before = now.minus(AWAY_KEPT);
        let due: Vec<String> = self.rows(&self.keys.workers_by_age(), &format!("({}", before.0)).await?;
        let due: Result<Vec<WorkerId>, StoreError> = due.iter().map(|name| read_worker_id(name)).collect();
        let due = due?;
        if due.is_empty() {
            return Ok(0);
        }
        let terms = Terms { since: Some(now), ..Terms::wanting(due.iter().cloned().map(Want::Worker)) };
        let forgotten = self.step(terms, |step| {
            let mut forgotten = 0;
            for id in &due {
                if step.find_worker(id)?.is_some_and(|worker| worker.last_seen < before) {
                    step.forget_worker(id);
                    forgotten += 1;
                }
            }
            Ok(forgotten)
        });
        forgotten.await
    }
}
