//! `TorchRng` against values that torch 2.8.0 printed, and against the reference's own latents and noise.

use serde_json::Value;

use super::TorchRng;
use crate::schedule::reference::{FOLDERS, file, root};

fn call(rng: &mut TorchRng, call: &str, numbers: &[i64], n: usize) -> Vec<f64> {
    match call {
        "randn" => rng.randn(n).into_iter().map(f64::from).collect(),
        "rand" => rng.rand(n).into_iter().map(f64::from).collect(),
        "randint" => rng.randint(numbers[0], numbers[1], n).into_iter().map(|value| value as f64).collect(),
        "randperm" => rng.randperm(n).into_iter().map(|value| value as f64).collect(),
        other => panic!("no call {other}"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Nine decimal digits name one f32 exactly.
fn same(found: f64, printed: f64, integers: bool) -> bool {
    if integers { found == printed } else { found as f32 == printed as f32 }
}

#[test]
fn every_vector_of_torch_is_met_bit_for_bit() {
    let text = std::fs::read_to_string(root().join("torch_rng.json"))
        .or_else(|_| {
            let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/torch_rng.json");
            std::fs::read_to_string(beside)
        })
        .unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert!(vectors.len() >= 23, "{} vectors", vectors.len());
    for vector in vectors {
        let mut rng = TorchRng::new(vector["seed"].as_u64().unwrap());
        let name = vector["call"].as_str().unwrap();
        let values: Vec<f64> = if name == "sequence" {
            let steps = vector["sequence"].as_array().unwrap();
            steps
                .iter()
                .flat_map(|step| {
                    let arguments: Vec<i64> =
                        step.as_array().unwrap()[1..].iter().map(|number| number.as_i64().unwrap()).collect();
                    let n = *arguments.last().unwrap() as usize;
                    call(&mut rng, step[0].as_str().unwrap(), &arguments, n)
                })
                .collect()
        } else {
            let n = numbers(&vector["shape"]).iter().product::<f64>() as usize;
            let bounds = [vector["low"].as_i64().unwrap_or(0), vector["high"].as_i64().unwrap_or(0)];
            call(&mut rng, name, &bounds, n)
        };
        let integers = matches!(name, "randint" | "randperm");
        let (first, last) = (numbers(&vector["first"]), numbers(&vector["last"]));
        for (index, printed) in first.iter().enumerate() {
            assert!(same(values[index], *printed, integers), "{vector} first {index}: {}", values[index]);
        }
        for (index, printed) in last.iter().enumerate() {
            let found = values[values.len() - last.len() + index];
            assert!(same(found, *printed, integers), "{vector} last {index}: {found}");
        }
    }
}

#[test]
fn the_first_latents_of_a_seed_are_the_references() {
    for folder in FOLDERS {
        let reference = file(folder, "gen_inputs").unwrap().tensor("latents0").unwrap();
        let found = TorchRng::new(42).randn(reference.shape.iter().product());
        assert_eq!(found, reference.values, "{folder}");
    }
}

/// `randint` for the timesteps, `randn` for the noise, `randn` for the latent samples, in that order.
#[test]
fn the_training_draws_of_a_seed_are_the_references() {
    for folder in FOLDERS {
        let common = file(folder, "ti_common").unwrap();
        let latents0 = file(folder, "gen_inputs").unwrap().tensor("latents0").unwrap();
        let (height, width) = (latents0.shape[2], latents0.shape[3]);
        let full = [12, 2, 4, height, width];
        let mut rng = TorchRng::new(1000);
        let timesteps: Vec<f32> = rng.randint(0, 1000, 24).into_iter().map(|value| value as f32).collect();
        assert_eq!(timesteps, common.values("timesteps"), "{folder}");
        for name in ["noise", "sample_eps"] {
            let drawn = rng.randn(full.iter().product());
            let reference = common.tensor(name).unwrap();
            assert_eq!(kept(&drawn, &full, &reference.every), reference.values, "{folder} {name}");
        }
    }
}

/// `full[::every[0], ::every[1], ...]`, flattened.
fn kept(values: &[f32], shape: &[usize], every: &[usize]) -> Vec<f32> {
    let keeps = |mut index: usize| {
        shape.iter().zip(every).rev().all(|(side, stride)| {
            let coordinate = index % side;
            index /= side;
            coordinate.is_multiple_of(*stride)
        })
    };
    values.iter().enumerate().filter(|(index, _)| keeps(*index)).map(|(_, value)| *value).collect()
}
