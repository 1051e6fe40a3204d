//! Finds what differs from the records, over one consistent view; repairs it in one transaction.

use redb::ReadTransaction;

use super::faults::fault;
use super::snapshot;
use super::tables::{META, TIME_KEY, Tables};
use crate::store::fair::FairPolicy;
use crate::store::indexes::ListingRow;
use crate::store::record::StoreTime;
use crate::store::scrub::{Difference, Is, Row, Scrubbed, Shares, differences};
use crate::store::{StoreError, fair};

/// What differs in the file as it was committed.
pub(super) fn look(transaction: &ReadTransaction, policy: &FairPolicy) -> Result<Scrubbed, StoreError> {
    let found = snapshot::committed(transaction)?;
    let meta = transaction.open_table(META).map_err(fault)?;
    let now = StoreTime(meta.get(TIME_KEY).map_err(fault)?.map_or(0, |guard| guard.value()));
    let differences = differences(&found, &Shares::Compared { policy, now });
    Ok(Scrubbed::of(&differences, found.tasks.len(), true))
}

/// Writes whatever differs as it should be.
pub(super) fn repair(tables: &mut Tables<'_>) -> Result<Scrubbed, StoreError> {
    let found = snapshot::within(tables)?;
    let differences = differences(&found, &Shares::Compared { policy: tables.policy, now: tables.now });
    for Difference { row, is } in &differences {
        match is {
            Is::LeftOver => tables.remove_row(row)?,
            Is::Missing | Is::Different(_) => tables.write_row(row)?,
        }
    }
    let scrubbed = Scrubbed::of(&differences, found.tasks.len(), true);
    Ok(Scrubbed { repaired: scrubbed.found > 0, ..scrubbed })
}

impl Tables<'_> {
    pub(super) fn write_row(&mut self, row: &Row) -> Result<(), StoreError> {
        self.dirty = true;
        match row {
            Row::Queue(row, id) => {
                let lane = row.lane.text();
                let key = (lane.as_str(), row.owner.as_str(), row.rank, row.number);
                drop(self.queue.insert(key, id.to_bytes()).map_err(fault)?);
            }
            Row::Lease(time, id) => drop(self.leases.insert((time.0, id.to_bytes()), ()).map_err(fault)?),
            Row::Held(worker, id) => {
                drop(self.held.insert((worker.as_str(), id.to_bytes()), ()).map_err(fault)?);
            }
            Row::Ended(time, id) => drop(self.ended.insert((time.0, id.to_bytes()), ()).map_err(fault)?),
            Row::Due(time, id) => drop(self.due.insert((time.0, id.to_bytes()), ()).map_err(fault)?),
            Row::Listing(row, id) => {
                drop(self.listings.insert(listing_key(row), id.to_bytes()).map_err(fault)?);
            }
            Row::Name(owner, name, id) => {
                let (tenant, user) = owner_names(owner);
                let key = (tenant, user, name.as_str());
                drop(self.people_by_name.insert(key, id.to_bytes()).map_err(fault)?);
            }
            Row::WorkerByAge(time, id) => {
                drop(self.workers_by_age.insert((time.0, id.as_str()), ()).map_err(fault)?);
            }
            Row::Waiting(party, lane, waiting) => {
                let row = (waiting.tasks, waiting.cost);
                drop(self.waiting.insert((party.as_str(), lane.text().as_str()), row).map_err(fault)?);
            }
            Row::InFlight(party, count) => {
                drop(self.in_flight.insert(party.as_str(), count).map_err(fault)?);
            }
            Row::Node(key, node) => {
                let fair::Node { virtual_time, floor, standing, idle_since } = node;
                let row = (*virtual_time, *floor, standing.digit(), idle_since.0);
                drop(self.nodes.insert(key.as_str(), row).map_err(fault)?);
            }
            Row::Turn(parent, time, name) => {
                drop(self.turns.insert((parent.as_str(), *time, name.as_str()), ()).map_err(fault)?);
            }
            Row::Idle(time, key) => drop(self.idle.insert((time.0, key.as_str()), ()).map_err(fault)?),
            Row::KeptBack(key) => drop(self.kept_back.insert(key.as_str(), ()).map_err(fault)?),
            // the tables of people and workers are in order themselves
            Row::NameInOrder(..) | Row::WorkerInOrder(..) => {}
        }
        Ok(())
    }

    pub(super) fn remove_row(&mut self, row: &Row) -> Result<(), StoreError> {
        self.dirty = true;
        match row {
            Row::Queue(row, _) => {
                let lane = row.lane.text();
                let key = (lane.as_str(), row.owner.as_str(), row.rank, row.number);
                drop(self.queue.remove(key).map_err(fault)?);
            }
            Row::Lease(time, id) => drop(self.leases.remove((time.0, id.to_bytes())).map_err(fault)?),
            Row::Held(worker, id) => {
                drop(self.held.remove((worker.as_str(), id.to_bytes())).map_err(fault)?);
            }
            Row::Ended(time, id) => drop(self.ended.remove((time.0, id.to_bytes())).map_err(fault)?),
            Row::Due(time, id) => drop(self.due.remove((time.0, id.to_bytes())).map_err(fault)?),
            Row::Listing(row, _) => drop(self.listings.remove(listing_key(row)).map_err(fault)?),
            Row::Name(owner, name, _) => {
                let (tenant, user) = owner_names(owner);
                drop(self.people_by_name.remove((tenant, user, name.as_str())).map_err(fault)?);
            }
            Row::WorkerByAge(time, id) => {
                drop(self.workers_by_age.remove((time.0, id.as_str())).map_err(fault)?);
            }
            Row::Waiting(party, lane, _) => {
                drop(self.waiting.remove((party.as_str(), lane.text().as_str())).map_err(fault)?);
            }
            Row::InFlight(party, _) => drop(self.in_flight.remove(party.as_str()).map_err(fault)?),
            Row::Node(key, _) => drop(self.nodes.remove(key.as_str()).map_err(fault)?),
            Row::Turn(parent, time, name) => {
                drop(self.turns.remove((parent.as_str(), *time, name.as_str())).map_err(fault)?);
            }
            Row::Idle(time, key) => drop(self.idle.remove((time.0, key.as_str())).map_err(fault)?),
            Row::KeptBack(key) => drop(self.kept_back.remove(key.as_str()).map_err(fault)?),
            Row::NameInOrder(..) | Row::WorkerInOrder(..) => {}
        }
        Ok(())
    }
}

fn listing_key(row: &ListingRow) -> (&str, &str, u8, u8, u64) {
    (&row.tenant, &row.user, row.kind, row.state, row.number)
}

/// Tenant and user of an owner's key.
fn owner_names(owner: &str) -> (&str, &str) {
    owner.split_once('/').unwrap_or((owner, ""))
}
