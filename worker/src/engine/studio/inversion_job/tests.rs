use super::*;
use crate::engine::Blame;

#[test]
fn only_an_attempt_after_a_divergence_draws_other_numbers() {
    assert_eq!(reseeded(7, 0), 7, "the first attempts are bit-equal, wherever they run");
    let seeds = [7, reseeded(7, 1), reseeded(7, 2), reseeded(8, 1)];
    let distinct: std::collections::BTreeSet<u64> = seeds.into_iter().collect();
    assert_eq!(distinct.len(), seeds.len());
    assert_eq!(reseeded(7, 1), reseeded(7, 1), "and so are the later ones");
}

#[test]
fn a_loss_that_is_no_number_is_worth_another_attempt() {
    let fault = fault(InversionError::NanLoss { iteration: 3, loss: f64::NAN });
    assert_eq!((fault.code.as_str(), fault.blame), ("nan_loss", Blame::Chance));
}
