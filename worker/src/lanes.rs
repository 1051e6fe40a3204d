//! Parts of a pass side by side, each on a thread of its own: how rows go through a model on the CPU (`StableDiffusion::lanes`).

use std::panic::resume_unwind;
use std::thread;

/// Works on parts of `items` of `each` (0 counts as 1), on at most `lanes` threads at once, and gives the outcomes in
/// order. A panic in one of them goes on in the caller.
pub(crate) fn in_lanes<T: Sync, R: Send>(
    items: &[T],
    each: usize,
    lanes: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let parts: Vec<&[T]> = items.chunks(each.max(1)).collect();
    let lanes = lanes.clamp(1, parts.len().max(1));
    if lanes == 1 {
        return parts.into_iter().map(work).collect();
    }
    let work = &work;
    // every lane takes each `lanes`th part: the outcomes are put in order again below
    let of_lanes: Vec<Vec<R>> = thread::scope(|scope| {
        let lane = |lane: usize| parts.iter().skip(lane).step_by(lanes).map(|part| work(part)).collect();
        let spawned: Vec<_> =
            (1..lanes).map(|number| scope.spawn(move || -> Vec<R> { lane(number) })).collect();
        let first = lane(0);
        let joined = spawned.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
        std::iter::once(first).chain(joined).collect()
    });
    let mut of_lanes: Vec<_> = of_lanes.into_iter().map(Vec::into_iter).collect();
    (0..parts.len()).filter_map(|part| of_lanes.get_mut(part % lanes)?.next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_order_from_any_number_of_lanes() {
        let items: Vec<u32> = (0..23).collect();
        let expected: Vec<u32> = items.chunks(2).map(|part| part.iter().sum()).collect();
        for lanes in [0, 1, 2, 3, 50] {
            assert_eq!(
                in_lanes(&items, 2, lanes, |part| part.iter().sum::<u32>()),
                expected,
                "{lanes} lanes"
            );
        }
        assert!(in_lanes(&[0_u8; 0], 0, 4, <[u8]>::len).is_empty());
    }

    #[test]
    fn a_panic_in_a_lane_is_the_callers() {
        let panic = std::panic::catch_unwind(|| {
            in_lanes(&[1, 2, 3], 1, 3, |part| assert!(part[0] != 2, "two"));
        });
        assert!(panic.is_err());
    }
}
