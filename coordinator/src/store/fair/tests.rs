//! The bound that the scheduler promises, over random lives.

use std::collections::BTreeMap;

use likeness_shared::proto::{GenerationSpec, InitImage, InversionSpec, QualityRequest, TaskKind};
use proptest::prelude::*;

use super::*;
use crate::store::record::Spec;

fn place(user: u8, class: TaskKind) -> Place {
    Place {
        lane: Lane { model: String::new(), class: class_byte(class) },
        tenant: format!("t{}", user % 2),
        user: format!("u{user}"),
    }
}

fn waits(ledger: &mut MemoryLedger, place: &Place, policy: &FairPolicy) {
    let change = Change { come: Some(1), ..Change::default() };
    apply(ledger, place, &policy.terms(place), change).unwrap();
}

/// Serves whoever is next with a task of `cost`.
fn serve(ledger: &mut MemoryLedger, policy: &FairPolicy, cost: u64) -> Option<Place> {
    let place = next(ledger, &[String::new()]).unwrap()?;
    let charge = i64::try_from(cost).unwrap();
    let change = Change { gone: Some(1), in_flight: 1, charge, served: true, ..Change::default() };
    apply(ledger, &place, &policy.terms(&place), change).unwrap();
    Some(place)
}

fn ends(ledger: &mut MemoryLedger, place: &Place, policy: &FairPolicy, correction: i64) {
    let change = Change { in_flight: -1, charge: correction, ..Change::default() };
    apply(ledger, place, &policy.terms(place), change).unwrap();
}

#[test]
fn users_share_by_gpu_time_and_not_by_tasks() {
    let (mut ledger, policy) = (MemoryLedger::default(), FairPolicy::default());
    let (cheap, dear) = (place(0, TaskKind::Generation), place(2, TaskKind::Generation));
    for _ in 0..1000 {
        waits(&mut ledger, &cheap, &policy);
        waits(&mut ledger, &dear, &policy);
    }
    let mut served = BTreeMap::new();
    for _ in 0..550 {
        let next = next(&ledger, &[String::new()]).unwrap().unwrap();
        let cost = if next == cheap { 1_000 } else { 10_000 };
        serve(&mut ledger, &policy, cost).unwrap();
        ends(&mut ledger, &next, &policy, 0);
        *served.entry(next).or_insert(0) += cost;
    }
    assert_eq!(served[&cheap].abs_diff(served[&dear]) / 10_000, 0, "{served:?}");
}

#[test]
fn a_user_at_its_cap_waits_and_comes_back_without_credit() {
    let mut ledger = MemoryLedger::default();
    let policy = FairPolicy { user_in_flight: 1, ..FairPolicy::default() };
    let (capped, other) = (place(0, TaskKind::Generation), place(2, TaskKind::Generation));
    for _ in 0..20 {
        waits(&mut ledger, &capped, &policy);
        waits(&mut ledger, &other, &policy);
    }
    assert_eq!(serve(&mut ledger, &policy, 10), Some(capped.clone()));
    for _ in 0..10 {
        assert_eq!(serve(&mut ledger, &policy, 10), Some(other.clone()));
        assert_eq!(next(&ledger, &[String::new()]).unwrap(), None, "both are at their cap");
        ends(&mut ledger, &other, &policy, 0);
    }
    ends(&mut ledger, &capped, &policy, 0);
    let served: Vec<bool> = (0..6)
        .map(|_| {
            let place = serve(&mut ledger, &policy, 10).unwrap();
            ends(&mut ledger, &place, &policy, 0);
            place == capped
        })
        .collect();
    let capped = served.iter().filter(|capped| **capped).count();
    assert!((3..=4).contains(&capped), "turn about from here on, but for a tie: {served:?}");
}

#[test]
fn classes_share_by_their_weights_and_lend_what_they_do_not_use() {
    let (mut ledger, policy) = (MemoryLedger::default(), FairPolicy::default());
    let (drawing, learning) = (place(0, TaskKind::Generation), place(2, TaskKind::Inversion));
    for _ in 0..300 {
        waits(&mut ledger, &drawing, &policy);
        waits(&mut ledger, &learning, &policy);
    }
    let mut drawn = 0;
    for _ in 0..400 {
        let place = serve(&mut ledger, &policy, 100).unwrap();
        ends(&mut ledger, &place, &policy, 0);
        drawn += u32::from(place == drawing);
    }
    assert_eq!(drawn, 300, "three quarters for a weight of 300 to 100");
    for _ in 0..200 {
        assert_eq!(serve(&mut ledger, &policy, 100), Some(learning.clone()));
        ends(&mut ledger, &learning, &policy, 0);
    }
}

#[test]
fn a_generation_counts_the_steps_that_it_makes() {
    let units = |strength: Option<f64>| {
        let init_image =
            strength.map(|strength| InitImage { strength: Some(strength), ..InitImage::default() });
        let (steps, pictures) = (Some(50), Some(3));
        units_left(
            &Spec::Generation(GenerationSpec { steps, pictures, init_image, ..GenerationSpec::default() }),
            0,
        )
    };
    assert_eq!([None, Some(1.0), Some(0.5), Some(0.02)].map(units), [150, 150, 75, 3]);
}

#[test]
fn an_inversion_counts_the_pictures_of_its_report() {
    let units = |quality: Option<QualityRequest>, done: u32| {
        let (steps, batch_size) = (Some(100), Some(4));
        let spec = InversionSpec { steps, batch_size, quality, ..InversionSpec::default() };
        units_left(&Spec::Inversion(spec), done)
    };
    let report = QualityRequest {
        prompts: vec!["a photo of sks".to_owned(); 3],
        pictures: Some(2),
        sampler_steps: Some(10),
        ..QualityRequest::default()
    };
    let unguided = QualityRequest { guidance_scale: Some(1.0), ..report.clone() };
    assert_eq!(units(None, 0), 400);
    assert_eq!([0, 100].map(|done| units(Some(report.clone()), done)), [440, 40]);
    assert_eq!(units(Some(unguided), 100), 20);
}

#[test]
fn idle_nodes_are_forgotten_and_the_root_is_not() {
    let (mut ledger, policy) = (MemoryLedger::default(), FairPolicy::default());
    let user = place(0, TaskKind::Generation);
    waits(&mut ledger, &user, &policy);
    serve(&mut ledger, &policy, 10).unwrap();
    waits(&mut ledger, &user, &policy);
    assert_eq!(forget_idle(&mut ledger, StoreTime(1), 100).unwrap(), 0, "it waits");
    serve(&mut ledger, &policy, 10).unwrap();
    let floor = ledger.node(&NodeKey::root()).unwrap().unwrap().floor;
    assert_eq!(forget_idle(&mut ledger, StoreTime(1), 100).unwrap(), 4);
    assert_eq!(ledger.node(&NodeKey::root()).unwrap().unwrap().floor, floor);
    waits(&mut ledger, &user, &policy);
    assert_eq!(ledger.node(&NodeKey::model("")).unwrap().unwrap().virtual_time, floor);
}

/// Of a task and its correction, in the lives below.
const LARGEST_CHARGE: f64 = 1000.0 + 400.0;

#[derive(Debug, Clone)]
enum Step {
    Arrive { user: u8, inversion: bool, tasks: u8 },
    Serve { cost: u64 },
    End { index: usize, correction: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6u8, any::<bool>(), 1..4u8).prop_map(|(user, inversion, tasks)| Step::Arrive {
            user,
            inversion,
            tasks
        }),
        (1..1000u64).prop_map(|cost| Step::Serve { cost }),
        (0..8usize, -400..400i64).prop_map(|(index, correction)| Step::End { index, correction }),
    ]
}

proptest! {
    /// Two users of one tenant and class who both wait all the while differ by two charges at most.
    #[test]
    fn two_backlogged_users_differ_by_two_charges_at_most(
        steps in proptest::collection::vec(step(), 0..200),
        costs in proptest::collection::vec(1..1000u64, 200),
        weights in (1..4u32, 1..4u32),
    ) {
        let mut policy = FairPolicy::default();
        let tenant = policy.tenants.entry("t0".to_owned()).or_default();
        tenant.user_weights.insert("u0".to_owned(), weights.0 * 100);
        tenant.user_weights.insert("u2".to_owned(), weights.1 * 100);
        tenant.user_in_flight = Some(10_000);
        let mut ledger = MemoryLedger::default();
        let mut running = Vec::new();
        // some history first
        for step in steps {
            match step {
                Step::Arrive { user, inversion, tasks } => {
                    let kind = if inversion { TaskKind::Inversion } else { TaskKind::Generation };
                    (0..tasks).for_each(|_| waits(&mut ledger, &place(user, kind), &policy));
                }
                Step::Serve { cost } => running.extend(serve(&mut ledger, &policy, cost)),
                Step::End { index, correction } if index < running.len() => {
                    let place = running.swap_remove(index);
                    ends(&mut ledger, &place, &policy, correction);
                }
                Step::End { .. } => {}
            }
        }
        let (one, other) = (place(0, TaskKind::Generation), place(2, TaskKind::Generation));
        for _ in 0..400 {
            waits(&mut ledger, &one, &policy);
            waits(&mut ledger, &other, &policy);
        }
        let (mut served, mut gaps) = ([0f64; 2], (0f64, 0f64));
        let mut paid = [false; 2];
        for cost in costs {
            let Some(place) = serve(&mut ledger, &policy, cost) else { break };
            for (index, (user, weight)) in [(&one, weights.0), (&other, weights.1)].into_iter().enumerate() {
                if place == *user {
                    served[index] += cost as f64 / f64::from(weight);
                    // a debt that one came with, of any size, is paid once he is served
                    if !paid[index] {
                        paid[index] = true;
                        served = [0.0; 2];
                    }
                }
            }
            let gap = if paid == [true; 2] { served[0] - served[1] } else { 0.0 };
            gaps = (gaps.0.min(gap), gaps.1.max(gap));
        }
        // the first charge of each lies before the comparison
        prop_assert!(gaps.1 - gaps.0 <= 2.0 * LARGEST_CHARGE, "{gaps:?}");
    }
}
