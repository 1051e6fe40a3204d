//! The tables of the file, and the transaction that a batch of operations shares.

use redb::{Table, TableDefinition, WriteTransaction};

use super::faults::fault;
use crate::store::fair::FairPolicy;
use crate::store::record::{StoreTime, TaskRecord};
pub(super) use crate::store::workspace::Id;
use crate::store::{StoreError, StoreTimes, TaskEvent};

pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub(super) const TASKS: TableDefinition<Id, &[u8]> = TableDefinition::new("tasks");
pub(super) const CHECKPOINTS: TableDefinition<Id, &[u8]> = TableDefinition::new("checkpoints");
/// (lane, owner, rank, number)
pub(super) const QUEUE: TableDefinition<(&str, &str, u8, u64), Id> = TableDefinition::new("queue");
/// node -> (virtual time, floor, standing, idle since)
pub(super) const NODES: TableDefinition<&str, (u64, u64, u8, u64)> = TableDefinition::new("nodes");
/// (parent, virtual time, name): the active children of each node in their order.
pub(super) const TURNS: TableDefinition<(&str, u64, &str), ()> = TableDefinition::new("turns");
/// Nodes that a cap keeps back.
pub(super) const KEPT_BACK: TableDefinition<&str, ()> = TableDefinition::new("kept_back");
/// (idle since, node)
pub(super) const IDLE: TableDefinition<(u64, &str), ()> = TableDefinition::new("idle");
/// (tenant or owner, lane) -> (tasks waiting, what they are expected to cost)
pub(super) const WAITING: TableDefinition<(&str, &str), (u64, u64)> = TableDefinition::new("waiting");
/// tenant or owner -> leases
pub(super) const IN_FLIGHT: TableDefinition<&str, u64> = TableDefinition::new("in_flight");
/// (lane, kind of work) -> what a unit of it costs
pub(super) const COSTS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("costs");
pub(super) const LEASES: TableDefinition<(u64, Id), ()> = TableDefinition::new("leases");
pub(super) const HELD: TableDefinition<(&str, Id), ()> = TableDefinition::new("held");
pub(super) const ENDED: TableDefinition<(u64, Id), ()> = TableDefinition::new("ended");
/// (when time alone next changes it, task)
pub(super) const DUE: TableDefinition<(u64, Id), ()> = TableDefinition::new("due");
/// (tenant, user or "", kind or 0, state or 0, number)
pub(super) const LISTINGS: TableDefinition<(&str, &str, u8, u8, u64), Id> = TableDefinition::new("listings");
pub(super) const WORKERS: TableDefinition<&str, &[u8]> = TableDefinition::new("workers");
/// worker -> (settlements accepted, device time in microseconds)
pub(super) const WORKER_TOTALS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("worker_totals");
/// (last seen, worker)
pub(super) const WORKERS_BY_AGE: TableDefinition<(u64, &str), ()> = TableDefinition::new("workers_by_age");
pub(super) const REQUESTS: TableDefinition<&str, &[u8]> = TableDefinition::new("requests");
pub(super) const REQUESTS_BY_AGE: TableDefinition<(u64, &str), ()> = TableDefinition::new("requests_by_age");
pub(super) const PEOPLE: TableDefinition<Id, &[u8]> = TableDefinition::new("people");
/// (tenant, user, name)
pub(super) const PEOPLE_BY_NAME: TableDefinition<(&str, &str, &str), Id> =
    TableDefinition::new("people_by_name");

/// Keys of `META`.
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const TIME_KEY: &str = "last_time_us";
pub(super) const NUMBER_KEY: &str = "last_number";

/// All tables of one write transaction, and what its operations leave to be done after the commit.
pub(super) struct Tables<'t> {
    pub(super) meta: Table<'t, &'static str, u64>,
    pub(super) tasks: Table<'t, Id, &'static [u8]>,
    pub(super) checkpoints: Table<'t, Id, &'static [u8]>,
    pub(super) queue: Table<'t, (&'static str, &'static str, u8, u64), Id>,
    pub(super) nodes: Table<'t, &'static str, (u64, u64, u8, u64)>,
    pub(super) turns: Table<'t, (&'static str, u64, &'static str), ()>,
    pub(super) kept_back: Table<'t, &'static str, ()>,
    pub(super) idle: Table<'t, (u64, &'static str), ()>,
    pub(super) waiting: Table<'t, (&'static str, &'static str), (u64, u64)>,
    pub(super) in_flight: Table<'t, &'static str, u64>,
    pub(super) costs: Table<'t, (&'static str, &'static str), &'static [u8]>,
    pub(super) leases: Table<'t, (u64, Id), ()>,
    pub(super) held: Table<'t, (&'static str, Id), ()>,
    pub(super) ended: Table<'t, (u64, Id), ()>,
    pub(super) due: Table<'t, (u64, Id), ()>,
    pub(super) listings: Table<'t, (&'static str, &'static str, u8, u8, u64), Id>,
    pub(super) workers: Table<'t, &'static str, &'static [u8]>,
    pub(super) worker_totals: Table<'t, &'static str, (u64, u64)>,
    pub(super) workers_by_age: Table<'t, (u64, &'static str), ()>,
    pub(super) requests: Table<'t, &'static str, &'static [u8]>,
    pub(super) requests_by_age: Table<'t, (u64, &'static str), ()>,
    pub(super) people: Table<'t, Id, &'static [u8]>,
    pub(super) people_by_name: Table<'t, (&'static str, &'static str, &'static str), Id>,
    pub(super) times: StoreTimes,
    pub(super) policy: &'t FairPolicy,
    /// Time of the operation that runs; grows strictly from one to the next.
    pub(super) now: StoreTime,
    pub(super) events: Vec<TaskEvent>,
    /// Whether anything was written.
    pub(super) dirty: bool,
}

impl<'t> Tables<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        times: StoreTimes,
        policy: &'t FairPolicy,
        now: StoreTime,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            meta: transaction.open_table(META).map_err(fault)?,
            tasks: transaction.open_table(TASKS).map_err(fault)?,
            checkpoints: transaction.open_table(CHECKPOINTS).map_err(fault)?,
            queue: transaction.open_table(QUEUE).map_err(fault)?,
            nodes: transaction.open_table(NODES).map_err(fault)?,
            turns: transaction.open_table(TURNS).map_err(fault)?,
            kept_back: transaction.open_table(KEPT_BACK).map_err(fault)?,
            idle: transaction.open_table(IDLE).map_err(fault)?,
            waiting: transaction.open_table(WAITING).map_err(fault)?,
            in_flight: transaction.open_table(IN_FLIGHT).map_err(fault)?,
            costs: transaction.open_table(COSTS).map_err(fault)?,
            leases: transaction.open_table(LEASES).map_err(fault)?,
            held: transaction.open_table(HELD).map_err(fault)?,
            ended: transaction.open_table(ENDED).map_err(fault)?,
            due: transaction.open_table(DUE).map_err(fault)?,
            listings: transaction.open_table(LISTINGS).map_err(fault)?,
            workers: transaction.open_table(WORKERS).map_err(fault)?,
            worker_totals: transaction.open_table(WORKER_TOTALS).map_err(fault)?,
            workers_by_age: transaction.open_table(WORKERS_BY_AGE).map_err(fault)?,
            requests: transaction.open_table(REQUESTS).map_err(fault)?,
            requests_by_age: transaction.open_table(REQUESTS_BY_AGE).map_err(fault)?,
            people: transaction.open_table(PEOPLE).map_err(fault)?,
            people_by_name: transaction.open_table(PEOPLE_BY_NAME).map_err(fault)?,
            times,
            policy,
            now,
            events: Vec::new(),
            dirty: false,
        })
    }

    /// Notes the change to `new` for those who watch.
    pub(super) fn tell(&mut self, new: &TaskRecord) {
        self.events.push(TaskEvent::of(new));
    }
}
