//! Bringing a model here: whole, once, over bad connections, and never with other bytes than the hub states.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use likeness_hub::{HubError, HubOptions, ModelSource, Pace, Stage, Variant};
use support::server::{COMMIT, Faults, HubServer, sha256_of};
use support::{Scene, WEIGHTS, bytes, files_under, model};

#[tokio::test]
async fn a_model_is_fetched_whole_and_only_what_a_worker_reads() {
    let scene = Scene::new();
    let (resolved, seen) = scene.resolve_with_progress("acme/tiny").await;
    let folder = resolved.unwrap();
    assert_eq!(folder, scene.repository("snapshots").join(COMMIT));
    let mut expected = model();
    for other in ["README.md", "safety_checker/model.safetensors", "unet/diffusion_pytorch_model.bin"] {
        expected.remove(other);
    }
    assert_eq!(files_under(&folder), expected);
    assert_eq!(std::fs::read_to_string(scene.repository("refs/main")).unwrap(), COMMIT);
    let weights = folder.join(WEIGHTS[0]);
    let blob = format!("../../../blobs/{}", sha256_of(&expected[WEIGHTS[0]]));
    assert_eq!(std::fs::read_link(weights).unwrap().display().to_string(), blob);

    let total = expected.values().map(|bytes| bytes.len() as u64).sum::<u64>();
    let last = seen.last().unwrap();
    assert_eq!((last.stage, last.done, last.total), (Stage::Fetching, total, total));
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done), "progress went back");

    // It is there: the branch is asked after, nothing is fetched.
    scene.server.take_requests();
    assert_eq!(scene.resolve("acme/tiny").await.unwrap(), folder);
    let asked = scene.server.take_requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].path, "/acme/tiny/resolve/main/model_index.json");
    assert_eq!(scene.offline("acme/tiny").await.unwrap(), folder);
}

#[tokio::test]
async fn a_commit_that_is_here_is_not_asked_after() {
    let scene = Scene::new();
    let name = format!("acme/tiny@{COMMIT}");
    let folder = scene.resolve(&name).await.unwrap();
    scene.server.take_requests();
    assert_eq!(scene.resolve(&name).await.unwrap(), folder);
    assert_eq!(scene.server.take_requests(), []);
    // A tag is noted under its own name.
    let tagged = ModelSource { revision: Some("v1".into()), ..ModelSource::from("acme/tiny") };
    assert_eq!(scene.resolve_source(&tagged).await.unwrap(), folder);
    assert_eq!(scene.offline("acme/tiny@v1").await.unwrap(), folder);
}

#[tokio::test]
async fn a_cut_connection_is_gone_on_from() {
    let scene = Scene::new();
    scene.server.set(Faults { cut: Some((70_000, 2)), ..Faults::default() });
    let folder = scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(std::fs::read(folder.join(WEIGHTS[0])).unwrap(), model()[WEIGHTS[0]]);
    let ranges: Vec<String> = scene.server.take_downloads().into_iter().flatten().collect();
    assert_eq!(ranges, ["bytes=70000-", "bytes=140000-"]);
}

#[tokio::test]
async fn what_a_stopped_process_left_is_gone_on_from() {
    let mut scene = Scene::new();
    scene.options.pace.attempts = 1;
    scene.server.set(Faults { cut: Some((50_000, 1)), ..Faults::default() });
    let error = scene.resolve("acme/tiny").await.unwrap_err();
    assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("HTTPS_PROXY") && !error.to_string().contains("signature"), "{error}");
    assert!(scene.offline("acme/tiny").await.is_err(), "half a model was taken for one");
    scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(scene.server.take_downloads()[0].as_deref(), Some("bytes=50000-"));
}

#[tokio::test]
async fn a_connection_that_stands_still_is_given_up() {
    let mut scene = Scene::new();
    scene.options.pace.stall = std::time::Duration::from_millis(50);
    scene.server.set(Faults { stall: Some(30_000), ..Faults::default() });
    let error = scene.resolve("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains("stands still"), "{error}");
    scene.server.set(Faults::default());
    scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(scene.server.take_downloads().len(), 3 + WEIGHTS.len());
}

#[tokio::test]
async fn a_hub_that_knows_no_ranges_sends_all_again() {
    let scene = Scene::new();
    scene.server.set(Faults { cut: Some((70_000, 1)), whole_files: true, ..Faults::default() });
    let folder = scene.resolve("acme/tiny").await.unwrap();
    assert_eq!(std::fs::read(folder.join(WEIGHTS[0])).unwrap(), model()[WEIGHTS[0]]);
}

#[tokio::test]
async fn other_bytes_than_the_hub_states_are_refused() {
    let scene = Scene::new();
    scene.server.set(Faults { corrupt: true, ..Faults::default() });
    let error = scene.resolve("acme/tiny").await.unwrap_err();
    let stated = sha256_of(&model()[WEIGHTS[0]]);
    let mut came = model()[WEIGHTS[0]].clone();
    *came.last_mut().unwrap() ^= 1;
    let text = error.to_string();
    assert!(
        text.contains(WEIGHTS[0]) && text.contains(&stated) && text.contains(&sha256_of(&came)),
        "{text}"
    );
    let blobs = files_under(&scene.repository("blobs"));
    assert!(blobs.keys().all(|name| !name.starts_with(&stated)), "{:?}", blobs.keys());
    scene.server.set(Faults::default());
    scene.resolve("acme/tiny").await.unwrap();
}

#[tokio::test]
async fn leftovers_that_do_not_fit_are_dropped() {
    let scene = Scene::new();
    let blob = scene.repository("blobs").join(sha256_of(&model()[WEIGHTS[0]]));
    std::fs::create_dir_all(blob.parent().unwrap()).unwrap();
    for leftover in [bytes(1_000, 77), bytes(900_000, 0)] {
        std::fs::write(blob.with_extension("incomplete"), leftover).unwrap();
        let folder = scene.resolve("acme/tiny").await.unwrap();
        assert_eq!(std::fs::read(folder.join(WEIGHTS[0])).unwrap(), model()[WEIGHTS[0]]);
        std::fs::remove_dir_all(scene.repository("snapshots")).unwrap();
        std::fs::remove_file(&blob).unwrap();
    }
}

#[tokio::test]
async fn two_at_once_fetch_once() {
    let scene = Scene::new();
    let (one, other) = tokio::join!(scene.resolve("acme/tiny"), scene.resolve("acme/tiny"));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(scene.server.take_downloads().len(), WEIGHTS.len());
}

#[tokio::test]
async fn a_lock_that_is_held_for_ever_is_named() {
    let mut scene = Scene::new();
    scene.options.pace.lock_within = std::time::Duration::from_millis(50);
    let lock = scene.cache().join(".locks/models--acme--tiny");
    std::fs::create_dir_all(&lock).unwrap();
    let lock = lock.join(format!("{}.lock", sha256_of(&model()[WEIGHTS[1]])));
    let held = std::fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    let error = scene.resolve("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains(&lock.display().to_string()) && error.contains(WEIGHTS[1]), "{error}");
}

#[tokio::test]
async fn rounded_weights_are_fetched_where_they_are_asked_for_or_alone() {
    let mut files = model();
    for (index, name) in WEIGHTS.into_iter().enumerate() {
        files.insert(name.replace(".safetensors", ".fp16.safetensors"), bytes(100_000 + index, 9));
    }
    let both = Scene::of(files.clone());
    let source = ModelSource { variant: Variant::Fp16, ..ModelSource::from("acme/tiny") };
    let folder = both.resolve_source(&source).await.unwrap();
    let rounded = |name: &str| folder.join(name.replace(".safetensors", ".fp16.safetensors"));
    assert!(WEIGHTS.iter().all(|name| rounded(name).is_file() && !folder.join(name).exists()));
    // The full ones come beside them, and then nothing is left to fetch for either.
    both.resolve("acme/tiny").await.unwrap();
    assert!(WEIGHTS.iter().all(|name| folder.join(name).is_file()));
    both.server.take_requests();
    both.resolve_source(&source).await.unwrap();
    assert_eq!(both.server.take_requests().len(), 1);

    files.retain(|name, _| !WEIGHTS.contains(&name.as_str()));
    let alone = Scene::of(files);
    let folder = alone.resolve("acme/tiny").await.unwrap();
    assert!(WEIGHTS.iter().all(|name| !folder.join(name).exists()));
    assert_eq!(alone.offline("acme/tiny").await.unwrap(), folder);
}

#[tokio::test]
async fn tokens_go_to_the_hub_and_nowhere_else() {
    let mut scene = Scene::new();
    scene.server.set(Faults { token: Some("hf_secret".into()), ..Faults::default() });
    let error = scene.resolve("acme/tiny").await.unwrap_err().to_string();
    for word in ["acme/tiny", "private or gated", "HF_TOKEN", "none is set"] {
        assert!(error.contains(word), "{error} lacks {word:?}");
    }
    scene.options = scene.options.clone().with_token("hf_wrong");
    let error = scene.resolve("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains("was sent") && !error.contains("hf_wrong"), "{error}");
    scene.server.take_requests();
    scene.options = scene.options.clone().with_token("hf_secret");
    scene.resolve("acme/tiny").await.unwrap();
    let requests = scene.server.take_requests();
    assert!(requests.iter().any(|request| request.is_for_weights));
    for request in requests {
        assert_eq!(request.authorization.is_some(), !request.is_for_weights, "{request:?}");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let scene = Scene::new();
    scene.server.set(Faults { status: Some(403), ..Faults::default() });
    let error = scene.resolve("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains("accept its conditions"), "{error}");
    scene.server.set(Faults { status: Some(503), ..Faults::default() });
    let error = scene.resolve("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("local folder"), "{error}");
    assert_eq!(scene.server.take_requests().len(), 1 + 3, "tries");
    scene.server.set(Faults::default());
    for name in ["acme/other", "acme/tiny@v7"] {
        let error = scene.resolve(name).await.unwrap_err().to_string();
        for word in ["acme/", "revision", "model_index.json", "a folder is meant"] {
            assert!(error.contains(word), "{error} lacks {word:?}");
        }
    }
    let mut files = model();
    files.remove(WEIGHTS[1]);
    files.remove("vae/config.json");
    let lacking = Scene::of(files);
    let error = lacking.resolve("acme/tiny").await.unwrap_err().to_string();
    assert!(error.contains(WEIGHTS[1]) && error.contains("vae/config.json"), "{error}");
    assert_eq!(lacking.server.take_downloads(), [], "it fetched what it could not use");
}

#[tokio::test]
async fn a_hub_that_is_away_is_named_with_the_way_out() {
    let endpoint = HubServer::start(model()).endpoint();
    let folder = tempfile::tempdir().unwrap();
    let mut options = HubOptions::new(folder.path().to_path_buf(), &endpoint);
    options.pace = Pace { attempts: 2, first_pause: std::time::Duration::from_millis(1), ..Pace::default() };
    let error =
        likeness_hub::resolve(&"acme/tiny".into(), &options, &mut |_| ()).await.unwrap_err().to_string();
    assert!(error.contains(&endpoint) && error.contains("HF_ENDPOINT"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_at_the_same_hub_alone() {
    let scene = Scene::new();
    let folder = scene.resolve("acme/old").await.unwrap();
    assert_eq!(std::fs::read(folder.join(WEIGHTS[0])).unwrap(), model()[WEIGHTS[0]]);
    let error = scene.resolve("acme/elsewhere").await.unwrap_err().to_string();
    assert!(error.contains("commit, etag and size") && error.contains("HF_ENDPOINT"), "{error}");
}
