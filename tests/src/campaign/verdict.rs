//! The end of a campaign: every acknowledged task has ended once, as it must; there are no others; results show no
//! step lost or made twice; and the store is in order.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use likeness_shared::ids::TaskId;
use likeness_shared::proto::{ListTasksRequest, Task, TaskState, task};

use super::Plan;
use super::arena::Arena;
use super::load::{Book, Load};
use crate::asking::Asking;
use crate::binaries;

/// Lost attempts, on two workers or more, after which a task is rightly suspected.
const SUSPECTED: u32 = 3;

/// Holds the end against what must be.
///
/// # Panics
/// With the seed and all that is wrong.
pub(super) fn give(plan: Plan, mut arena: Arena, load: Load) {
    let book = load.finish();
    let asking = Asking::connect(&arena.servers());
    let listed = everything(&asking);
    drop(asking);
    arena.stop();
    let mut wrong = of_tasks(&book, &listed);
    wrong.extend(of_results(&book, &listed));
    wrong.extend(of_store(&arena.store_url(), &listed));
    assert!(wrong.is_empty(), "seed {}, {} faults: {wrong:#?}", plan.seed, plan.faults);
    let attempts: u32 = listed.values().filter_map(|task| Some(task.attempts.as_ref()?.started)).sum();
    println!(
        "campaign: seed {}, {} faults: {} tasks, {attempts} attempts, nothing lost, doubled or in disorder",
        plan.seed,
        plan.faults,
        listed.len()
    );
}

/// Every task of the load's tenant.
fn everything(asking: &Asking) -> HashMap<TaskId, Task> {
    let mut tasks = HashMap::new();
    let mut page_token = String::new();
    loop {
        let request = ListTasksRequest {
            tenant: "faults".to_owned(),
            page_size: 1000,
            page_token,
            ..ListTasksRequest::default()
        };
        let page = asking.block_on(asking.client.list_tasks(request)).expect("tasks can be listed");
        tasks.extend(page.tasks.into_iter().map(|task| (task.id.parse().expect("a task's id"), task)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return tasks;
        }
    }
}

fn of_tasks(book: &Book, listed: &HashMap<TaskId, Task>) -> Vec<String> {
    let mut wrong = Vec::new();
    for id in book.acknowledged.keys() {
        match (listed.get(id), book.ended.get(id)) {
            (None, _) => wrong.push(format!("acknowledged task {id} is lost")),
            (Some(task), _) if !ended_well(task) => {
                wrong.push(format!("task {id} ended as {:?}: {:?}", task.state(), task.last_errors));
            }
            (Some(task), Some(seen)) if task != seen => {
                wrong.push(format!("task {id} changed after its end: {seen:?} to {task:?}"));
            }
            (Some(_), None) => wrong.push(format!("nobody was told of the end of task {id}")),
            (Some(_), Some(_)) => {}
        }
    }
    let unasked = listed.keys().filter(|id| !book.acknowledged.contains_key(id));
    wrong.extend(unasked.map(|id| format!("nobody was told of task {id}: a submit has made two")));
    wrong
}

/// As a success, or as suspected of what the campaign did to its workers.
fn ended_well(task: &Task) -> bool {
    let lost = task.attempts.as_ref().map_or(0, |attempts| attempts.infrastructure_failures);
    match task.state() {
        TaskState::Succeeded => true,
        TaskState::Quarantined => {
            println!("campaign: task {} was lost {lost} times and is quarantined, as the rule is", task.id);
            lost >= SUSPECTED
        }
        _ => false,
    }
}

/// Inversions of equal steps have learned the same person, however often they were moved.
fn of_results(book: &Book, listed: &HashMap<TaskId, Task>) -> Vec<String> {
    let mut results: HashMap<u32, HashSet<&str>> = HashMap::new();
    for (id, steps) in &book.acknowledged {
        let outcome = listed.get(id).and_then(|task| task.outcome.as_ref());
        if let (Some(steps), Some(task::Outcome::InversionResult(result))) = (steps, outcome) {
            results.entry(*steps).or_default().insert(&result.artifact_digest);
        }
    }
    let differ = results.into_iter().filter(|(_, digests)| digests.len() > 1);
    differ.map(|(steps, digests)| format!("inversions of {steps} steps learned {digests:?}")).collect()
}

/// The coordinator's own check finds the same tasks, and nothing wrong.
fn of_store(url: &str, listed: &HashMap<TaskId, Task>) -> Option<String> {
    let checked = Command::new(binaries::path("likeness-coordinator"))
        .args(["check", "--store", url])
        .output()
        .expect("the check can be started");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let succeeded = listed.values().filter(|task| task.state() == TaskState::Succeeded).count();
    let expected = format!("{} {succeeded}\n", TaskState::Succeeded.as_str_name());
    let in_order = checked.status.success() && said(&checked.stdout).contains(&expected);
    (!in_order).then(|| format!("{} {}", said(&checked.stdout), said(&checked.stderr)))
}
