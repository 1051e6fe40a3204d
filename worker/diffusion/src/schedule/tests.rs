//! The schedule against the reference's tables, and the file against what real files hold.

use burn::tensor::{Device, Tensor, TensorData};

use super::reference::{FOLDERS, config, file, relative_l2};
use super::*;

fn tensor(values: Vec<f32>) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [4, 4, 4, 4]), &Device::flex())
}

#[test]
fn betas_and_alphas_are_the_references_bit_for_bit() {
    for folder in FOLDERS {
        let schedule = NoiseSchedule::new(&config(folder)).unwrap();
        let reference = file(folder, "schedulers").unwrap();
        assert_eq!(schedule.betas(), reference.values("betas"), "{folder}");
        assert_eq!(schedule.alphas_cumprod(), reference.values("alphas_cumprod"), "{folder}");
    }
}

#[test]
fn noise_is_added_and_velocity_made_as_in_the_reference() {
    for folder in FOLDERS {
        let schedule = NoiseSchedule::new(&config(folder)).unwrap();
        let reference = file(folder, "schedulers").unwrap();
        let timesteps: Vec<u32> = reference.values("addnoise_t").into_iter().map(|t| t as u32).collect();
        let clean = tensor(reference.values("addnoise_x0"));
        let noise = tensor(reference.values("addnoise_noise"));
        let noisy = schedule.add_noise(clean.clone(), noise.clone(), &timesteps);
        let velocity = schedule.velocity(clean.clone(), noise.clone(), &timesteps);
        let noisy = noisy.into_data().try_to_vec::<f32>().unwrap();
        let velocity = velocity.into_data().try_to_vec::<f32>().unwrap();
        assert!(relative_l2(&noisy, &reference.values("addnoise_out")) < 1e-7, "{folder}");
        assert!(relative_l2(&velocity, &reference.values("velocity_out")) < 1e-7, "{folder}");
        let target =
            schedule.target(clean, noise.clone(), &timesteps).into_data().try_to_vec::<f32>().unwrap();
        match schedule.prediction_type() {
            PredictionType::Epsilon => assert_eq!(target, noise.into_data().try_to_vec::<f32>().unwrap()),
            PredictionType::Velocity => assert_eq!(target, velocity),
        }
    }
}

#[test]
fn the_three_published_files_are_read() {
    let shipped: Vec<_> = FOLDERS.map(config).into();
    let kinds: Vec<String> = shipped.iter().map(|config| config.shipped_sampler.to_string()).collect();
    assert_eq!(kinds, ["pndm", "pndm", "ddim"]);
    for config in &shipped {
        assert_eq!(config.timestep_spacing, None);
        assert_eq!(config.steps_offset, 1);
        assert_eq!(config.set_alpha_to_one, Some(false));
        assert_eq!(config.beta_schedule, BetaSchedule::ScaledLinear);
    }
    assert_eq!(shipped[2].prediction_type, PredictionType::Velocity);
}

#[test]
fn defaults_that_the_library_filled_in_count_as_absent() {
    let config = SchedulerConfig::from_json(
        r#"{"_class_name": "PNDMScheduler", "timestep_spacing": "leading", "skip_prk_steps": true,
            "lambda_min_clipped": -Infinity, "use_karras_sigmas": null,
            "_use_default_values": ["timestep_spacing"]}"#,
    )
    .unwrap();
    assert_eq!(config.timestep_spacing, None);
    assert_eq!(config.skip_prk_steps, Some(true));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let refuse = |text: &str| SchedulerConfig::from_json(text).unwrap_err().to_string();
    let message = refuse(r#"{"_class_name": "HeunDiscreteScheduler"}"#);
    assert!(message.contains("HeunDiscreteScheduler") && message.contains("PNDMScheduler"), "{message}");
    for (key, value) in [
        ("thresholding", "true"),
        ("rescale_betas_zero_snr", "true"),
        ("use_karras_sigmas", "true"),
        ("prediction_type", "\"sample\""),
        ("beta_schedule", "\"squaredcos_cap_v2\""),
        ("timestep_spacing", "\"random\""),
        ("num_train_timesteps", "0"),
        ("num_train_timesteps", "1e9"),
        ("steps_offset", "-1"),
        ("clip_sample", "\"no\""),
        ("trained_betas", "[0.1, 0.2]"),
        ("beta_start", "-1"),
        ("beta_end", "2"),
    ] {
        let message = refuse(&format!(r#"{{"_class_name": "DDIMScheduler", "{key}": {value}}}"#));
        assert!(message.contains(key), "{key}: {message}");
    }
    assert!(refuse("[]").contains("object"));
    assert!(refuse("{").contains("JSON"));
    assert!(refuse("{}").contains("not supported"));
}

#[test]
fn betas_can_be_given_one_by_one() {
    let text =
        r#"{"_class_name": "DDIMScheduler", "num_train_timesteps": 3, "trained_betas": [0.25, 0.5, 0.75]}"#;
    let schedule = NoiseSchedule::new(&SchedulerConfig::from_json(text).unwrap()).unwrap();
    assert_eq!(schedule.alphas_cumprod(), [0.75, 0.375, 0.09375]);
    assert_eq!(schedule.snr(0), 3.0);
}
