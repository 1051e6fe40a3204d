//! Somebody asks for four pictures: how long he waits on an empty worker and while eight inversions run, and what that
//! costs the inversions.

use std::sync::Arc;
use std::time::Instant;

use likeness_worker::engine::{Attempt, Command};

use crate::driving::{Running, quantile};
use crate::tasks::Material;

const USERS: usize = 8;
const PICTURES: u32 = 4;
const STEPS: u32 = 20;

pub(crate) fn measure(material: &Arc<Material>, repeats: usize) -> anyhow::Result<()> {
    let mut engine = Running::start(Arc::clone(&material.studio));
    let waits = |engine: &mut Running| {
        (0..repeats).map(|seed| draw(material, engine, seed as u64)).collect::<anyhow::Result<Vec<f64>>>()
    };
    waits(&mut engine)?;
    let mut empty = waits(&mut engine)?;

    let learning: Vec<Attempt> = (0..USERS)
        .map(|user| engine.join(material.inversion(user, 8, 8, 10_000)))
        .collect::<anyhow::Result<_>>()?;
    while learning.iter().any(|attempt| engine.steps.get(attempt).copied().unwrap_or(0) == 0) {
        engine.next()?;
    }
    let undisturbed = rate(&mut engine, &learning, 20.0)?;
    let began = (Instant::now(), made(&engine, &learning));
    let mut among = waits(&mut engine)?;
    let disturbed = (made(&engine, &learning) - began.1) / began.0.elapsed().as_secs_f64();
    learning.iter().try_for_each(|attempt| engine.tell(Command::Cancel(*attempt)))?;
    engine.stop()?;

    println!("{PICTURES} pictures of {STEPS} steps");
    for (name, waits) in [("empty worker", &mut empty), ("8 inversions", &mut among)] {
        println!("{name:12}  p50 {:.2} s  p99 {:.2} s", quantile(waits, 0.5), quantile(waits, 0.99));
    }
    let ratio = |share| quantile(&mut among.clone(), share) / quantile(&mut empty.clone(), share);
    println!("ratio         p50 {:.2}x  p99 {:.2}x", ratio(0.5), ratio(0.99));
    println!(
        "inversions    {undisturbed:.1} it/s undisturbed, {disturbed:.1} it/s while somebody draws all the time: {:.2}x",
        undisturbed / disturbed
    );
    Ok(())
}

/// Seconds from the order to the pictures.
fn draw(material: &Material, engine: &mut Running, seed: u64) -> anyhow::Result<f64> {
    let asked = Instant::now();
    let attempt = engine.join(material.generation(seed, PICTURES, STEPS))?;
    loop {
        let ended = engine.ended()?;
        if ended.attempt == attempt {
            return Ok(ended.at.duration_since(asked).as_secs_f64());
        }
    }
}

/// Iterations a second of all inversions together, over `seconds`.
fn rate(engine: &mut Running, learning: &[Attempt], seconds: f64) -> anyhow::Result<f64> {
    let (began, before) = (Instant::now(), made(engine, learning));
    while began.elapsed().as_secs_f64() < seconds {
        engine.next()?;
    }
    Ok((made(engine, learning) - before) / began.elapsed().as_secs_f64())
}

fn made(engine: &Running, learning: &[Attempt]) -> f64 {
    learning.iter().filter_map(|attempt| engine.steps.get(attempt)).map(|step| f64::from(*step)).sum()
}
