//! One random life on two stores: after each step they must be in the same state.

use std::collections::BTreeMap;

use likeness_shared::ids::PersonId;

use super::random::{Life, Step};
use super::*;
use crate::store::indexes::{ListingRow, WaitingRow};
use crate::store::invariants::Snapshot;
use crate::store::record::{PersonRecord, State, TaskRecord};

/// Lives the same life on two stores: after each step they must not differ but in what is random.
pub(in crate::store) async fn live(model: &dyn Bench, bench: &dyn Bench, steps: Vec<Step>) {
    let (mut expected, mut life) = (Life::begin(model).await, Life::begin(bench).await);
    let (mut expected_names, mut names) = (Names::default(), Names::default());
    for step in steps {
        expected.take(step.clone()).await;
        expected.check(&step).await;
        life.take(step.clone()).await;
        life.check(&step).await;
        let (wanted, found) = (expected_names.apply(&expected.before), names.apply(&life.before));
        assert_eq!(found, wanted, "the stores differ after {step:?}");
    }
    expected.end().await;
    life.end().await;
}

/// Replaces ids, which are random, by numbers in the order of their making.
#[derive(Default)]
struct Names {
    people: BTreeMap<PersonId, u64>,
}

impl Names {
    fn apply(&mut self, snapshot: &Snapshot) -> Snapshot {
        // one step makes one person at most
        for id in snapshot.people.keys() {
            let next = self.people.len() as u64 + 1;
            self.people.entry(*id).or_insert(next);
        }
        let task = |id: &TaskId| TaskId::from_bytes(u128::from(snapshot.tasks[id].number).to_be_bytes());
        let person = |id: &PersonId| PersonId::from_bytes(u128::from(self.people[id]).to_be_bytes());
        let renamed = |record: &TaskRecord| {
            let mut record = TaskRecord { id: task(&record.id), ..record.clone() };
            if let Spec::Generation(spec) = &mut record.spec {
                for binding in &mut spec.people {
                    binding.person_id = person(&binding.person_id.parse().unwrap()).to_string();
                }
            }
            if let State::Failed(failure) = &mut record.state
                && failure.code == "person_gone"
            {
                // the message names the person
                failure.message.clear();
            }
            if let State::Succeeded(Outcome::Inversion(result)) = &mut record.state {
                result.person_id = person(&result.person_id.parse().unwrap()).to_string();
            }
            (record.id, record)
        };
        let timed = |(time, id): &(_, TaskId)| (*time, task(id));
        Snapshot {
            tasks: snapshot.tasks.values().map(renamed).collect(),
            checkpoints: snapshot.checkpoints.iter().map(task).collect(),
            people: snapshot
                .people
                .iter()
                .map(|(id, record)| {
                    let learned_by = record.task.as_ref().map(task);
                    (person(id), PersonRecord { id: person(id), task: learned_by, ..record.clone() })
                })
                .collect(),
            queue: snapshot.queue.iter().map(|(row, id): &(WaitingRow, _)| (row.clone(), task(id))).collect(),
            leases: snapshot.leases.iter().map(timed).collect(),
            held: snapshot.held.iter().map(|(worker, id)| (worker.clone(), task(id))).collect(),
            ended: snapshot.ended.iter().map(timed).collect(),
            due: snapshot.due.iter().map(timed).collect(),
            listings: snapshot
                .listings
                .iter()
                .map(|(row, id): &(ListingRow, _)| (row.clone(), task(id)))
                .collect(),
            names: snapshot
                .names
                .iter()
                .map(|(owner, name, id)| (owner.clone(), name.clone(), person(id)))
                .collect(),
            workers: snapshot
                .workers
                .iter()
                .map(|(id, (record, totals))| {
                    let mut record = record.clone();
                    for suspicion in &mut record.suspicions {
                        suspicion.task = task(&suspicion.task);
                    }
                    (id.clone(), (record, *totals))
                })
                .collect(),
            ..snapshot.clone()
        }
    }
}
