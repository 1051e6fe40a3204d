//! Adam with bias correction, in torch's form.
//!
//! `m = b1 m + (1-b1) g`, `s = b2 s + (1-b2) g^2`, `p -= lr/(1-b1^t) * m / (sqrt(s)/sqrt(1-b2^t) + eps)`:
//! eps is added after the square root. An optional decoupled decay (`p *= 1 - lr w` first) makes it AdamW.
//! State is kept in f32, each update is worked out in f64: a resumed run is bit-equal.

use serde::{Deserialize, Serialize};

/// Adam's constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamOptions {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator after the square root.
    pub epsilon: f64,
    /// Decoupled decay (AdamW); 0 = none.
    pub weight_decay: f64,
}

impl Default for AdamOptions {
    /// The method's: lr 5e-3, betas (0.9, 0.98), eps 1e-8, no decay.
    fn default() -> Self {
        Self { learning_rate: 5e-3, beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// The moments of one group of parameters, in the order in which the parameters come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    options: AdamOptions,
    /// Updates made.
    pub step: u64,
    /// First moments.
    pub first: Vec<f32>,
    /// Second moments.
    pub second: Vec<f32>,
}

impl Adam {
    /// No moments yet, for `len` parameters.
    pub fn new(options: AdamOptions, len: usize) -> Self {
        Self { options, step: 0, first: vec![0.0; len], second: vec![0.0; len] }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there is nothing to update.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// One update. Parameters and gradients come as pairs, in the same order every time; pairs beyond
    /// [`Adam::len`] are left alone.
    pub fn update<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a mut f32, &'a f32)>) {
        self.step += 1;
        let AdamOptions { learning_rate, beta1, beta2, epsilon, weight_decay } = self.options;
        let correction1 = 1.0 - beta1.powf(self.step as f64);
        let correction2 = (1.0 - beta2.powf(self.step as f64)).sqrt();
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, gradient), (first, second)) in pairs.into_iter().zip(moments) {
            let gradient = f64::from(*gradient);
            *first = (beta1 * f64::from(*first) + (1.0 - beta1) * gradient) as f32;
            *second = (beta2 * f64::from(*second) + (1.0 - beta2) * gradient * gradient) as f32;
            let decayed = f64::from(*parameter) * (1.0 - learning_rate * weight_decay);
            let denominator = f64::from(*second).sqrt() / correction2 + epsilon;
            *parameter = (decayed - learning_rate / correction1 * f64::from(*first) / denominator) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(adam: &mut Adam, parameters: &mut [f32], gradients: &[f32]) {
        adam.update(parameters.iter_mut().zip(gradients));
    }

    #[test]
    fn the_first_step_is_the_learning_rate_against_the_sign() {
        let mut adam = Adam::new(AdamOptions::default(), 3);
        let mut parameters = [1.0, 1.0, 1.0];
        update(&mut adam, &mut parameters, &[0.5, -2e-3, 0.0]);
        assert!((parameters[0] - 0.995).abs() < 1e-6);
        assert!((parameters[1] - 1.005).abs() < 1e-6);
        assert_eq!(parameters[2], 1.0);
    }

    /// Worked by hand: m1 = 0.1, s1 = 0.02; m2 = 0.09 - 0.2 = -0.11, s2 = 0.0196 + 0.08 = 0.0996;
    /// m2/(1-0.81) = -0.578947..., sqrt(s2/(1-0.9604)) = sqrt(2.515151...) = 1.585922...
    #[test]
    fn the_second_step_agrees_with_the_sum_on_paper() {
        let mut adam = Adam::new(AdamOptions { learning_rate: 0.1, ..AdamOptions::default() }, 1);
        let mut parameter = [0.0];
        update(&mut adam, &mut parameter, &[1.0]);
        assert!((parameter[0] + 0.1).abs() < 1e-7);
        update(&mut adam, &mut parameter, &[-2.0]);
        assert!((adam.first[0] + 0.11).abs() < 1e-7);
        assert!((adam.second[0] - 0.0996).abs() < 1e-7);
        let expected = -0.1 + 0.1 * 0.578_947_37 / 1.585_922_8;
        assert!((f64::from(parameter[0]) - expected).abs() < 1e-6, "{} is not {expected}", parameter[0]);
    }

    #[test]
    fn epsilon_is_added_after_the_square_root() {
        let mut adam = Adam::new(AdamOptions { learning_rate: 1.0, ..AdamOptions::default() }, 1);
        let mut parameter = [0.0];
        update(&mut adam, &mut parameter, &[1e-8]);
        // g / (|g| + eps) = 1/2; inside the root it would be g / sqrt(g^2 + eps), about 1e-4.
        assert!((parameter[0] + 0.5).abs() < 1e-3, "{}", parameter[0]);
    }

    #[test]
    fn decay_is_decoupled_from_the_moments() {
        let options = AdamOptions { weight_decay: 0.01, ..AdamOptions::default() };
        let mut adam = Adam::new(options, 1);
        let mut parameter = [2.0];
        update(&mut adam, &mut parameter, &[0.0]);
        assert_eq!(adam.first, [0.0]);
        assert!((parameter[0] - 2.0 * (1.0 - 5e-5)).abs() < 1e-6);
    }
}
