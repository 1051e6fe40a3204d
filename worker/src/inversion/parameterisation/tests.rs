//! The start, the chain rule and the limits of every parameterisation.

use super::*;

const START: [[f32; 4]; 2] = [[0.3, -0.1, 0.2, 0.05], [-0.02, 0.4, 0.1, -0.3]];
const TARGET: [[f64; 4]; 2] = [[0.1, 0.2, -0.3, 0.4], [0.5, -0.4, 0.3, 0.1]];

fn start() -> Vec<Vec<f32>> {
    START.iter().map(|v| v.to_vec()).collect()
}

/// A curved loss of the vectors, and its gradient, to hold the chain rule against.
fn loss(vectors: &[Vec<f32>]) -> f64 {
    vectors
        .iter()
        .zip(&TARGET)
        .flat_map(|(v, t)| v.iter().zip(t))
        .map(|(v, t)| (f64::from(*v) - t).powi(4))
        .sum()
}

fn loss_gradient(vectors: &[Vec<f32>]) -> Vec<Vec<f32>> {
    vectors
        .iter()
        .zip(&TARGET)
        .map(|(v, t)| v.iter().zip(t).map(|(v, t)| (4.0 * (f64::from(*v) - t).powi(3)) as f32).collect())
        .collect()
}

fn every_parameterisation() -> Vec<Parameterisation> {
    let none = |l2| Parameterisation::None { l2, weight: 0.3 };
    vec![
        none(L2Mode::Decoupled),
        none(L2Mode::Coupled),
        none(L2Mode::Anchor),
        Parameterisation::LogNorm { base: 2.71 },
        Parameterisation::LogNorm { base: 2.0 },
        Parameterisation::Sphere { kappa: 0.3 },
    ]
}

#[test]
fn the_vectors_begin_at_the_start() {
    let at_the_start = |one: &Parameterisation| !matches!(one, Parameterisation::Sphere { .. });
    for parameterisation in every_parameterisation().into_iter().filter(at_the_start) {
        let state = LearnedState::new(parameterisation, start()).unwrap();
        for (vector, origin) in state.vectors().iter().zip(&START) {
            for (x, x0) in vector.iter().zip(origin) {
                assert!((x - x0).abs() < 1e-6, "{parameterisation:?}: {x} is not {x0}");
            }
        }
        assert!((state.norm_ratio() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    for parameterisation in every_parameterisation() {
        let mut state = LearnedState::new(parameterisation, start()).unwrap();
        // Away from the start, where the anchor's pull is not zero and |d| is not a^n.
        state.direction[0][1] += 0.25;
        state.direction[1][2] -= 0.15;
        if let Some(n) = state.log_norm.first_mut() {
            *n += 0.4;
        }
        let gradients = state.gradients(&loss_gradient(&state.vectors()));
        let whole = |state: &LearnedState| loss(&state.vectors()) + state.penalty();
        let step = 1e-3f32;
        for k in 0..2 {
            for i in 0..4 {
                let (mut up, mut down) = (state.clone(), state.clone());
                up.direction[k][i] += step;
                down.direction[k][i] -= step;
                let numeric =
                    (whole(&up) - whole(&down)) / f64::from(up.direction[k][i] - down.direction[k][i]);
                let exact = f64::from(gradients.direction[k][i]);
                assert!(
                    (numeric - exact).abs() < 2e-4,
                    "{parameterisation:?} d[{k}][{i}]: {numeric} {exact}"
                );
            }
            if let Some(exact) = gradients.log_norm.get(k) {
                let (mut up, mut down) = (state.clone(), state.clone());
                up.log_norm[k] += step;
                down.log_norm[k] -= step;
                let numeric = (whole(&up) - whole(&down)) / f64::from(up.log_norm[k] - down.log_norm[k]);
                assert!((numeric - f64::from(*exact)).abs() < 2e-4, "n[{k}]: {numeric} {exact}");
            }
        }
    }
}

#[test]
fn the_directions_gradient_is_orthogonal_to_the_direction() {
    let mut state = LearnedState::new(Parameterisation::LogNorm { base: 2.0 }, start()).unwrap();
    state.direction[0][0] = 1.7;
    let gradients = state.gradients(&loss_gradient(&state.vectors()));
    for (d, g) in state.direction.iter().zip(&gradients.direction) {
        let product: f64 = d.iter().zip(g).map(|(d, g)| f64::from(*d) * f64::from(*g)).sum();
        assert!(product.abs() < 1e-7 * norm(d) * norm(g) + 1e-12, "<d, grad_d> = {product}");
    }
}

#[test]
fn the_norms_gradient_is_ln_a_times_g_dot_v() {
    let state = LearnedState::new(Parameterisation::LogNorm { base: 2.71 }, start()).unwrap();
    let grad_v = loss_gradient(&state.vectors());
    let gradients = state.gradients(&grad_v);
    for (k, vector) in state.vectors().iter().enumerate() {
        let product: f64 = grad_v[k].iter().zip(vector).map(|(g, v)| f64::from(*g) * f64::from(*v)).sum();
        assert!((f64::from(gradients.log_norm[k]) - 2.71f64.ln() * product).abs() < 1e-6);
    }
}

#[test]
fn impossible_starts_and_settings_are_refused() {
    let new = LearnedState::new;
    let log_norm = Parameterisation::default();
    assert_eq!(new(log_norm, vec![]), Err(ParameterisationError::NoVectors));
    assert_eq!(new(log_norm, vec![vec![0.0; 3]]), Err(ParameterisationError::Degenerate(0)));
    assert_eq!(
        new(log_norm, vec![vec![1.0; 3], vec![1.0; 2]]),
        Err(ParameterisationError::Ragged { index: 1, found: 2, expected: 3 })
    );
    for base in [1.0, 0.5, f64::NAN, f64::INFINITY] {
        assert!(new(Parameterisation::LogNorm { base }, start()).is_err());
    }
    for bad in [-0.1, f64::NAN] {
        assert!(new(Parameterisation::None { l2: L2Mode::Coupled, weight: bad }, start()).is_err());
        assert!(new(Parameterisation::Sphere { kappa: bad }, start()).is_err());
    }
    for radius in [0.0, -1.0, f64::NAN] {
        let state = new(Parameterisation::Sphere { kappa: 0.0 }, start()).unwrap();
        assert!(matches!(state.at_radius(radius), Err(ParameterisationError::Radius(_))));
    }
}

fn on_a_sphere(kappa: f64, radius: f64) -> LearnedState {
    LearnedState::new(Parameterisation::Sphere { kappa }, start()).unwrap().at_radius(radius).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    dot(a, b) / (norm(a) * norm(b))
}

#[test]
fn a_sphere_begins_in_the_starts_direction_at_its_own_length() {
    let state = on_a_sphere(0.3, 0.4);
    for (vector, origin) in state.vectors().iter().zip(&START) {
        assert!((norm(vector) - 0.4).abs() < 1e-6 && (cosine(vector, origin) - 1.0).abs() < 1e-9);
    }
    assert!(state.penalty().abs() < 1e-9, "the prior costs nothing at the start");
}

#[test]
fn every_step_on_a_sphere_turns_by_the_learning_rate_and_keeps_the_length() {
    let mut state = on_a_sphere(1e-4, 0.4);
    for _ in 0..50 {
        let before = state.direction.clone();
        let gradients = state.gradients(&loss_gradient(&state.vectors()));
        state.turn(&gradients.direction, 0.01);
        for (after, before) in state.direction.iter().zip(&before) {
            assert!((norm(after) - 1.0).abs() < 1e-6);
            let turned = cosine(after, before).min(1.0).acos();
            assert!((turned - 0.01f64.atan()).abs() < 1e-5, "turned by {turned}");
        }
    }
}

#[test]
fn steps_on_a_sphere_lower_the_loss_and_the_prior_alone_leads_back() {
    let mut state = on_a_sphere(0.0, 0.4);
    let at_first = loss(&state.vectors());
    for _ in 0..20 {
        let gradients = state.gradients(&loss_gradient(&state.vectors()));
        state.turn(&gradients.direction, 0.01);
    }
    assert!(loss(&state.vectors()) < at_first * 0.95, "{} from {at_first}", loss(&state.vectors()));

    let mut away = on_a_sphere(0.3, 0.4);
    away.direction = state.direction.clone();
    let (none, before) = (vec![vec![0.0; 4]; 2], away.penalty());
    for _ in 0..10 {
        let gradients = away.gradients(&none);
        away.turn(&gradients.direction, 0.01);
    }
    assert!(away.penalty() < before, "{} from {before}", away.penalty());
}

#[test]
fn a_sphere_without_a_gradient_stays_where_it_is() {
    let mut state = on_a_sphere(0.0, 0.4);
    let before = state.vectors();
    let gradients = state.gradients(&vec![vec![0.0; 4]; 2]);
    state.turn(&gradients.direction, 0.01);
    for (x, before) in state.vectors().iter().flatten().zip(before.iter().flatten()) {
        assert!((x - before).abs() < 1e-7);
    }
}
