//! Likeness and fit in one figure.

use serde::{Deserialize, Serialize};

use super::mean;

/// The product of likeness and fit, each raised by 1 so that neither is ever below zero, in both orders: of the means, as the method's
/// paper reports it, and picture by picture, which rewards those that are good at both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// `(1 + mean clip) (1 + mean id)`.
    pub of_means: f64,
    /// The mean of `(1 + clip) (1 + id)` over the pictures.
    pub mean_of_products: f64,
}

impl Aggregate {
    /// Of `(clip, id)` of each picture; `None` without pictures.
    pub fn of(scores: &[(f64, f64)]) -> Option<Self> {
        let clip = mean(scores.iter().map(|(clip, _)| *clip))?;
        let id = mean(scores.iter().map(|(_, id)| *id))?;
        let products = scores.iter().map(|(clip, id)| (1.0 + clip) * (1.0 + id));
        Some(Self { of_means: (1.0 + clip) * (1.0 + id), mean_of_products: mean(products)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::tests::near;

    #[test]
    fn the_two_orders_differ_where_likeness_costs_fit() {
        let found = Aggregate::of(&[(0.2, 0.8), (0.4, 0.0)]).unwrap();
        near(found.of_means, 1.3 * 1.4);
        near(found.mean_of_products, (1.2 * 1.8 + 1.4) / 2.0);
        let alike = Aggregate::of(&[(0.25, 0.5); 3]).unwrap();
        near(alike.of_means, alike.mean_of_products);
        assert_eq!(Aggregate::of(&[]), None);
    }
}
