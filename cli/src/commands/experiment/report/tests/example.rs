//! An experiment as large as the paper's, with made-up numbers, to look at its report.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use likeness_worker::score::{Aggregate, Evaluation, Identity, PictureScore};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::super::cell::{Cell, Method, Origin, Role};
use super::super::super::plan::{PersonPlan, Plan, ScoredBy, UnitKey};
use super::super::super::results::Unit;
use super::super::write;

const PROMPTS: [&str; 25] = [
    "a photo of sks",
    "sks on a beach",
    "sks in the snow",
    "an oil painting of sks",
    "sks as an astronaut",
    "a pencil sketch of sks",
    "sks wearing a red hat",
    "sks in a suit on a stage",
    "a pop art portrait of sks",
    "sks reading a newspaper in a café",
    "sks, city at night, neon lights",
    "sks in a forest",
    "sks smiling",
    "sks surprised",
    "a marble bust of sks",
    "sks as a chef",
    "sks playing the guitar",
    "a photo of sks, old",
    "sks with sunglasses",
    "sks on a mountain",
    "a mosaic of sks",
    "sks in armour",
    "sks in the rain",
    "sks as a doctor",
    "sks in a spaceship",
];

fn paper() -> Plan {
    let mut cells = Vec::new();
    for start in [Origin::Face, Origin::Rand2, Origin::Id] {
        for method in [Method::None, Method::LogNorm(2.71), Method::LogNorm(2.0)] {
            cells.push(Cell { start: start.clone(), method, steps: 400, role: Role::Table, seeds: None });
        }
    }
    let control = |start: Origin, role, steps| Cell {
        start,
        method: Method::LogNorm(2.71),
        steps,
        role,
        seeds: Some(1),
    };
    cells.push(control(Origin::Face, Role::Untrained, 1));
    cells.push(control(Origin::Id, Role::Untrained, 1));
    cells.push(control(Origin::OneOf(vec!["ann lee".into()]), Role::RandomName, 1));
    cells.push(control(Origin::Id, Role::Ceiling, 3000));
    let names =
        ["Ada", "Boris", "Chidi", "Dana", "Emre", "Farah", "Goran", "Hana", "Ivo", "Juno", "Kofi", "Lena"];
    let person = |name: &str| PersonPlan {
        name: name.to_owned(),
        photos: vec![String::new(); 8],
        held_out: vec![String::new(); 3],
    };
    Plan {
        cells,
        people: names.map(person).to_vec(),
        seeds: 3,
        prompts: PROMPTS.map(str::to_owned).to_vec(),
        placeholder: "sks".into(),
        pictures: 16,
        batch: None,
        sampler: "ddim".into(),
        sampler_steps: 50,
        guidance: 7.5,
        model: "stabilityai/stable-diffusion-2-1-base".into(),
        scored_by: ScoredBy {
            detector: "8f2383e4dd3cfbb4".into(),
            judge: "0ba9fbfa01b53d27".into(),
            clip: "c2a6b1f0d93e".into(),
        },
    }
}

fn made_up(plan: &Plan, key: UnitKey, random: &mut StdRng) -> Unit {
    let mut noise = |width: f64| width * (random.random::<f64>() + random.random::<f64>() - 1.0);
    let cell = &plan.cells[key.cell];
    let start = match cell.start {
        Origin::Id => 0.12,
        Origin::Rand2 => 0.03,
        _ => 0.0,
    };
    let learned = match cell.role {
        Role::Table => 0.3,
        Role::Ceiling => 0.42,
        _ => 0.08,
    };
    let id = learned + start + 0.015 * key.person as f64 - 0.08 + noise(0.06);
    let clip = 0.31 - 0.15 * learned + 0.1 * start + noise(0.015);
    let norm_ratio = if cell.method == Method::None { 1.6 + noise(0.3) } else { 1.0 + noise(0.05) };
    let face_rate = 0.9 + noise(0.08);
    let identity = |id: f64| Identity {
        id,
        face_rate,
        id_where_found: Some(id / face_rate),
        ceiling: Some(0.62),
        floor: Some(0.04),
    };
    Unit {
        key,
        norm_ratio,
        loss: 0.12 + noise(0.02),
        steps: cell.steps,
        vectors: 2,
        inversion_seconds: 0.45 * f64::from(cell.steps) + noise(5.0),
        drawing_seconds: 310.0 + noise(20.0),
        evaluation: Evaluation {
            identity: identity(id + 0.02),
            held_out: Some(identity(id)),
            clip: Some(clip),
            aggregate: Some(Aggregate {
                of_means: (1.0 + clip) * (1.02 + id),
                mean_of_products: (1.0 + clip) * (1.02 + id) - 0.001,
            }),
            diversity: Some(0.3 + noise(0.05)),
            copy: Some(0.6 + noise(0.1)),
            nearest_copy: Some(0.8),
            pictures: vec![PictureScore { prompt: 0, face: true, id, clip: Some(clip) }],
        },
    }
}

/// A head before a ground.
fn portrait(person: usize, ground: usize, side: u32) -> RgbImage {
    let hue = |index: usize, turn: f64| (128.0 + 100.0 * (index as f64 * 1.7 + turn).sin()) as u8;
    let (skin, back) = (
        Rgb([hue(person, 0.0), hue(person, 2.1), hue(person, 4.2)]),
        Rgb([hue(ground, 1.0), hue(ground, 3.1), 90]),
    );
    RgbImage::from_fn(side, side, |x, y| {
        let (across, down) = (f64::from(x) / f64::from(side) - 0.5, f64::from(y) / f64::from(side) - 0.5);
        let in_head = (across / 0.28).powi(2) + (down / 0.36).powi(2) < 1.0;
        if in_head { skin } else { back }
    })
}

fn keep(folder: &Path, plan: &Plan, units: &BTreeMap<UnitKey, Unit>) {
    let save = |path: String, picture: &RgbImage| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    };
    for person in 0..plan.people.len() {
        save(format!("photos/p{person}/0.png"), &portrait(person, 0, 160));
    }
    for UnitKey { cell, person, .. } in units.keys().filter(|key| key.seed == 0) {
        for prompt in 0..plan.prompts.len() {
            save(format!("pictures/c{cell}-p{person}-s0/{prompt}-0.png"), &portrait(*person, prompt, 256));
        }
    }
}

/// Writes two reports into folders of `LIKENESS_EXAMPLE_REPORTS`: complete, and half way without CLIP.
#[test]
#[ignore = "writes example reports for a person to look at"]
fn example_reports() {
    let folder =
        std::env::var_os("LIKENESS_EXAMPLE_REPORTS").expect("LIKENESS_EXAMPLE_REPORTS names a folder");
    let plan = paper();
    let mut random = StdRng::seed_from_u64(7);
    let mut units: BTreeMap<_, _> =
        plan.units().into_iter().map(|key| (key, made_up(&plan, key, &mut random))).collect();
    let complete = Path::new(&folder).join("complete");
    keep(&complete, &plan, &units);
    write(&complete, &plan, &units).unwrap();
    let half = Path::new(&folder).join("half");
    fs::create_dir_all(&half).unwrap();
    let plan = Plan { scored_by: ScoredBy { clip: String::new(), ..plan.scored_by.clone() }, ..plan };
    let order = plan.units();
    units.retain(|key, _| order[..170].contains(key));
    super::without_clip(&mut units);
    write(&half, &plan, &units).unwrap();
}
