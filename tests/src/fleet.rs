//! Coordinators and workers as processes of their own, and the questions that tests ask of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{self, Ended};
use crate::service::Service;
use crate::{binaries, world};

/// For a program to load its model and to say that it is there, on a busy machine.
pub const START: Duration = Duration::from_secs(120);
/// For a short task to get on.
pub const WORK: Duration = Duration::from_secs(300);

/// Leases short enough that a test of their end does not take long.
pub const SHORT_TIMES: &str = "\
lease_ttl = \"3s\"
beat_interval = \"500ms\"
reconnect_grace = \"500ms\"
expiry_interval = \"200ms\"
";
/// Every time as it is where nothing is configured.
pub const USUAL_TIMES: &str = "";

/// What a coordinator of a test is told.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Lines of its configuration.
    pub times: &'static str,
    /// Where its tasks are; `None` = in a file.
    pub store: Option<String>,
    /// Where its artifacts are, and its store unless it is elsewhere.
    pub data: PathBuf,
    /// Further sections of its configuration.
    pub sections: String,
}

/// A coordinator and where it listens.
#[derive(Debug)]
pub struct Coordinator {
    /// The process.
    pub service: Service,
    /// `127.0.0.1:PORT`.
    pub address: String,
    setting: Setting,
}

impl Coordinator {
    /// Starts one on a free port, with its files in `data`.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, "")
    }

    /// The same with further sections of its configuration.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_with(data: &Path, sections: &str) -> Self {
        let (data, sections) = (data.to_owned(), sections.to_owned());
        Self::start_as(&Setting { times: SHORT_TIMES, store: None, data, sections })
    }

    /// Starts one of this setting on a free port.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_as(setting: &Setting) -> Self {
        Self::start_at("127.0.0.1:0", setting)
    }

    /// Starts one of this setting at an address, where another of it may have been.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_at(listen: &str, setting: &Setting) -> Self {
        let config = setting.data.join("coordinator.toml");
        let text = format!("{}[log]\nformat = \"json\"\n{}", setting.times, setting.sections);
        std::fs::write(&config, text).expect("the test's folder can be written");
        let mut command = Command::new(binaries::path("likeness-coordinator"));
        command.arg("--config").arg(&config).args(["--listen", listen]).arg("--data").arg(&setting.data);
        command.args(setting.store.iter().flat_map(|store| ["--store", store.as_str()]));
        let service = Service::start("coordinator", &mut command);
        let address = service.wait_for("where it listens", START, |line| {
            let said: Value = serde_json::from_str(line).ok()?;
            (said["message"] == "coordinator listens").then(|| said["address"].as_str().map(str::to_owned))?
        });
        Self { service, address, setting: setting.clone() }
    }

    /// Kills it and starts it again on the same address and files.
    #[must_use]
    pub fn kill_and_restart(self) -> Self {
        let Self { service, address, setting } = self;
        service.kill();
        Self::start_at(&address, &setting)
    }

    /// Starts a worker with the pocket model and one slot.
    #[must_use]
    pub fn start_worker(&self, name: &str) -> Service {
        self.start_worker_of(name, 1)
    }

    /// The same with room for so many tasks.
    #[must_use]
    pub fn start_worker_of(&self, name: &str, slots: u32) -> Service {
        let mut command = Command::new(binaries::path("likeness-worker"));
        command
            .args(["--coordinator", &format!("http://{}", self.address), "--worker-id", name])
            .args(["--slots", &slots.to_string(), "--device", "cpu", "--log", "info"])
            .arg("--model")
            .arg(format!("pocket={}", world::pocket_model().display()));
        Service::start(name, &mut command)
    }

    /// Starts a worker with the pocket model, one slot and this configuration.
    #[must_use]
    pub fn start_worker_configured(&self, name: &str, config: &Path) -> Service {
        let mut command = Command::new(binaries::path("likeness-worker"));
        command.arg("--config").arg(config);
        command
            .args(["--coordinator", &format!("http://{}", self.address), "--worker-id", name])
            .args(["--slots", "1", "--device", "cpu", "--log", "info"])
            .arg("--model")
            .arg(format!("pocket={}", world::pocket_model().display()));
        Service::start(name, &mut command)
    }

    /// Runs a command against it.
    pub fn likeness(&self, arguments: &[&str]) -> Ended {
        let mut all = vec!["--server", self.address.as_str()];
        all.extend(arguments);
        cli::likeness(&all)
    }

    /// Runs a command against it that must succeed, and returns its JSON.
    ///
    /// # Panics
    /// Where it does not succeed.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["-o", "json"];
        all.extend(arguments);
        self.likeness(&all).expect(0, &[]).json()
    }

    /// Submits an inversion of a shipped person, without waiting, and returns the task's id.
    ///
    /// # Panics
    /// Where it is refused.
    #[must_use]
    pub fn invert(&self, name: &str, steps: u32) -> String {
        let steps = steps.to_string();
        let photos: Vec<String> =
            world::photos("person-03").iter().map(|path| path.display().to_string()).collect();
        let mut arguments = vec![
            "invert",
            "--no-wait",
            "--name",
            name,
            "--consent",
            "--steps",
            &steps,
            "--batch",
            "2",
            "--seed",
            "5",
        ];
        arguments.extend(photos.iter().map(String::as_str));
        let answer = self.ask(&arguments);
        answer["task"]["id"].as_str().unwrap_or_else(|| panic!("no task id in {answer}")).to_owned()
    }

    /// Starts `task watch` with one line of JSON a change.
    #[must_use]
    pub fn watch(&self, task: &str) -> Service {
        cli::start("task watch", &["--server", &self.address, "-o", "json", "task", "watch", task])
    }

    /// The task as it is.
    pub fn task(&self, task: &str) -> Value {
        self.ask(&["task", "get", task])
    }

    /// The learned vectors of a person: the tensor's bytes.
    ///
    /// # Panics
    /// Where there is no such person or file.
    #[must_use]
    pub fn vectors(&self, name: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("person.safetensors");
        self.ask(&["people", "export", name, "--out", &path.display().to_string()]);
        let bytes = std::fs::read(&path).expect("the exported file");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let (_, tensor) = file.iter().next().expect("a tensor");
        tensor.data().to_vec()
    }
}

/// Finds the line of a watch in which the task has trained at least `steps` steps, and returns the task.
#[must_use]
pub fn trained(line: &str, steps: u64) -> Option<Value> {
    let task: Value = serde_json::from_str(line).ok()?;
    (task["state"] == "running" && task["progress"]["step"].as_u64()? >= steps).then_some(task)
}

/// Finds the line of a watch in which the task is in `state`, and returns the task.
#[must_use]
pub fn in_state(line: &str, state: &str) -> Option<Value> {
    let task: Value = serde_json::from_str(line).ok()?;
    (task["state"] == state).then_some(task)
}

/// Starts a worker with the simulated device, one slot unless the further options say otherwise, which dials the coordinators of a
/// list separated by commas.
#[must_use]
pub fn start_simulated(name: &str, coordinators: &str, step_time: &str, options: &[&str]) -> Service {
    let mut command = Command::new(binaries::path("likeness-worker"));
    command
        .env("NO_COLOR", "1")
        .args(["--coordinator", coordinators, "--worker-id", name, "--log", "info"])
        .args(["--device", "simulated", "--simulated-step-time", step_time])
        .args(options);
    if !options.contains(&"--slots") {
        command.args(["--slots", "1"]);
    }
    Service::start(name, &mut command)
}

/// The fence of the first lease that a worker has taken.
#[must_use]
pub fn fence_of(worker: &Service) -> u64 {
    worker.wait_for("its lease", START, |line| {
        let (_, attempt) = line.split_once("lease taken")?.1.split_once("attempt=")?;
        let (_, fence) = attempt.split_whitespace().next()?.split_once('#')?;
        fence.parse().ok()
    })
}
