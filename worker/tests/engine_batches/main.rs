//! What a task makes does not depend on its company: who shares its passes, who joins and leaves, whether it is moved.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "a test's own helpers")]
#![allow(clippy::print_stdout, reason = "measured differences are for whoever runs the test")]

mod driving;
mod reports;
#[path = "../support/mod.rs"]
mod support;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;

use likeness_diffusion::picture::RgbPicture;
use likeness_shared::ids::{Fence, TaskId};
use likeness_shared::proto::EarlyStop;
use likeness_worker::engine::{Attempt, Command, Ending, Order, Studio, Work};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use driving::Engine;
use tasks::{Product, diverging, generation, inversion, studio, studio_that_checkpoints, studio_that_pads};

/// What the task makes with the engine to itself.
fn alone(studio: &Arc<Studio>, order: &Order) -> Product {
    let mut engine = Engine::start(studio);
    engine.join(order.clone());
    engine.finish();
    Product::of(&engine.ended[&order.attempt])
}

fn assert_equal(what: &Order, found: &Product, expected: &Product) -> f64 {
    let difference = found.difference(expected);
    assert!(difference <= expected.tolerance(), "{:?} differs by {difference:e}", what.work);
    difference
}

/// A task that the scenario moves, stops, or leaves in peace.
struct Part {
    order: Order,
    joined: bool,
    cancelled: bool,
}

/// Everything that can happen to tasks happens at random moments, on two engines: joins, cancels, pauses, moves.
#[test]
fn a_task_makes_the_same_in_any_company() {
    let studio = studio();
    let orders: Vec<Order> = (0..7).map(inversion).chain((0..5).map(generation)).collect();
    let expected: HashMap<TaskId, Product> =
        orders.iter().map(|order| (order.attempt.task, alone(&studio, order))).collect();
    let (mut moves, mut compared, mut largest) = (0, 0, 0.0_f64);
    for seed in 0..6 {
        let mut chance = SmallRng::seed_from_u64(seed);
        let mut engines = [Engine::start(&studio), Engine::start(&studio)];
        let mut parts: Vec<Part> = orders
            .iter()
            .map(|order| Part { order: order.clone(), joined: false, cancelled: false })
            .collect();
        let mut paused: Vec<(usize, Attempt)> = Vec::new();
        loop {
            let waiting: Vec<usize> = (0..parts.len()).filter(|part| !parts[*part].joined).collect();
            let busy: Vec<usize> = (0..2).filter(|engine| !engines[*engine].live.is_empty()).collect();
            if waiting.is_empty() && busy.is_empty() {
                break;
            }
            if !waiting.is_empty() && (busy.is_empty() || chance.random_bool(0.3)) {
                let part = &mut parts[waiting[chance.random_range(0..waiting.len())]];
                part.joined = true;
                engines[chance.random_range(0..2)].join(part.order.clone());
                continue;
            }
            // something happens to a live task, now and then
            let place = busy[chance.random_range(0..busy.len())];
            let live: Vec<Attempt> = engines[place].live.iter().copied().collect();
            let attempt = live[chance.random_range(0..live.len())];
            match chance.random_range(0..30) {
                0 if seed % 2 == 1 && chance.random_bool(0.2) => {
                    parts.iter_mut().filter(|part| part.order.attempt == attempt).for_each(|part| {
                        part.cancelled = true;
                        engines[place].tell(Command::Cancel(attempt));
                    });
                }
                1..=3 => engines[place].tell(Command::HandBack(attempt)),
                4..=6 => {
                    engines[place].tell(Command::Pause(attempt));
                    paused.push((place, attempt));
                }
                _ => {}
            }
            // a paused task says nothing: let them go on before waiting for a word
            for (place, attempt) in paused.drain(..) {
                engines[place].tell(Command::Resume(attempt));
            }
            let told = engines[place].next();
            let moved = match engines[place].ended.get(&told) {
                Some(Ending::HandedBack { checkpoint, .. }) => Some(checkpoint.clone()),
                _ => None,
            };
            if let Some(checkpoint) = moved {
                let part = parts.iter_mut().find(|part| part.order.attempt == told).unwrap();
                part.order.attempt.fence = Fence(part.order.attempt.fence.0 + 1);
                part.order.checkpoint = checkpoint;
                engines[1 - place].join(part.order.clone());
                moves += 1;
            }
        }
        for part in &parts {
            let ending = engines.iter().find_map(|engine| engine.ended.get(&part.order.attempt)).unwrap();
            if part.cancelled && matches!(ending, Ending::Cancelled) {
                continue;
            }
            let expected = &expected[&part.order.attempt.task];
            largest = largest.max(assert_equal(&part.order, &Product::of(ending), expected));
            compared += 1;
        }
    }
    println!("{compared} results after {moves} moves, the largest difference is {largest:e}");
    // where rows go through the model in parts of one size, their numbers do not know how many others there are
    let in_parts = std::thread::available_parallelism().unwrap().get() > 1;
    assert!(!in_parts || largest == 0.0, "{largest:e}");
    assert!(moves >= 6 && compared >= 40, "{moves} moves, {compared} results: the scenarios show too little");
}

#[test]
fn a_neighbour_that_diverges_takes_nobody_with_it() {
    let studio = studio();
    let healthy: Vec<Order> = (0..3).map(inversion).collect();
    let lost = diverging(4);
    let mut engine = Engine::start(&studio);
    engine.join(lost.clone());
    healthy.iter().for_each(|order| engine.join(order.clone()));
    engine.finish();
    let Ending::Failed(fault) = &engine.ended[&lost.attempt] else { panic!("it did not diverge") };
    assert_eq!(fault.code, "nan_loss");
    for order in &healthy {
        let product = Product::of(&engine.ended[&order.attempt]);
        assert_equal(order, &product, &alone(&studio, order));
    }
}

#[test]
fn previews_come_as_asked_for_and_change_nothing_that_is_learned() {
    let studio = studio();
    let plain = inversion(3);
    let mut watched = plain.clone();
    let Work::Inversion { spec, .. } = &mut watched.work else { panic!("an inversion") };
    spec.preview_every = Some(2);
    let mut engine = Engine::start(&studio);
    engine.join(watched.clone());
    engine.join(generation(2));
    engine.finish();
    let previews = &engine.previews[&watched.attempt];
    let steps: Vec<u32> = previews.iter().map(|preview| preview.step).collect();
    assert_eq!(steps, [2, 4, 6], "of seven iterations");
    let pictures: Vec<RgbPicture> =
        previews.iter().map(|preview| RgbPicture::from_png(&preview.png).unwrap().0).collect();
    assert_ne!(pictures[0].pixels, pictures[2].pixels, "the person changes meanwhile");
    let found = Product::of(&engine.ended[&watched.attempt]);
    assert_equal(&watched, &found, &alone(&studio, &plain));
}

/// By a threshold of 1 it stops as soon as the loss varies less than it has before: at the earliest moment there is.
#[test]
fn one_that_stops_early_says_so_and_its_neighbour_goes_on() {
    let studio = studio();
    let mut early = inversion(0);
    let Work::Inversion { spec, .. } = &mut early.work else { panic!("an inversion") };
    spec.steps = Some(1000);
    spec.early_stop = Some(EarlyStop { window: Some(10), threshold: Some(1.0) });
    let neighbour = inversion(3);
    let mut engine = Engine::start(&studio);
    engine.join(early.clone());
    engine.join(neighbour.clone());
    engine.finish();
    let Ending::Learned(person) = &engine.ended[&early.attempt] else { panic!("nobody was learned") };
    assert!((100..1000).contains(&person.steps), "{} steps", person.steps);
    let product = Product::of(&engine.ended[&neighbour.attempt]);
    assert_equal(&neighbour, &product, &alone(&studio, &neighbour));
}

#[test]
fn rows_that_only_fill_a_pass_up_change_nothing() {
    let (plain, padded) = (studio(), studio_that_pads(true));
    for order in [inversion(2), inversion(4), generation(1), generation(4)] {
        assert_equal(&order, &alone(&padded, &order), &alone(&plain, &order));
    }
}

/// Gradients differ in their last digits; an optimiser that divides by them makes more of that.
#[test]
fn activations_that_are_worked_out_twice_lead_to_the_same_person() {
    let (plain, checkpointing) = (studio(), studio_that_checkpoints());
    for order in [inversion(1), inversion(5)] {
        assert_equal(&order, &alone(&checkpointing, &order), &alone(&plain, &order));
    }
}

/// In passes of the same numbers of rows, whoever the others are, not a bit differs.
#[test]
fn in_passes_of_the_same_shape_results_are_equal_bit_by_bit() {
    let studio = studio();
    let subject = inversion(2);
    let beside = |neighbour: u32| {
        let mut other = inversion(neighbour);
        if let (Work::Inversion { spec, .. }, seed) = (&mut other.work, neighbour) {
            spec.batch_size = Some(5);
            spec.steps = Some(10_000);
            spec.seed = u64::from(seed);
        }
        let mut engine = Engine::start(&studio);
        // the neighbour is in training, and stays there, before the subject comes and until it is done
        engine.join(other.clone());
        engine.join(subject.clone());
        while !engine.ended.contains_key(&subject.attempt) {
            engine.next();
        }
        engine.tell(Command::Cancel(other.attempt));
        engine.finish();
        match Product::of(&engine.ended[&subject.attempt]) {
            Product::Vectors(vectors) => vectors.iter().map(|x| x.to_bits()).collect::<Vec<u32>>(),
            Product::Pictures(_) => panic!("an inversion draws nothing"),
        }
    };
    assert_eq!(beside(8), beside(11));
}
