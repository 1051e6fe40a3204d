//! Indexes that a test breaks by hand: what the scrubber says of them, and that all is well once it has set them right.

use likeness_shared::ids::PersonId;

use super::*;
use crate::store::fair::{NodeKey, Place, Standing};
use crate::store::indexes::{ListingRow, WaitingRow};
use crate::store::invariants::Snapshot;
use crate::store::scrub::{Difference, Is, Row};

/// A store with something in every index: anna is at her cap with two more tasks that wait, bert waits, carl's task
/// waits for its time, and dora's has ended.
async fn busy(bench: &impl Bench) -> Arc<dyn Breakable> {
    let store = bench.open_breakable(tight_policy()).await;
    store.worker_joined(facts("w1", "first")).await.unwrap();
    store.import_person(person("anna", "aunt", "aunt")).await.unwrap();
    store.submit(generation("dora", "d1")).await.unwrap();
    let lease = store.claim(claimant("w1"), 1).await.unwrap().remove(0);
    store.settle(settlement("w1", lease.task.id, lease.fence, drawn())).await.unwrap();
    let mut delayed = generation("carl", "c1");
    delayed.times.delay = Duration::from_secs(60);
    store.submit(delayed).await.unwrap();
    for request in ["a1", "a2"] {
        store.submit(generation("anna", request)).await.unwrap();
    }
    assert_eq!(store.claim(claimant("w1"), 2).await.unwrap().len(), 2);
    for (user, request) in [("anna", "a3"), ("anna", "a4"), ("bert", "b1"), ("bert", "b2"), ("bert", "b3")] {
        store.submit(generation(user, request)).await.unwrap();
    }
    assert_nothing_differs(&*store).await;
    store
}

fn missing(row: Row) -> Difference {
    Difference { row, is: Is::Missing }
}

fn left_over(row: Row) -> Difference {
    Difference { row, is: Is::LeftOver }
}

/// The first row of each index.
fn first_rows(found: &Snapshot) -> Vec<Row> {
    let (row, id) = found.queue.first().unwrap().clone();
    let (lease, leased) = *found.leases.first().unwrap();
    let (worker, held) = found.held.first().unwrap().clone();
    let (ended, ended_task) = *found.ended.first().unwrap();
    let (due, due_task) = *found.due.first().unwrap();
    let (listing, listed) = found.listings.first().unwrap().clone();
    let (owner, name, named) = found.names.first().unwrap().clone();
    let (seen, seen_worker) = found.workers_by_age.first().unwrap().clone();
    let ((party, lane), waiting) = found.waiting.first_key_value().unwrap();
    let (holder, leases) = found.in_flight.first_key_value().unwrap();
    let (parent, time, child) = found.turns.first().unwrap().clone();
    let (since, idle) = found.idle.first().unwrap().clone();
    vec![
        Row::Queue(row, id),
        Row::Lease(lease, leased),
        Row::Held(worker, held),
        Row::Ended(ended, ended_task),
        Row::Due(due, due_task),
        Row::Listing(listing, listed),
        Row::NameInOrder(owner.clone(), name.clone()),
        Row::Name(owner, name, named),
        Row::WorkerInOrder(seen_worker.clone()),
        Row::WorkerByAge(seen, seen_worker),
        Row::Waiting(party.clone(), lane.clone(), *waiting),
        Row::InFlight(holder.clone(), *leases),
        Row::Turn(parent, time, child),
        Row::Idle(since, idle),
        Row::KeptBack(found.kept_back.first().unwrap().clone()),
    ]
}

/// The same row for something that is not there.
fn stray(row: Row) -> Row {
    let task = TaskId::from_bytes([7; 16]);
    let zoe = "acme/zoe".to_owned();
    let node = |key: NodeKey| key.split().unwrap().0.child("zoe");
    match row {
        Row::Queue(row, _) => Row::Queue(WaitingRow { number: row.number + 1000, ..row }, task),
        Row::Lease(time, _) => Row::Lease(time, task),
        Row::Held(worker, _) => Row::Held(worker, task),
        Row::Ended(time, _) => Row::Ended(time, task),
        Row::Due(time, _) => Row::Due(time, task),
        Row::Listing(row, _) => Row::Listing(ListingRow { number: row.number + 1000, ..row }, task),
        Row::Name(_, name, _) => Row::Name(zoe, name, PersonId::from_bytes([7; 16])),
        Row::NameInOrder(_, name) => Row::NameInOrder(zoe, name),
        Row::WorkerInOrder(_) => Row::WorkerInOrder(worker("w9")),
        Row::WorkerByAge(time, _) => Row::WorkerByAge(time, worker("w9")),
        Row::Waiting(_, lane, waiting) => Row::Waiting(zoe, lane, waiting),
        Row::InFlight(_, count) => Row::InFlight(zoe, count),
        Row::Node(key, known) => Row::Node(node(key), known),
        Row::Turn(parent, time, _) => Row::Turn(parent, time, "zoe".to_owned()),
        Row::Idle(time, key) => Row::Idle(time, node(key)),
        Row::KeptBack(key) => Row::KeptBack(node(key)),
    }
}

/// Counts and standings that are wrong.
fn wrong_values(found: &Snapshot) -> Vec<Difference> {
    let mut wrong = Vec::new();
    for ((party, lane), waiting) in &found.waiting {
        let mut more = *waiting;
        more.tasks += 1;
        let is = Is::Different(Row::Waiting(party.clone(), lane.clone(), more));
        wrong.push(Difference { row: Row::Waiting(party.clone(), lane.clone(), *waiting), is });
    }
    for (party, count) in &found.in_flight {
        let is = Is::Different(Row::InFlight(party.clone(), count + 1));
        wrong.push(Difference { row: Row::InFlight(party.clone(), *count), is });
    }
    for (key, node) in found.nodes.iter().filter(|(key, _)| key.depth() > 0) {
        let mut other = *node;
        other.standing =
            if node.standing == Standing::Active { Standing::KeptBack } else { Standing::Active };
        // what was idle does not become so anew
        if node.standing != Standing::Idle {
            let is = Is::Different(Row::Node(key.clone(), other));
            wrong.push(Difference { row: Row::Node(key.clone(), *node), is });
        }
    }
    wrong
}

fn damages(store: &dyn Breakable, found: &Snapshot) -> Vec<Difference> {
    let rows = first_rows(found);
    let mut damages: Vec<Difference> = rows.iter().cloned().map(missing).collect();
    damages.extend(rows.into_iter().map(stray).map(left_over));
    damages.extend(wrong_values(found));
    damages.retain(|damage| {
        store.keeps_order_apart() || !matches!(damage.row, Row::NameInOrder(..) | Row::WorkerInOrder(..))
    });
    damages
}

/// Bert is next; anna's tasks come once she is below her cap, each in the order of submission.
async fn assert_claimed_in_order(store: &dyn Breakable) {
    let prompt = |claimed: &Claimed| match &claimed.task.spec {
        Spec::Generation(spec) => spec.prompt.clone(),
        Spec::Inversion(_) => String::new(),
    };
    let first = store.claim(claimant("w1"), 9).await.unwrap();
    assert_eq!(first.iter().map(prompt).collect::<Vec<_>>(), ["b1", "b2"]);
    store.worker_lost(worker("w1"), incarnation("first"), Duration::ZERO).await.unwrap();
    let mut again = Vec::new();
    loop {
        let claimed = store.claim(claimant("w1"), 1).await.unwrap();
        let Some(lease) = claimed.first() else { break };
        store.settle(settlement("w1", lease.task.id, lease.fence, drawn())).await.unwrap();
        again.push(prompt(lease));
    }
    let of = |user: &str| again.iter().filter(|prompt| prompt.starts_with(user)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a"), ["a1", "a2", "a3", "a4"]);
    assert_eq!(of("b"), ["b1", "b2", "b3"]);
}

pub(in crate::store) async fn every_broken_index_is_reported_as_it_is_and_set_right(bench: &impl Bench) {
    let store = busy(bench).await;
    let sound = store.snapshot().await.unwrap();
    for damage in damages(&*store, &sound) {
        store.damage(std::slice::from_ref(&damage)).await;
        let broken = store.snapshot().await.unwrap();
        assert_ne!(of_snapshot(&broken), Vec::<String>::new(), "nothing is wrong after {damage}");
        let said = store.scrub(true).await.unwrap();
        assert_eq!(said.differences, [damage.to_string()]);
        assert!(!said.repaired && said.shares_compared, "{said:?}");
        assert_eq!(said.tasks, u64::try_from(sound.tasks.len()).unwrap());
        assert!(store.snapshot().await.unwrap() == broken, "a dry run changed something after {damage}");
        let repaired = store.scrub(false).await.unwrap();
        assert!(repaired.repaired, "not repaired: {damage}");
        assert_eq!(repaired.differences, said.differences);
        let after = store.snapshot().await.unwrap();
        assert_eq!(of_snapshot(&after), Vec::<String>::new(), "after the repair of {damage}");
        assert!(after == sound, "another state than before {damage}");
        assert_nothing_differs(&*store).await;
    }
    assert_claimed_in_order(&*store).await;
    assert_nothing_differs(&*store).await;
}

pub(in crate::store) async fn what_is_broken_all_at_once_is_set_right_at_once(bench: &impl Bench) {
    let store = busy(bench).await;
    let sound = store.snapshot().await.unwrap();
    let mut damage = damages(&*store, &sound);
    // one row may be damaged in one way only
    let mut rows: Vec<Row> = Vec::new();
    damage.retain(|damage| {
        let is_new = !rows.contains(&damage.row);
        rows.push(damage.row.clone());
        is_new
    });
    store.damage(&damage).await;
    let mut expected: Vec<String> = damage.iter().map(ToString::to_string).collect();
    let repaired = store.scrub(false).await.unwrap();
    let mut said = repaired.differences.clone();
    expected.sort();
    said.sort();
    assert_eq!(said, expected);
    assert!(repaired.repaired);
    assert!(store.snapshot().await.unwrap() == sound, "another state than before");
    assert_claimed_in_order(&*store).await;
}

pub(in crate::store) async fn who_lost_his_place_in_the_order_gets_it_back_at_the_floor(bench: &impl Bench) {
    let store = busy(bench).await;
    let sound = store.snapshot().await.unwrap();
    let lane = generation("bert", "b1").spec.lane();
    let bert = Place { lane, tenant: "acme".to_owned(), user: "bert".to_owned() };
    let [user, tenant, class, ..] = bert.nodes();
    let mut damage = Vec::new();
    for key in [&user, &tenant, &class] {
        let (parent, name) = key.split().unwrap();
        damage.push(missing(Row::Node(key.clone(), sound.nodes[key])));
        damage.push(missing(Row::Turn(parent, sound.nodes[key].virtual_time, name.to_owned())));
    }
    store.damage(&damage).await;
    assert!(store.claim(claimant("w1"), 1).await.unwrap().is_empty(), "he cannot be found");
    let said = store.scrub(true).await.unwrap();
    let of = |index: &str| said.differences.iter().filter(|sentence| sentence.contains(index)).count();
    assert_eq!((of("index nodes lacks"), of("index turns lacks"), said.found), (3, 3, 6), "{said:?}");
    assert!(store.scrub(false).await.unwrap().repaired);
    let after = store.snapshot().await.unwrap();
    assert_eq!(of_snapshot(&after), Vec::<String>::new());
    let floor_of = |key: &NodeKey| after.nodes.get(&key.split().unwrap().0).map_or(0, |parent| parent.floor);
    assert_eq!(after.nodes[&user].virtual_time, floor_of(&user));

    // a floor is truth of its own: whoever stands below it is lifted
    let mut higher = after.nodes[&tenant];
    higher.floor += 1000;
    let is = Is::Different(Row::Node(tenant.clone(), higher));
    store.damage(&[Difference { row: Row::Node(tenant.clone(), after.nodes[&tenant]), is }]).await;
    let said = store.scrub(false).await.unwrap();
    assert!(said.repaired && said.found == 3, "the node and its turn: {said:?}");
    let lifted = store.snapshot().await.unwrap();
    assert_eq!(of_snapshot(&lifted), Vec::<String>::new());
    assert_eq!(lifted.nodes[&user].virtual_time, higher.floor);
    assert_claimed_in_order(&*store).await;
    assert_nothing_differs(&*store).await;
}
