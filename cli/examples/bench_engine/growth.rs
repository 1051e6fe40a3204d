//! Memory of the process over many tasks, four at a time: it has to be flat.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use crate::driving::Running;
use crate::tasks::Material;

const AT_ONCE: usize = 4;
const LINES: usize = 8;

pub(crate) fn measure(material: &Arc<Material>, tasks: usize) -> anyhow::Result<()> {
    println!("resident memory over {tasks} tasks, {AT_ONCE} at a time, inversions and generations by turns");
    let mut engine = Running::start(Arc::clone(&material.studio));
    let order = |task: usize| match task % 2 {
        0 => material.inversion(task, 3, 2, 2),
        _ => material.generation(task as u64, 1 + task as u32 % 3, 2),
    };
    let began = Instant::now();
    for task in 0..AT_ONCE.min(tasks) {
        engine.join(order(task))?;
    }
    for ended in 0..tasks {
        engine.ended()?;
        engine.steps.clear();
        if ended + AT_ONCE < tasks {
            engine.join(order(ended + AT_ONCE))?;
        }
        if (ended + 1) % (tasks / LINES).max(1) == 0 {
            let seconds = began.elapsed().as_secs_f64();
            println!("{:6} tasks  {:7.1} s  {:6.1} MiB", ended + 1, seconds, resident()? / 1024.0 / 1024.0);
        }
    }
    engine.stop()
}

fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux tells its memory so")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}
