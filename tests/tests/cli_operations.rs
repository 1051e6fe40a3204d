//! What operators do from the command line, against a coordinator that has no worker: nothing runs, so every state is
//! where the last command left it.

#![allow(clippy::unwrap_used, reason = "a failed expectation is how a test speaks")]

use likeness_tests::cli::{self, Ended};
use likeness_tests::fleet::Coordinator;
use serde_json::Value;

struct Operator {
    address: String,
}

impl Operator {
    fn run(&self, line: &[&str]) -> Ended {
        let server = format!("http://{}", self.address);
        let mut all = vec!["--server", &server, "-o", "json"];
        all.extend(line);
        cli::likeness(&all)
    }

    fn json(&self, line: &[&str]) -> Value {
        self.run(line).expect(0, &[]).json()
    }

    fn submit(&self, more: &[&str]) -> String {
        let mut line = vec!["generate", "--prompt", "a photo", "--out", "a.png", "--no-wait"];
        line.extend(more);
        self.json(&line)["task"]["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn tasks_are_delayed_held_released_cancelled_and_tried_again() {
    let data = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(data.path());
    let operator = Operator { address: coordinator.address.clone() };
    let delayed = operator.submit(&["--delay", "2h"]);
    assert_eq!(operator.json(&["task", "get", &delayed])["state"], "scheduled");
    let expiring = operator.submit(&["--start-within", "100ms"]);
    operator.run(&["task", "watch", &expiring]).expect(5, &["start_deadline"]);
    let waiting = operator.submit(&[]);
    let held = operator.json(&["task", "hold", &waiting, "--reason", "look first"]);
    assert_eq!((&held["state"], &held["hold_reason"]), (&"held".into(), &"look first".into()));
    assert_eq!(operator.json(&["task", "release", &waiting])["state"], "queued");
    let listed = operator.json(&["task", "ls", "--state", "scheduled", "--newer-than", "1h"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let listed = operator.json(&["task", "ls", "--older-than", "1h"]);
    assert!(listed.as_array().unwrap().is_empty());
    assert_eq!(operator.json(&["task", "retry", "--all", "--state", "expired"])["retried"], 1);
    assert_eq!(operator.json(&["task", "get", &expiring])["state"], "queued");
    assert_eq!(operator.json(&["task", "cancel", "--all", "--state", "queued"])["cancelled"], 2);
    operator.run(&["task", "retry", &waiting]).expect(1, &["did not fail, expire or get quarantined"]);
    operator.run(&["task", "retry", "--all", "--state", "running"]).expect(1, &["RUNNING"]);
    assert!(operator.json(&["worker", "ls"]).as_array().unwrap().is_empty());
    operator.run(&["worker", "drain", "gpu-7"]).expect(4, &["worker gpu-7"]);
}
