//! The same no-op load through BullMQ, on a Redis with the same settings: jobs added one by one, as many at a time as
//! our clients submit, and taken by workers with as many slots.
//!
//! BullMQ knows no fences, charges or shares: this is what a queue costs that does less.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use crate::figures::{Figures, median};
use crate::processes::Redis;

const VERSION: &str = "6.7.0";
/// Its client of Redis.
const IOREDIS: &str = "6.0.0";
const SCRIPT: &str = include_str!("bullmq.mjs");
const SOON: Duration = Duration::from_secs(300);

#[derive(Debug, Deserialize)]
struct Answer {
    tasks_per_second: f64,
}

pub(crate) async fn measure(tasks: usize, repeats: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    if let Err(error) = install(folder.path()).await {
        eprintln!("  left out, for BullMQ cannot be had here: {error:#}");
        return Ok(());
    }
    for appendfsync in ["everysec", "always"] {
        let mut rates = Vec::new();
        for _ in 0..repeats {
            let redis = Redis::start(appendfsync).await?;
            rates.push(run(folder.path(), &redis, tasks).await?);
        }
        let name = format!("BullMQ {VERSION}, the same load, appendfsync {appendfsync}");
        figures.add(name, median(rates), "tasks/s");
    }
    Ok(())
}

async fn install(folder: &Path) -> anyhow::Result<()> {
    std::fs::write(folder.join("bullmq.mjs"), SCRIPT)?;
    std::fs::write(folder.join("package.json"), "{\"private\": true}")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--silent"]);
    npm.args([format!("bullmq@{VERSION}"), format!("ioredis@{IOREDIS}")]);
    let installing = npm.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true).output();
    let installed = timeout(SOON, installing).await?.context("npm cannot be run")?;
    if !installed.status.success() {
        bail!("npm install: {}", String::from_utf8_lossy(&installed.stderr));
    }
    Ok(())
}

async fn run(folder: &Path, redis: &Redis, tasks: usize) -> anyhow::Result<f64> {
    let mut node = Command::new("node");
    node.arg("bullmq.mjs").arg(redis.port().to_string()).arg(tasks.to_string());
    let running = node.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = timeout(SOON, running).await?.context("node cannot be run")?;
    if !ended.status.success() {
        bail!("bullmq.mjs: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let answer: Answer = serde_json::from_slice(&ended.stdout).context("reading what bullmq.mjs says")?;
    Ok(answer.tasks_per_second)
}
