//! A look into the queue: one exchange for each level of the tree.

use likeness_shared::ids::TaskId;
use redis::FromRedisValue;

use super::RedisStore;
use super::keys::{queue_row, read_node, read_turn, read_waiting};
use super::link::Exchange;
use super::load::{read, single, values};
use crate::store::StoreError;
use crate::store::fair::{LaneView, NodeKey, Standing, Waiting};
use crate::store::indexes::rows;
use crate::store::queue_view::{Ahead, LEVELS, QueueFilter, TreeRows, opens, parties};

impl RedisStore {
    pub(super) async fn read_lanes(&self, filter: &QueueFilter) -> Result<Vec<LaneView>, StoreError> {
        let mut rows = TreeRows::default();
        let mut parents = vec![NodeKey::root()];
        for _ in 0..LEVELS {
            parents.retain(|parent| opens(parent, filter));
            parents = self.children(&parents, filter.most, &mut rows).await?;
        }
        self.read_kept_back(filter.most, &mut rows).await?;
        self.read_counts(&mut rows).await?;
        Ok(rows.lanes())
    }

    async fn children(
        &self,
        parents: &[NodeKey],
        most: usize,
        rows: &mut TreeRows,
    ) -> Result<Vec<NodeKey>, StoreError> {
        let mut pipeline = redis::pipe();
        for parent in parents {
            let (from, to) = (format!("[{}\0", parent.as_str()), format!("({}\u{1}", parent.as_str()));
            pipeline.cmd("ZRANGE").arg(self.keys.turns()).arg(from).arg(to).arg("BYLEX");
            pipeline.arg("LIMIT").arg(0).arg(most);
        }
        let mut children = Vec::new();
        for turns in self.each::<Vec<String>>(&pipeline, parents.len()).await? {
            for turn in turns {
                let (parent, virtual_time, name) = read_turn(&turn)?;
                let child = parent.child(&name);
                rows.nodes.push((child.clone(), virtual_time, Standing::Active));
                children.push(child);
            }
        }
        Ok(children)
    }

    async fn read_kept_back(&self, most: usize, rows: &mut TreeRows) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        // a bounded part of the set, whichever
        pipeline.cmd("SRANDMEMBER").arg(self.keys.kept_back()).arg(most);
        let mut keys: Vec<String> = single(self.link.ask(Exchange::Commands(&pipeline)).await?)?;
        keys.sort();
        let mut pipeline = redis::pipe();
        for key in &keys {
            pipeline.cmd("HGET").arg(self.keys.nodes()).arg(key);
        }
        let nodes = self.each::<Option<String>>(&pipeline, keys.len()).await?;
        for (key, node) in keys.into_iter().zip(nodes) {
            if let Some(node) = node {
                rows.nodes.push((
                    NodeKey::from_text(key),
                    read_node(&node)?.virtual_time,
                    Standing::KeptBack,
                ));
            }
        }
        Ok(())
    }

    async fn read_counts(&self, rows: &mut TreeRows) -> Result<(), StoreError> {
        let parties = parties(&rows.nodes);
        let mut pipeline = redis::pipe();
        for (party, lane) in &parties {
            pipeline.cmd("HGET").arg(self.keys.waiting(party)).arg(lane.text());
        }
        let waiting = self.each::<Option<String>>(&pipeline, parties.len()).await?;
        let mut pipeline = redis::pipe();
        for (party, _) in &parties {
            pipeline.cmd("HGET").arg(self.keys.in_flight()).arg(party);
        }
        let in_flight = self.each::<Option<u64>>(&pipeline, parties.len()).await?;
        for ((party, lane), (waiting, in_flight)) in
            parties.into_iter().zip(waiting.into_iter().zip(in_flight))
        {
            rows.in_flight.insert(party.clone(), in_flight.unwrap_or(0));
            if let Some(waiting) = waiting {
                rows.waiting.insert((party, lane), read_waiting(&waiting)?);
            }
        }
        Ok(())
    }

    /// What of its user's comes before a task; `None` = it does not wait.
    pub(super) async fn read_ahead(&self, id: TaskId) -> Result<Option<Ahead>, StoreError> {
        let Some(row) = rows(&self.read_task(id).await?).waiting else { return Ok(None) };
        let start = format!("[{}\0{}\0", row.lane.text(), row.owner).into_bytes();
        let mut end = b"(".to_vec();
        end.extend(queue_row(&row, id));
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZLEXCOUNT").arg(self.keys.queue()).arg(start).arg(end);
        pipeline.cmd("HGET").arg(self.keys.waiting(&row.owner)).arg(row.lane.text());
        let mut answers = values(self.link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter();
        let mut next = || answers.next().unwrap_or(redis::Value::Nil);
        let tasks: u64 = read(next())?;
        let all: Option<String> = read(next())?;
        let all = all.map(|all| read_waiting(&all)).transpose()?.unwrap_or(Waiting::default());
        Ok(Some(Ahead { tasks, cost: all.cost_of(tasks) }))
    }

    async fn each<T: FromRedisValue>(
        &self,
        pipeline: &redis::Pipeline,
        expected: usize,
    ) -> Result<Vec<T>, StoreError> {
        if expected == 0 {
            return Ok(Vec::new());
        }
        values(self.link.ask(Exchange::Commands(pipeline)).await?)?.into_iter().map(read).collect()
    }
}
