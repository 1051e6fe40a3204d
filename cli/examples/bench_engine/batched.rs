//! Eight users' inversions at once, against the same eight one after another: time, steps a second, results.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use likeness_diffusion::person_file::PersonFile;
use likeness_shared::ids::TaskId;
use likeness_worker::engine::{Ending, Order};

use crate::driving::Running;
use crate::tasks::Material;

const USERS: usize = 8;

type People = HashMap<TaskId, Vec<f32>>;

pub(crate) fn measure(material: &Arc<Material>, steps: u32) -> anyhow::Result<()> {
    println!("{USERS} users' inversions of {steps} iterations");
    println!("rows each  one after another   batched          ratio  largest difference");
    for rows in [1, 2, 4, 8] {
        let orders: Vec<Order> =
            (0..USERS).map(|user| material.inversion(user, rows.max(3), rows as u32, steps)).collect();
        // the sizes of passes are found out first
        learn(material, &orders, true)?;
        let (alone, expected) = learn(material, &orders, false)?;
        let (batched, found) = learn(material, &orders, true)?;
        let made = (USERS as u32 * steps) as f64;
        println!(
            "{rows:9}  {alone:6.2} s {:6.1} it/s  {batched:6.2} s {:6.1} it/s  {:4.2}x  {:e}",
            made / alone,
            made / batched,
            alone / batched,
            difference(&expected, &found)
        );
    }
    Ok(())
}

/// Seconds from the first order to the last person, and the people.
fn learn(material: &Arc<Material>, orders: &[Order], at_once: bool) -> anyhow::Result<(f64, People)> {
    let mut engine = Running::start(Arc::clone(&material.studio));
    let mut people = People::new();
    let began = Instant::now();
    if at_once {
        for order in orders {
            engine.join(order.clone())?;
        }
    }
    for order in orders {
        if !at_once {
            engine.join(order.clone())?;
        }
        let ended = engine.ended()?;
        let Ending::Learned(person) = ended.ending else { bail!("nobody was learned") };
        people.insert(ended.attempt.task, PersonFile::read(&person.file)?.vectors.concat());
    }
    let seconds = began.elapsed().as_secs_f64();
    engine.stop()?;
    Ok((seconds, people))
}

/// The largest `|a - b| / |b|` of a person.
fn difference(expected: &People, found: &People) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let apart = |(task, expected): (&TaskId, &Vec<f32>)| {
        let found = found.get(task).map_or(&[][..], Vec::as_slice);
        let pairs = expected.iter().zip(found);
        norm(&mut pairs.map(|(a, b)| f64::from(a - b))) / norm(&mut expected.iter().map(|b| f64::from(*b)))
    };
    expected.iter().map(apart).fold(0.0, f64::max)
}
