//! Samplers against the reference library: its tables, its pictures' trajectories, and whole walks over a
//! formula that stands in for the network (`tests/data/sampler_vectors.json`).

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use super::*;
use crate::schedule::reference::{FOLDERS, config, file, relative_l2};
use crate::schedule::{SchedulerConfig, TimestepSpacing};

fn tensor(values: &[f32], shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// The square root of torch's vector library is not the correctly rounded one: one unit in the
/// last place, two after interpolation.
fn same_sigmas(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= expected * 2.0 * f32::EPSILON, "{found} is not {expected}");
    }
}

#[test]
fn timesteps_and_sigmas_are_the_references() {
    for folder in FOLDERS {
        let config = config(folder);
        let tables = file(folder, "schedulers").unwrap();
        for (name, steps) in [
            ("ddim", 20),
            ("ddim", 30),
            ("ddim", 50),
            ("pndm", 50),
            ("euler", 30),
            ("dpmpp", 10),
            ("dpmpp", 20),
        ] {
            let sampler = Sampler::new(name.parse().unwrap(), &config, steps).unwrap();
            assert_eq!(sampler.timesteps(), tables.values(&format!("{name}_{steps}_timesteps")), "{name}");
            match tables.tensor(&format!("{name}_{steps}_sigmas")) {
                Some(sigmas) => same_sigmas(sampler.sigmas(), &sigmas.values),
                None => assert!(sampler.sigmas().is_empty()),
            }
        }
        let euler = Sampler::new(SamplerKind::Euler, &config, 30).unwrap();
        same_sigmas(&[euler.init_noise_sigma()], &tables.values("euler_30_init_noise_sigma"));
    }
}

/// Every step of the reference's own pictures of which the latents before, the output and the latents after
/// are kept, where the formula needs no earlier output (or the outputs before are kept too).
#[test]
fn single_steps_of_the_references_pictures_are_met() {
    let mut compared = 0;
    for folder in FOLDERS {
        for (name, steps) in [("ddim", 50), ("dpmpp", 20), ("euler", 30), ("pndm", 50)] {
            let Some(trajectory) = file(folder, name) else { continue };
            let latents = trajectory.tensor("latents").unwrap();
            let guided = trajectory.tensor("guided").unwrap();
            let kept = |index: &str, stride: usize| -> Vec<usize> {
                trajectory.values(index).into_iter().step_by(stride).map(|index| index as usize).collect()
            };
            let latents_at = kept("latents_index", latents.every[0]);
            let guided_at = kept("guided_index", guided.every[0]);
            let shape = [1, latents.shape[1], latents.shape[2], latents.shape[3]];
            let size: usize = shape.iter().product();
            let row = |reference: &[f32], at: &[usize], call: usize| {
                let place = at.iter().position(|index| *index == call)?;
                Some(reference[place * size..(place + 1) * size].to_vec())
            };
            let mut sampler = Sampler::new(name.parse().unwrap(), &config(folder), steps).unwrap();
            let looks_back = matches!(name, "dpmpp" | "pndm");
            for call in 0..sampler.calls() {
                let (Some(before), Some(output), Some(after)) = (
                    row(&latents.values, &latents_at, call),
                    row(&guided.values, &guided_at, call),
                    row(&latents.values, &latents_at, call + 1),
                ) else {
                    continue;
                };
                // A sampler that looks back must have seen all calls before, but for DPM-Solver++'s last
                // step, which is of first order.
                if looks_back && sampler.next_call() != call && !(name == "dpmpp" && call + 1 == steps) {
                    continue;
                }
                sampler.next_call = call;
                let found = values(sampler.step(tensor(&output, shape), call, tensor(&before, shape)));
                let error = relative_l2(&found, &after);
                assert!(error < 1e-6, "{folder} {name} call {call}: {error:e}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 54, "only {compared} single steps could be compared");
}

fn cases() -> Vec<Value> {
    let text = include_str!("../../tests/data/sampler_vectors.json");
    serde_json::from_str(text).unwrap()
}

#[test]
fn whole_walks_are_the_references_whatever_the_file_says() {
    let mut walked = std::collections::BTreeMap::new();
    for case in cases() {
        let kind: SamplerKind = case["sampler"].as_str().unwrap().parse().unwrap();
        let config = SchedulerConfig::from_json(&case["file"].to_string()).unwrap();
        let steps = case["steps"].as_u64().unwrap() as usize;
        let skipped = case["skipped"].as_u64();
        let begun = match skipped {
            Some(skipped) => Sampler::starting_late(kind, &config, steps, skipped as usize),
            None => Sampler::new(kind, &config, steps),
        };
        let mut sampler = begun.unwrap();
        assert_eq!(sampler.timesteps(), numbers(&case["timesteps"]), "{kind} {steps} {}", case["file"]);
        same_sigmas(sampler.sigmas(), &numbers(&case["sigmas"]));
        same_sigmas(&[sampler.init_noise_sigma()], &[case["init_noise_sigma"].as_f64().unwrap() as f32]);
        let shape = [1, 1, 2, 2];
        let mut latents = tensor(&numbers(&case["latents"][0]), shape);
        if skipped.is_some() {
            let [clean, noise] = ["clean", "noise"].map(|name| tensor(&numbers(&case[name]), shape));
            let noised = values(sampler.add_noise(clean, noise));
            let error = relative_l2(&noised, &values(latents.clone()));
            assert!(error < 1e-6, "{kind} {steps} without {skipped:?}, {}: {error:e}", case["file"]);
        }
        for call in 0..sampler.calls() {
            let output = tensor(&numbers(&case["outputs"][call]), shape);
            latents = sampler.step(output, call, latents);
            let expected = numbers(&case["latents"][call + 1]);
            let error = relative_l2(&values(latents.clone()), &expected);
            assert!(error < 1e-5, "{kind} {steps} call {call} {}: {error:e}", case["file"]);
        }
        *walked.entry((kind.to_string(), skipped.is_some())).or_insert(0) += 1;
    }
    assert!(walked.len() == 8 && walked.values().all(|count| *count >= 10), "{walked:?}");
}

#[test]
fn euler_scales_what_the_network_sees_and_the_others_do_not() {
    let config = config("tiny-a");
    for kind in SamplerKind::ALL {
        let sampler = Sampler::new(kind, &config, 10).unwrap();
        let seen = values(sampler.scale_model_input(tensor(&[1.0; 4], [1, 1, 2, 2]), 0));
        let sigma = if kind == SamplerKind::Euler { sampler.sigmas()[0] } else { 0.0 };
        assert_eq!(seen, vec![1.0 / (sigma * sigma + 1.0).sqrt(); 4], "{kind}");
    }
}

#[test]
fn a_walk_goes_on_from_its_state_as_if_never_interrupted() {
    let config = config("tiny-v");
    let shape = [1, 1, 2, 2];
    let output = |call: usize| tensor(&[0.1, -0.7, 0.3 * call as f32, 1.1], shape);
    for (kind, skipped) in SamplerKind::ALL.into_iter().flat_map(|kind| [(kind, 0), (kind, 3)]) {
        let mut whole = Sampler::starting_late(kind, &config, 8, skipped).unwrap();
        let mut moved = whole.clone();
        let mut whole_latents = tensor(&[1.0, -1.0, 0.5, 2.0], shape);
        let mut moved_latents = whole_latents.clone();
        for call in 0..whole.calls() {
            let text = serde_json::to_string(&moved.state().unwrap()).unwrap();
            let state: SamplerState = serde_json::from_str(&text).unwrap();
            moved = Sampler::resume(kind, &config, 8, &state, &Device::flex()).unwrap();
            assert_eq!(moved.next_call(), call);
            whole_latents = whole.step(output(call), call, whole_latents);
            moved_latents = moved.step(output(call), call, moved_latents);
        }
        assert_eq!(values(whole_latents), values(moved_latents), "{kind} without {skipped}");
        assert_eq!(whole.state().unwrap(), moved.state().unwrap());
    }
}

#[test]
fn a_late_start_leaves_the_first_calls_out() {
    let config = config("tiny-a");
    for kind in SamplerKind::ALL {
        let whole = Sampler::new(kind, &config, 20).unwrap();
        let begun = |skipped| Sampler::starting_late(kind, &config, 20, skipped);
        let full = begun(0).unwrap();
        assert_eq!((full.timesteps(), full.sigmas()), (whole.timesteps(), whole.sigmas()), "{kind}");
        for skipped in [1, 2, 10, 19] {
            let late = begun(skipped).unwrap();
            assert_eq!(late.calls(), whole.calls() - skipped, "{kind}");
            assert_eq!(late.timesteps(), &whole.timesteps()[skipped..], "{kind}");
            assert_eq!(late.sigmas(), whole.sigmas().get(skipped..).unwrap_or_default(), "{kind}");
        }
        let refused = begun(20).unwrap_err().to_string();
        assert!(refused.contains("none is left"), "{kind}: {refused}");
    }
}

#[test]
fn a_state_of_another_walk_is_refused() {
    let config = config("tiny-a");
    let empty = SamplerState { skipped: 0, next_call: 3, outputs: Vec::new(), held_latents: None };
    let resume = |kind, state: &SamplerState| Sampler::resume(kind, &config, 8, state, &Device::flex());
    assert!(resume(SamplerKind::Ddim, &empty).is_ok());
    for kind in [SamplerKind::Pndm, SamplerKind::DpmPp] {
        assert!(matches!(resume(kind, &empty), Err(SamplerError::State { next_call: 3, .. })));
    }
    let beyond = SamplerState { next_call: 9, ..empty.clone() };
    assert!(resume(SamplerKind::Ddim, &beyond).is_err());
    let torn = StoredTensor { shape: [1, 1, 2, 2], values: vec![0.0; 3] };
    let torn = SamplerState { outputs: vec![torn], ..empty };
    assert!(resume(SamplerKind::DpmPp, &torn).is_err());
}

#[test]
fn wrong_requests_are_refused_with_the_reason() {
    let config = config("tiny-a");
    let refuse = |kind, steps| Sampler::new(kind, &config, steps).unwrap_err().to_string();
    for kind in SamplerKind::ALL {
        assert!(refuse(kind, 0).contains("at least 1"));
        assert!(refuse(kind, 1001).contains("1000 timesteps"));
        assert!(Sampler::new(kind, &config, 500).is_ok());
    }
    let trailing = SchedulerConfig { timestep_spacing: Some(TimestepSpacing::Trailing), ..config.clone() };
    assert_eq!(Sampler::new(SamplerKind::Ddim, &trailing, 61).unwrap().calls(), 61);
    // With an offset of 1 the reference library indexes one beyond the last timestep.
    assert!(refuse(SamplerKind::Ddim, 1000).contains("ask for fewer"));
    assert!("heun".parse::<SamplerKind>().unwrap_err().to_string().contains("dpmpp"));
    let with = |entry: &str| {
        let text = format!(r#"{{"_class_name": "DPMSolverMultistepScheduler", {entry}}}"#);
        SchedulerConfig::from_json(&text).unwrap()
    };
    for (kind, entry, key) in [
        (SamplerKind::DpmPp, r#""solver_order": 3"#, "solver_order"),
        (SamplerKind::DpmPp, r#""algorithm_type": "sde-dpmsolver++""#, "algorithm_type"),
        (SamplerKind::DpmPp, r#""solver_type": "heun""#, "solver_type"),
        (SamplerKind::DpmPp, r#""lambda_min_clipped": -5.1"#, "lambda_min_clipped"),
        (SamplerKind::Euler, r#""interpolation_type": "log_linear""#, "interpolation_type"),
        (SamplerKind::Euler, r#""timestep_type": "continuous""#, "timestep_type"),
        (SamplerKind::Pndm, r#""skip_prk_steps": false"#, "skip_prk_steps"),
        (SamplerKind::Pndm, r#""steps_offset": 1"#, "skip_prk_steps"),
    ] {
        let message = Sampler::new(kind, &with(entry), 20).unwrap_err().to_string();
        assert!(message.contains(key), "{message}");
    }
    let usual = with(r#""solver_order": 2, "lambda_min_clipped": -Infinity"#);
    assert!(Sampler::new(SamplerKind::DpmPp, &usual, 20).is_ok());
}
