//! A cache that is there already: made by another program, read-only, damaged, out of reach of any hub.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

use likeness_hub::ModelSource;
use support::server::{COMMIT, Faults, etag_of, sha256_of};
use support::{Scene, WEIGHTS, model};

/// Lays a model into the cache as the hub's own programs do.
fn lay_out(scene: &Scene, files: &BTreeMap<String, Vec<u8>>) {
    let (blobs, snapshot) = (scene.repository("blobs"), scene.repository("snapshots").join(COMMIT));
    std::fs::create_dir_all(&blobs).unwrap();
    for (name, bytes) in files {
        let etag = etag_of(name, bytes);
        std::fs::write(blobs.join(&etag), bytes).unwrap();
        let link = snapshot.join(name);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        let up = "../".repeat(1 + name.split('/').count());
        symlink(format!("{up}blobs/{etag}"), link).unwrap();
    }
    std::fs::create_dir_all(scene.repository("refs")).unwrap();
    std::fs::write(scene.repository("refs/main"), COMMIT).unwrap();
}

/// Every path under a folder with its length and time: what a write would change.
fn state_of(folder: &Path) -> BTreeMap<String, (u64, SystemTime)> {
    let mut state = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let there = path.symlink_metadata().unwrap();
            if there.is_dir() {
                folders.push(path.clone());
            }
            state.insert(path.display().to_string(), (there.len(), there.modified().unwrap()));
        }
    }
    state
}

#[tokio::test]
async fn what_another_program_has_fetched_is_used() {
    let scene = Scene::new();
    lay_out(&scene, &model());
    let snapshot = scene.repository("snapshots").join(COMMIT);
    assert_eq!(scene.offline("acme/tiny").await.unwrap(), snapshot);
    assert_eq!(scene.offline(&format!("acme/tiny@{COMMIT}")).await.unwrap(), snapshot);
    assert_eq!(scene.resolve("acme/tiny").await.unwrap(), snapshot);
    assert_eq!(scene.server.take_downloads(), []);
}

#[tokio::test]
async fn a_part_of_it_is_made_whole() {
    let scene = Scene::new();
    let mut files = model();
    files.remove(WEIGHTS[2]);
    files.remove("tokenizer/special_tokens_map.json");
    lay_out(&scene, &files);
    let error = scene.offline("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains(WEIGHTS[2]) && !error.contains(WEIGHTS[1]), "{error}");
    let folder = scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(scene.server.take_downloads(), [None]);
    assert!(folder.join("tokenizer/special_tokens_map.json").is_file());
}

#[tokio::test]
async fn a_cache_that_is_only_read_works_with_and_without_what_was_noted() {
    let scene = Scene::new();
    lay_out(&scene, &model());
    // In place of the folder for notes, so that not even an administrator can write any.
    std::fs::write(scene.repository("likeness"), "").unwrap();
    let before = state_of(&scene.cache());
    scene.offline("acme/tiny").await.unwrap();
    assert_eq!(state_of(&scene.cache()), before);

    std::fs::remove_file(scene.repository("likeness")).unwrap();
    scene.resolve("acme/tiny").await.unwrap();
    let before = state_of(&scene.cache());
    scene.offline("acme/tiny").await.unwrap();
    scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(state_of(&scene.cache()), before);
}

#[tokio::test]
async fn damage_is_found_named_and_mended() {
    let scene = Scene::new();
    let damage = |bytes: &[u8]| {
        let blob = scene.repository("blobs").join(sha256_of(&model()[WEIGHTS[1]]));
        std::fs::write(blob, bytes).unwrap();
    };
    // Of the same length, before anybody has looked at it.
    lay_out(&scene, &model());
    let mut other = model()[WEIGHTS[1]].clone();
    other[7] ^= 1;
    damage(&other);
    let error = scene.offline("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains(WEIGHTS[1]) && error.contains(&sha256_of(&other)), "{error}");
    let folder = scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(std::fs::read(folder.join(WEIGHTS[1])).unwrap(), model()[WEIGHTS[1]]);
    // Cut short after it was looked at.
    damage(&other[..1000]);
    let error = scene.offline("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains(WEIGHTS[1]) && error.contains("1000 bytes"), "{error}");
    scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(std::fs::read(folder.join(WEIGHTS[1])).unwrap(), model()[WEIGHTS[1]]);
}

#[tokio::test]
async fn offline_says_what_is_missing_where_and_what_to_do() {
    let scene = Scene::new();
    let error = scene.offline("acme/tiny").await.unwrap_err().to_string();
    let looked = scene.repository("").display().to_string();
    for word in ["acme/tiny", "all of it", looked.trim_end_matches('/'), "HF_HUB_OFFLINE", "folder"] {
        assert!(error.contains(word), "{error} lacks {word:?}");
    }
}

#[tokio::test]
async fn a_copy_serves_where_the_hub_does_not_answer_or_has_it_no_more() {
    let scene = Scene::new();
    let folder = scene.resolve("acme/tiny").await.unwrap();
    for status in [401, 403, 404, 500] {
        scene.server.set(Faults { status: Some(status), ..Faults::default() });
        assert_eq!(scene.resolve("acme/tiny").await.unwrap(), folder, "{status}");
    }
}

#[tokio::test]
async fn a_folder_needs_no_hub_and_no_cache() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().display().to_string();
    let error = scene.resolve(&text).await.unwrap_err().to_string();
    assert!(error.contains("model_index.json"), "{error}");
    std::fs::write(folder.path().join("model_index.json"), "{}").unwrap();
    assert_eq!(scene.resolve(&text).await.unwrap(), folder.path());
    let pinned = ModelSource { revision: Some("v1".into()), ..ModelSource::from(text.as_str()) };
    assert!(
        scene.resolve_source(&pinned).await.unwrap_err().to_string().contains("only for a model of a hub")
    );
    assert_eq!(scene.server.take_requests(), []);
    assert!(!scene.cache().exists());
}
