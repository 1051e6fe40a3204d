//! Scrubbing while others work: what only looks different because it was read at different moments is not reported,
//! and what differs is set right all the same.

use likeness_shared::ids::TaskId;
use tokio::task::JoinSet;

use super::races::{assert_sound, storm, two_stores};
use super::*;
use crate::store::conformance::{assert_nothing_differs, facts, generation, person};
use crate::store::invariants::Snapshot;
use crate::store::scrub::Row;

/// Storms over tasks of two users, on both stores, until they have blown over.
fn storms(stores: &[Arc<RedisStore>; 2], tasks: &Arc<Vec<TaskId>>) -> JoinSet<usize> {
    let mut storms = JoinSet::new();
    for seed in 0..6u64 {
        let (store, tasks) = (Arc::clone(&stores[(seed % 2) as usize]), Arc::clone(tasks));
        storms.spawn(async move { storm(&store, &tasks, seed).await });
    }
    storms
}

async fn submitted(store: &RedisStore, tasks: usize) -> Arc<Vec<TaskId>> {
    let mut ids = Vec::new();
    for number in 0..tasks {
        let new = generation(&format!("u{}", number % 2), &format!("r{number}"));
        ids.push(store.submit(new).await.unwrap().task.id);
    }
    Arc::new(ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_others_change_meanwhile_is_no_difference() {
    const SCRUBS: usize = 12;
    const CALM: Duration = Duration::from_millis(150);
    let server = RedisServer::start();
    let stores = two_stores(&server).await;
    let tasks = submitted(&stores[0], 80).await;
    let mut scrubbers = JoinSet::new();
    for (number, store) in stores.iter().enumerate() {
        let store = Arc::clone(store);
        scrubbers.spawn(async move {
            for _ in 0..SCRUBS {
                let scrubbed = store.scrub(number == 0).await.unwrap();
                assert_eq!(scrubbed.differences, Vec::<String>::new());
            }
        });
    }
    let mut blowing = storms(&stores, &tasks);
    let mut more = 0;
    while !scrubbers.is_empty() {
        come_and_go(&stores, more).await;
        more += 1;
        while blowing.try_join_next().is_some() {}
        if blowing.is_empty() {
            // some looks at the shares begin or end in a calm
            tokio::time::sleep(CALM).await;
            blowing = storms(&stores, &tasks);
        }
        while let Some(scrubbed) = scrubbers.try_join_next() {
            scrubbed.unwrap();
        }
    }
    blowing.join_all().await;
    assert_sound(&stores[0]).await;
    assert_nothing_differs(&*stores[0]).await;
    assert_eq!(repairs(&stores[0]).await, 0, "nothing was repaired");
}

/// Tasks, a worker and a person come, and most of them go.
async fn come_and_go(stores: &[Arc<RedisStore>; 2], number: usize) {
    let (user, request) = (format!("u{}", number % 3), format!("more{number}"));
    let id = stores[1].submit(generation(&user, &request)).await.unwrap().task.id;
    if !number.is_multiple_of(4) {
        stores[0].request_cancel(id).await.unwrap();
    }
    stores[1].worker_joined(facts(&format!("w{}", number % 50), "first")).await.unwrap();
    let aunt = stores[0].import_person(person("u3", "aunt", &request)).await.unwrap();
    stores[1].delete_person(aunt.id).await.unwrap();
}

/// Commits that have set something right.
async fn repairs(store: &RedisStore) -> u64 {
    let counted = store.counted().await.unwrap();
    String::from_utf8(counted.repaired).unwrap().parse().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_differs_is_set_right_while_others_work() {
    let server = RedisServer::start();
    let stores = two_stores(&server).await;
    let mut delayed = generation("carl", "delayed");
    delayed.times.delay = Duration::from_secs(3600);
    let carl = stores[0].submit(delayed).await.unwrap().task.id;
    let tasks = submitted(&stores[0], 80).await;
    let damage = rows_of(&stores[0].snapshot().await.unwrap(), carl);
    let mut storms = storms(&stores, &tasks);
    stores[0].damage(&damage).await;
    let scrubbed = stores[1].scrub(false).await.unwrap();
    let mut said = scrubbed.differences.clone();
    let mut expected: Vec<String> = damage.iter().map(ToString::to_string).collect();
    said.sort();
    expected.sort();
    assert_eq!(said, expected);
    assert!(scrubbed.repaired);
    while storms.join_next().await.is_some() {}
    assert_sound(&stores[0]).await;
    assert_nothing_differs(&*stores[0]).await;
}

/// All rows that a task has in the lists and by time, as missing.
fn rows_of(snapshot: &Snapshot, task: TaskId) -> Vec<Difference> {
    let listings = snapshot.listings.iter().filter(|(_, id)| *id == task);
    let due = snapshot.due.iter().filter(|(_, id)| *id == task);
    let rows = listings.map(|(row, id)| Row::Listing(row.clone(), *id));
    let rows = rows.chain(due.map(|(time, id)| Row::Due(*time, *id)));
    rows.map(|row| Difference { row, is: Is::Missing }).collect()
}

#[tokio::test]
async fn many_rows_are_set_right_in_pieces() {
    let server = RedisServer::start();
    let [store, _other] = two_stores(&server).await;
    for number in 0..160 {
        store.submit(generation("anna", &format!("r{number}"))).await.unwrap();
    }
    let sound = store.snapshot().await.unwrap();
    let damage: Vec<Difference> = sound.tasks.keys().flat_map(|id| rows_of(&sound, *id)).collect();
    assert!(damage.len() > 1000);
    for piece in damage.chunks(400) {
        store.damage(piece).await;
    }
    let scrubbed = store.scrub(false).await.unwrap();
    assert_eq!((scrubbed.found, scrubbed.differences.len()), (1280, 1000));
    assert!(scrubbed.repaired);
    assert_eq!(repairs(&store).await, 3);
    assert!(store.snapshot().await.unwrap() == sound);
}
