//! The whole path through `likeness up`: photos of a shipped person in, a picture and three kinds of file out.

#![allow(clippy::unwrap_used, reason = "a failed expectation is how a test speaks")]

use std::fs;
use std::path::Path;

use likeness_shared::ids::Digest;
use likeness_tests::cli::{self, Ended};
use likeness_tests::fleet::{START, WORK, in_state, trained};
use likeness_tests::service::Service;
use likeness_tests::world;
use nix::sys::signal::Signal;

fn up(data: &Path) -> (Service, String) {
    let data = data.display().to_string();
    let service = cli::start("up", &["up", "--data", &data, "--listen", "127.0.0.1:0"]);
    let address =
        service.wait_for("its address", START, |line| line.starts_with("http://").then(|| line.to_owned()));
    (service, address)
}

#[test]
fn photos_in_pictures_out() {
    let data = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name).display().to_string();
    let (mut service, address) = up(data.path());
    let run = |arguments: &[&str]| -> Ended {
        let mut all = vec!["--server", &address, "-o", "json"];
        all.extend(arguments);
        cli::likeness(&all)
    };

    let photos: Vec<String> =
        world::photos("person-05").iter().map(|path| path.display().to_string()).collect();
    let (seen, every) = (path("seen"), ["--preview-every", "20"]);
    let mut arguments = vec!["invert", "--name", "ann", "--consent", "--steps", "60", "--batch", "2"];
    arguments.extend(["--previews", &seen].into_iter().chain(every));
    arguments.extend(photos.iter().map(String::as_str));
    let learned = run(&arguments).expect(0, &["photos: 8 uploaded", "ann: succeeded"]).json();
    let task = learned["task"]["id"].as_str().unwrap();
    assert_eq!(learned["task"]["state"], "succeeded");
    assert!(!pixels(&format!("{seen}/step-00020.png")).is_empty());

    let people = run(&["people", "ls"]).expect(0, &[]).json();
    assert_eq!(people[0]["name"], "ann");
    assert_eq!(people[0]["task_id"], task);
    assert_eq!(run(&["people", "get", "ann"]).expect(0, &[]).json()["id"], people[0]["id"]);

    // A picture through the fleet, and the same one drawn here with the exported file, are the same pixels.
    let prompt = "a photo of sks smiling";
    let picture = path("fleet.png");
    let drawn = run(&[
        "generate", "--person", "ann", "--prompt", prompt, "--steps", "4", "--seed", "3", "--out", &picture,
    ]);
    assert_eq!(drawn.expect(0, &[]).json()["task"]["generation_result"]["pictures"][0]["seed"], 3);
    let model = world::pocket_model().display().to_string();
    for (format, file) in
        [("diffusers", "ann.safetensors"), ("kohya", "ann-kohya.safetensors"), ("a1111", "ann.pt")]
    {
        let file = path(file);
        run(&["people", "export", "ann", "--format", format, "--out", &file]).expect(0, &[]);
        let local = path(&format!("{format}.png"));
        let arguments = [
            "generate",
            "--model",
            &model,
            "--embedding",
            &file,
            "--embedding-token",
            "sks",
            "--prompt",
            prompt,
        ];
        let mut arguments = arguments.to_vec();
        arguments.extend(["--steps", "4", "--seed", "3", "--out", &local]);
        cli::likeness(&arguments).expect(0, &[]);
        assert_eq!(pixels(&picture), pixels(&local), "{format}");
        run(&["people", "import", &file, "--name", &format!("ann-{format}"), "--placeholder", "zwx"])
            .expect(0, &[]);
    }
    drawn_over_a_photo_through_the_fleet_and_here(&run, &photos[0], out.path());

    let words = String::from_utf8_lossy(&fs::read(&picture).unwrap()).into_owned();
    for word in [prompt, "seed", "sampler", "model_digest"] {
        assert!(words.contains(word), "the PNG does not say {word:?}");
    }
    assert_eq!(run(&["people", "ls"]).json().as_array().unwrap().len(), 4);
    run(&["people", "delete", "ann"]).expect(0, &["forgotten"]);
    run(&["people", "get", "ann"]).expect(4, &["ann"]);

    let watch = cli::start("task watch", &["--server", &address, "-o", "json", "task", "watch", task]);
    watch.wait_for("the end", WORK, |line| in_state(line, "succeeded"));
    run(&["task", "get", "01JD3W6F0ZQ4T8X6G2R5K9M1NB"]).expect(4, &["01JD3W6F0ZQ4T8X6G2R5K9M1NB"]);
    assert_eq!(run(&["task", "ls", "--kind", "inversion"]).json().as_array().unwrap().len(), 1);

    corrupt_photos_fail_the_task(&run, out.path());
    a_likeness_is_scored_by_the_networks_of_the_pocket_world(&run, &photos, out.path());

    service.signal(Signal::SIGTERM);
    let status = service.exit(WORK);
    assert!(status.success(), "{status}: {:?}", service.lines());
}

#[test]
fn what_runs_when_the_fleet_stops_goes_on_when_it_starts_again() {
    let data = tempfile::tempdir().unwrap();
    let (mut service, address) = up(data.path());
    let photos: Vec<String> =
        world::photos("person-05").iter().map(|path| path.display().to_string()).collect();
    let mut arguments =
        vec!["--server", &address, "-o", "json", "invert", "--no-wait", "--name", "ann", "--consent"];
    arguments.extend(["--steps", "120", "--batch", "2"]);
    arguments.extend(photos.iter().map(String::as_str));
    let submitted = cli::likeness(&arguments).expect(0, &[]).json();
    let task = submitted["task"]["id"].as_str().unwrap();
    let watch = cli::start("task watch", &["--server", &address, "-o", "json", "task", "watch", task]);
    watch.wait_for("some training", START, |line| trained(line, 5));
    service.signal(Signal::SIGTERM);
    let status = service.exit(WORK);
    assert!(status.success(), "{status}");

    let (_service, address) = up(data.path());
    let watch = cli::start("task watch", &["--server", &address, "-o", "json", "task", "watch", task]);
    let ended = watch.wait_for("the end", WORK, |line| in_state(line, "succeeded"));
    assert_eq!(ended["attempts"]["hand_backs"], 1, "{ended}");
    let first = watch.lines().iter().find_map(|line| trained(line, 0)).unwrap();
    assert!(first["progress"]["step"].as_u64().unwrap() >= 5, "it began anew: {first}");
}

/// A picture drawn over a photo is the same through the fleet and here, and says over which one.
fn drawn_over_a_photo_through_the_fleet_and_here(run: &dyn Fn(&[&str]) -> Ended, photo: &str, folder: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (fleet, local, model) =
        (path("over.png"), path("over-here.png"), world::pocket_model().display().to_string());
    let asked =
        ["--prompt", "a photo of human face", "--steps", "6", "--init-image", photo, "--strength", "0.5"];
    run(&[&["generate", "--out", &fleet], &asked[..]].concat()).expect(0, &["photos: 1 uploaded"]);
    cli::likeness(&[&["generate", "--model", &model, "--out", &local], &asked[..]].concat()).expect(0, &[]);
    assert_eq!(pixels(&fleet), pixels(&local));
    let words = String::from_utf8_lossy(&fs::read(&fleet).unwrap()).into_owned();
    let digest = Digest::of(&fs::read(photo).unwrap()).to_string();
    for word in [digest.as_str(), "init_image", "strength"] {
        assert!(words.contains(word), "the PNG does not say {word:?}");
    }

    let broken = path("broken.jpg");
    fs::write(&broken, b"\xff\xd8\xff\xe0 and then nothing that a decoder knows").unwrap();
    run(&["generate", "--prompt", "a face", "--init-image", &broken, "--out", &fleet])
        .expect(5, &["corrupt", "the init image cannot be used"]);
}

/// Files that begin like photos and are none get through the client, and the task says which and why.
fn corrupt_photos_fail_the_task(run: &dyn Fn(&[&str]) -> Ended, folder: &Path) {
    let photo = folder.join("corrupt.jpg");
    fs::write(&photo, b"\xff\xd8\xff\xe0 and then nothing that a decoder knows").unwrap();
    let photo = photo.display().to_string();
    let good: Vec<String> =
        world::photos("person-05").iter().map(|path| path.display().to_string()).collect();
    let all = ["--min-photos", "4"];
    run(&[&["invert", "--name", "bob", "--consent"][..], &all, &[&photo, &good[0], &good[1], &good[2]]]
        .concat())
    .expect(5, &["corrupt"]);
    run(&["invert", "--name", "bob", "--consent", &good[0], &good[1]]).expect(1, &["3"]);
    run(&["people", "get", "bob"]).expect(4, &["bob"]);
}

/// From photos to a scored, reported person in one command, begun at a name of the bank that the program carries.
fn a_likeness_is_scored_by_the_networks_of_the_pocket_world(
    run: &dyn Fn(&[&str]) -> Ended,
    photos: &[String],
    folder: &Path,
) {
    let report = folder.join("report");
    let report = report.display().to_string();
    let mut arguments = vec!["invert", "--name", "cem", "--consent", "--steps", "4", "--batch", "2"];
    arguments.extend(["--start", "id", "--quality", "--quality-pictures", "1", "--quality-steps", "4"]);
    arguments.extend(["--held-out", "2", "--report", &report]);
    arguments.extend(photos.iter().map(String::as_str));
    let ended = run(&arguments);
    let quality = &ended.expect(0, &[]).json()["task"]["inversion_result"]["quality"];
    for figure in ["identity", "held_out", "clip"] {
        assert!(!quality[figure].is_null(), "no {figure}: {quality}");
    }
    assert!(Path::new(&report).join("report.html").is_file());
}

/// The compressed pixels of a PNG: all its IDAT chunks.
fn pixels(path: &str) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut rest = &bytes[8..];
    let mut pixels = Vec::new();
    while rest.len() >= 12 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        if &rest[4..8] == b"IDAT" {
            pixels.extend_from_slice(&rest[8..8 + length]);
        }
        rest = &rest[12 + length..];
    }
    assert!(!pixels.is_empty(), "{path} has no pixels");
    pixels
}
