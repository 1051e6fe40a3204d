//! Models by their names on a hub, with the real programs: drawn with, offline afterwards, pinned, and stopped midway.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../worker/hub/tests/support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use likeness_tests::cli::{Ended, likeness_in};
use likeness_tests::service::Service;
use likeness_tests::{binaries, world};
use nix::sys::signal::Signal;
use server::{COMMIT, Faults, HubServer};

/// For a program to load the model or to end, on a busy machine.
const SOON: Duration = Duration::from_secs(120);

/// A hub that has the shipped model as `acme/tiny`.
fn hub() -> HubServer {
    let folder = world::pocket_model();
    let mut files = BTreeMap::new();
    for part in ["", "scheduler", "text_encoder", "tokenizer", "unet", "vae"] {
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&folder).unwrap().display().to_string();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    HubServer::start(files)
}

/// What a program is told of the hub; no proxy is asked for a server of this machine.
fn environment<'a>(endpoint: &'a str, home: &'a Path) -> [(&'a str, &'a str); 5] {
    let home = home.to_str().unwrap();
    [
        ("HF_ENDPOINT", endpoint),
        ("HF_HOME", home),
        ("HF_HUB_CACHE", ""),
        ("HF_HUB_OFFLINE", "0"),
        ("NO_PROXY", "127.0.0.1"),
    ]
}

/// Two steps of a picture with a model, and the bytes of the file.
fn draw(variables: &[(&str, &str)], model: &str, more: &[&str], out: &Path) -> (Ended, Vec<u8>) {
    let mut arguments =
        vec!["generate", "--model", model, "--prompt", "a photo of human face", "--steps", "2"];
    arguments.extend(["--out", out.to_str().unwrap()]);
    arguments.extend(more);
    let ended = likeness_in(variables, &arguments);
    (ended, fs::read(out).unwrap_or_default())
}

fn start_worker(variables: &[(&str, &str)], folder: &Path, models: &str) -> Service {
    let config = folder.join("worker.toml");
    fs::write(&config, format!("coordinators = [\"http://127.0.0.1:9\"]\ndevice = \"cpu\"\n{models}"))
        .unwrap();
    let mut command = Command::new(binaries::path("likeness-worker"));
    command.arg("--config").arg(&config).env("NO_COLOR", "1").envs(variables.iter().copied());
    Service::start("worker", &mut command)
}

/// The digest in the line that says that a model is loaded.
fn digest_of(worker: &Service) -> String {
    worker.wait_for("its model", SOON, |line| {
        let (_, rest) = line.split_once("model loaded")?.1.split_once("digest=")?;
        rest.split_whitespace().next().map(str::to_owned)
    })
}

#[test]
fn a_name_draws_as_the_folder_does_and_offline_afterwards() {
    let (hub, folder) = (hub(), tempfile::tempdir().unwrap());
    let (endpoint, out) = (hub.endpoint(), folder.path().join("a.png"));
    let variables = environment(&endpoint, folder.path());
    let (here, expected) = draw(&[], world::pocket_model().to_str().unwrap(), &[], &out);
    here.expect(0, &[]);

    let (ended, picture) = draw(&variables, "acme/tiny", &[], &out);
    ended.expect(0, &["acme/tiny: fetching", "acme/tiny: in "]);
    assert!(picture == expected, "another picture");
    assert!(folder.path().join("hub/models--acme--tiny/refs/main").is_file());

    hub.take_requests();
    fs::remove_file(&out).unwrap();
    let (ended, picture) = draw(&variables, "acme/tiny", &["--offline"], &out);
    ended.expect(0, &[]);
    assert!(picture == expected, "another picture");
    assert_eq!(hub.take_requests(), []);

    let (ended, _) = draw(&variables, "acme/none", &["--offline"], &out);
    ended.expect(1, &["acme/none", "HF_HUB_OFFLINE"]);
    let (ended, _) = draw(&variables, "acme/none", &[], &out);
    ended.expect(1, &["acme/none", &endpoint, "check owner, name and revision"]);
    let up = [
        "up",
        "--data",
        folder.path().to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--model",
        "m=acme/none",
    ];
    likeness_in(&variables, &up).expect(1, &["acme/none"]);
    likeness_in(&variables, &["up", "--model", "m=/no/such"]).expect(2, &["there is no folder /no/such"]);
}

#[test]
fn a_worker_fetches_what_is_pinned_and_refuses_anything_else() {
    let (hub, folder) = (hub(), tempfile::tempdir().unwrap());
    let endpoint = hub.endpoint();
    let variables = environment(&endpoint, folder.path());
    let cache = format!("model_cache = {:?}\n", folder.path().join("models"));
    let table = |digest: &str| {
        format!(
            "{cache}[models.tiny]\nsource = \"acme/tiny\"\nrevision = \"{COMMIT}\"\ndigest = \"{digest}\"\n"
        )
    };
    let mut worker =
        start_worker(&variables, folder.path(), &format!("{cache}[models]\ntiny = \"acme/tiny@v1\"\n"));
    let digest = digest_of(&worker);
    worker.signal(Signal::SIGTERM);
    assert!(worker.exit(SOON).success());
    assert!(folder.path().join("models/models--acme--tiny/refs/v1").is_file());

    hub.take_requests();
    let pinned = start_worker(&variables, folder.path(), &table(&digest));
    assert_eq!(digest_of(&pinned), digest);
    assert_eq!(hub.take_requests(), [], "a commit that is here was asked after");
    drop(pinned);

    let other = "0f".repeat(32);
    let mut refused = start_worker(&variables, folder.path(), &table(&other));
    assert_eq!(refused.exit(SOON).code(), Some(1));
    let said = refused.lines().join("\n");
    assert!(said.contains(&digest) && said.contains(&other), "{said}");
}

#[test]
fn a_worker_that_fetches_is_stopped_at_once_and_goes_on_where_it_was() {
    let (hub, folder) = (hub(), tempfile::tempdir().unwrap());
    let endpoint = hub.endpoint();
    let variables = environment(&endpoint, folder.path());
    hub.set(Faults { stall: Some(3_000_000), ..Faults::default() });
    let mut worker = start_worker(&variables, folder.path(), "[models]\ntiny = \"acme/tiny\"\n");
    let blobs = folder.path().join("hub/models--acme--tiny/blobs");
    let deadline = Instant::now() + SOON;
    let partial = || {
        let entries = fs::read_dir(&blobs).into_iter().flatten().filter_map(Result::ok);
        let mut partial =
            entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "incomplete"));
        partial.find_map(|entry| entry.metadata().ok()).map_or(0, |there| there.len())
    };
    while partial() == 0 {
        assert!(Instant::now() < deadline, "nothing came: {:?}", worker.lines());
        std::thread::yield_now();
    }
    worker.signal(Signal::SIGTERM);
    assert!(worker.exit(Duration::from_secs(20)).success());

    hub.set(Faults::default());
    hub.take_requests();
    let worker = start_worker(&variables, folder.path(), "[models]\ntiny = \"acme/tiny\"\n");
    digest_of(&worker);
    let first = hub.take_downloads().remove(0);
    assert!(
        first.as_deref().is_some_and(|range| range.starts_with("bytes=") && range != "bytes=0-"),
        "{first:?}"
    );
}
