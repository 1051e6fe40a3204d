//! Reads what a step wants, all of it in one exchange (two where a worker's tasks must be found first).

use std::collections::BTreeSet;

use likeness_shared::ids::WorkerId;
use redis::{FromRedisValue, Pipeline, Value};

use super::clock::Times;
use super::faults::unreadable;
use super::history::{Facts, Seen};
use super::keys::{Keys, read_task_id, read_waiting};
use super::link::{Exchange, Link};
use super::step::{AHEAD, GENERATION, Known, ReadTask, ReadWorker, Step, Want};
use crate::store::record::StoreTime;
use crate::store::{StoreError, codec};

/// Newest time, how far the clock is put forward, identity, generation, until when nothing is leased.
type Whole = (Option<u64>, Option<u64>, Option<Vec<u8>>, Option<u64>, Option<u64>);

/// Reads everything in `wants` into the step, and what there is to know of the store as a whole.
pub(super) async fn load(
    link: &Link,
    keys: &Keys,
    step: &mut Step<'_>,
    seen: &Seen,
    mut wants: BTreeSet<Want>,
) -> Result<Facts, StoreError> {
    let workers: Vec<WorkerId> = wants
        .iter()
        .filter_map(|want| match want {
            Want::Held(worker) => Some(worker.clone()),
            _ => None,
        })
        .collect();
    for worker in workers {
        let held = held_by(link, keys, &worker).await?;
        wants.extend(held.iter().map(|id| Want::Task(*id)));
        step.known.held.insert(worker, held);
    }
    let mut pipeline = redis::pipe();
    pipeline.cmd("TIME").cmd("HMGET").arg(keys.meta()).arg("time").arg(AHEAD);
    pipeline.arg("identity").arg(GENERATION).arg("recovering");
    pipeline.cmd("GET").arg(keys.commits_of(&seen.counter));
    for want in &wants {
        ask(&mut pipeline, keys, want);
    }
    let mut answers = values(link.ask(Exchange::Commands(&pipeline)).await?)?.into_iter();
    let mut next = || answers.next().ok_or_else(|| unreadable("it is too short"));
    let (seconds, microseconds): (u64, u64) = read(next()?)?;
    let server = StoreTime(seconds.saturating_mul(1_000_000).saturating_add(microseconds));
    let whole: Whole = read(next()?)?;
    let (newest, ahead, identity, generation, recovering) = whole;
    let commits: Option<u64> = read(next()?)?;
    let times = Times { server, newest: StoreTime(newest.unwrap_or(0)), ahead_us: ahead.unwrap_or(0) };
    let facts = Facts {
        times,
        identity: identity.unwrap_or_default(),
        generation: generation.unwrap_or(0),
        recovering: StoreTime(recovering.unwrap_or(0)),
        commits: commits.unwrap_or(0),
    };
    for want in wants {
        if !matches!(want, Want::Held(_)) {
            take(&mut step.known, want, next()?)?;
        }
    }
    Ok(facts)
}

async fn held_by(
    link: &Link,
    keys: &Keys,
    worker: &WorkerId,
) -> Result<Vec<likeness_shared::ids::TaskId>, StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("SMEMBERS").arg(keys.held(worker.as_str()));
    let members: Vec<Vec<u8>> = single(link.ask(Exchange::Commands(&pipeline)).await?)?;
    let ids: Result<BTreeSet<_>, StoreError> = members.iter().map(|member| read_task_id(member)).collect();
    Ok(ids?.into_iter().collect())
}

fn ask(pipeline: &mut Pipeline, keys: &Keys, want: &Want) {
    match want {
        Want::Task(id) => pipeline.cmd("HMGET").arg(keys.task(*id)).arg("r").arg("v"),
        Want::Checkpoint(id) => pipeline.cmd("HGET").arg(keys.task(*id)).arg("c"),
        Want::Held(_) => return,
        Want::Worker(id) => pipeline.cmd("HMGET").arg(keys.worker(id.as_str())).arg("r").arg("v"),
        Want::Person(id) => pipeline.cmd("HGET").arg(keys.people()).arg(&id.to_bytes()[..]),
        Want::Name(owner, name) => pipeline.cmd("HGET").arg(keys.names(owner)).arg(name),
        Want::Request(request) => pipeline.cmd("HGET").arg(keys.requests()).arg(request),
        Want::Costs(lane) => pipeline.cmd("HGETALL").arg(keys.costs(lane)),
        Want::Queued(party) => pipeline.cmd("HVALS").arg(keys.waiting(party)),
        Want::Number => pipeline.cmd("HINCRBY").arg(keys.meta()).arg("number").arg(1),
    };
}

fn take(known: &mut Known, want: Want, answer: Value) -> Result<(), StoreError> {
    let bytes = |answer| Ok::<_, StoreError>(read::<Option<Vec<u8>>>(answer)?.unwrap_or_default());
    match want {
        Want::Task(id) => {
            let (record, version): (Option<Vec<u8>>, Option<Vec<u8>>) = read(answer)?;
            let record = record.map(|bytes| codec::decode(&bytes)).transpose()?;
            known.tasks.insert(id, ReadTask { record, version: version.unwrap_or_default() });
        }
        Want::Checkpoint(id) => drop(known.checkpoints.insert(id, bytes(answer)?.into())),
        Want::Held(_) => {}
        Want::Worker(id) => {
            let (record, version): (Option<Vec<u8>>, Option<Vec<u8>>) = read(answer)?;
            let record = record.map(|bytes| codec::decode(&bytes)).transpose()?;
            known.workers.insert(id, ReadWorker { record, version: version.unwrap_or_default() });
        }
        Want::Person(id) => drop(known.people.insert(id, bytes(answer)?)),
        Want::Name(owner, name) => drop(known.names.insert((owner, name), bytes(answer)?)),
        Want::Request(request) => drop(known.requests.insert(request, bytes(answer)?)),
        Want::Costs(lane) => drop(known.costs.insert(lane, read(answer)?)),
        Want::Queued(party) => {
            let lanes: Vec<String> = read(answer)?;
            let waiting: Result<Vec<_>, StoreError> = lanes.iter().map(|lane| read_waiting(lane)).collect();
            known.queued.insert(party, waiting?.iter().map(|waiting| waiting.tasks).sum());
        }
        Want::Number => known.number = Some(read(answer)?),
    }
    Ok(())
}

/// An answer as what it should be.
pub(super) fn read<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    redis::from_redis_value(answer).map_err(unreadable)
}

/// The answers to a pipeline.
pub(super) fn values(answer: Value) -> Result<Vec<Value>, StoreError> {
    match answer {
        Value::Array(values) => Ok(values),
        _ => Err(unreadable("it is no list")),
    }
}

/// The answer to a pipeline of one command.
pub(super) fn single<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    let first = values(answer)?.into_iter().next();
    read(first.ok_or_else(|| unreadable("it is empty"))?)
}
