//! Planning in virtual time: passes cost what their rows cost.

use super::*;

const SMALL: Class = Class { model: 0, size: (64, 64) };
const LARGE: Class = Class { model: 0, size: (128, 64) };
const ROW: f64 = 0.01;
const LONGEST: Duration = Duration::from_millis(500);

fn rows_of(pass: &Pass) -> Vec<(usize, u32)> {
    pass.members.iter().map(|member| (member.place, member.rows)).collect()
}

struct World {
    planner: Planner,
    tasks: Vec<Candidate>,
    /// Device time of each task.
    paid: Vec<f64>,
}

fn demand(stage: Stage, class: Class, rows: u32) -> Demand {
    let drawing = matches!(stage, Stage::Prompt | Stage::Sample | Stage::Decode);
    let side = if drawing { Side::Drawing } else { Side::Learning };
    Demand { side, stage, class, rows }
}

impl World {
    fn new(drawing_share: f64, demands: &[Demand]) -> Self {
        let planner = Planner::new(drawing_share, LONGEST);
        let mut world = Self { planner, tasks: Vec::new(), paid: Vec::new() };
        demands.iter().for_each(|demand| world.join(*demand));
        world
    }

    fn join(&mut self, demand: Demand) {
        let clock = self.planner.clock_at_joining(demand.side, 0.0);
        self.tasks.push(Candidate { place: self.tasks.len(), demand, clock, alone: false });
        self.paid.push(0.0);
    }

    /// Plans a pass and makes it.
    fn turn(&mut self) -> Pass {
        let pass = self.planner.plan(&self.tasks).unwrap();
        let took = Duration::from_secs_f64(ROW * f64::from(pass.rows()));
        self.planner.made(&pass, took, || None);
        for Member { place, rows, .. } in &pass.members {
            let share = pass.share(*rows, took).as_secs_f64();
            self.tasks[*place].clock += share;
            self.paid[*place] += share;
        }
        pass
    }

    /// The next pass's members and their rows.
    fn members(&mut self) -> Vec<(usize, u32)> {
        rows_of(&self.turn())
    }

    fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| drop(self.turn()));
    }
}

#[test]
fn small_tasks_share_a_pass_and_others_classes_and_stages_do_not() {
    let mut world = World::new(
        0.75,
        &[
            demand(Stage::Train, SMALL, 3),
            demand(Stage::Train, LARGE, 3),
            demand(Stage::Train, SMALL, 3),
            demand(Stage::Encode, SMALL, 1),
            demand(Stage::Train, SMALL, 3),
        ],
    );
    let pass = world.turn();
    assert_eq!((pass.stage, pass.class), (Stage::Train, SMALL));
    assert_eq!(rows_of(&pass), [(0, 3), (2, 3)], "the third would make it larger than the first size");
    assert_eq!(world.members(), [(1, 3)]);
    assert_eq!(world.turn().stage, Stage::Encode);
    assert_eq!(world.members(), [(4, 3), (0, 3)], "whoever is furthest behind leads");
}

#[test]
fn tasks_that_do_not_all_fit_get_on_at_the_same_pace() {
    let demands: Vec<Demand> = [8, 5, 3, 2, 8, 1].map(|rows| demand(Stage::Train, SMALL, rows)).to_vec();
    let mut world = World::new(0.75, &demands);
    world.turns(3000);
    let least = world.paid.iter().copied().fold(f64::INFINITY, f64::min);
    let most = world.paid.iter().copied().fold(0.0, f64::max);
    // small ones fill up others' passes, but not for ever
    let bound = LONGEST.as_secs_f64() + 2.0 * 8.0 * ROW;
    assert!(most - least <= bound, "{:?}", world.paid);
}

#[test]
fn both_sides_want_the_device_and_get_their_shares() {
    let mut world = World::new(0.75, &[demand(Stage::Train, SMALL, 8), demand(Stage::Sample, SMALL, 2)]);
    world.turns(2000);
    let share = world.paid[1] / (world.paid[0] + world.paid[1]);
    assert!((share - 0.75).abs() < 0.02, "drawing got {share}");
}

/// Previews of an inversion are drawn on its own time, in passes that generations share.
#[test]
fn the_other_sides_rows_fill_a_pass_up_and_pay_for_themselves() {
    let preview = Demand { side: Side::Learning, ..demand(Stage::Sample, SMALL, 2) };
    let mut world = World::new(0.75, &[preview, demand(Stage::Sample, SMALL, 2)]);
    let pass = world.turn();
    assert_eq!(rows_of(&pass), [(1, 2), (0, 2)]);
    assert!((world.paid[0] - world.paid[1]).abs() < 1e-9);
    assert!(world.planner.learning.time > world.planner.drawing.time, "its share is smaller");
}

#[test]
fn a_generation_that_comes_is_next_and_has_nothing_to_catch_up_with() {
    let mut world = World::new(0.75, &[demand(Stage::Train, SMALL, 8)]);
    world.turns(1000);
    world.join(demand(Stage::Sample, SMALL, 2));
    assert_eq!(world.turn().stage, Stage::Sample);
    let drawn = (0..100).filter(|_| world.turn().stage == Stage::Sample).count();
    assert!((85..=95).contains(&drawn), "{drawn} of 100 passes, each a quarter of a training pass long");
}

#[test]
fn a_task_that_joins_neither_waits_nor_keeps_others_waiting() {
    let mut world = World::new(0.75, &[demand(Stage::Train, SMALL, 8), demand(Stage::Train, SMALL, 8)]);
    world.turns(1000);
    let before = world.paid.clone();
    world.join(demand(Stage::Train, SMALL, 8));
    world.turns(300);
    let gained: Vec<f64> =
        world.paid.iter().enumerate().map(|(task, paid)| paid - before.get(task).unwrap_or(&0.0)).collect();
    assert!(gained.iter().all(|gain| (gain - 8.0).abs() <= 0.2), "{gained:?}");
}

#[test]
fn there_is_room_for_what_fills_a_pass_and_for_one_picture_more() {
    let mut world = World::new(0.75, &[demand(Stage::Train, SMALL, 4)]);
    assert_eq!(world.planner.room(&[]), 2, "a task's usual rows fill the first size");
    assert_eq!(world.planner.room(&world.tasks), 3);
    (0..20).for_each(|_| world.join(demand(Stage::Train, SMALL, 4)));
    // rows get cheaper up to 32 of them
    for _ in 0..200 {
        let pass = world.planner.plan(&world.tasks).unwrap();
        let took = Duration::from_secs_f64(0.02 * (f64::from(pass.rows()) / 32.0).max(1.0));
        world.planner.made(&pass, took, || None);
        pass.members.iter().for_each(|member| world.tasks[member.place].clock += 1e-3);
    }
    assert_eq!(world.planner.room(&world.tasks), 9);
}

#[test]
fn a_task_whose_pass_failed_goes_alone() {
    let mut world = World::new(0.75, &[demand(Stage::Train, SMALL, 2); 3]);
    world.tasks.iter_mut().take(2).for_each(|task| task.alone = true);
    let passes: Vec<Vec<(usize, u32)>> = (0..3).map(|_| world.members()).collect();
    assert_eq!(passes, [vec![(0, 2)], vec![(1, 2)], vec![(2, 2)]]);
}

#[test]
fn a_task_larger_than_memory_goes_in_pieces() {
    let mut world = World::new(0.75, &[demand(Stage::Train, SMALL, 8), demand(Stage::Train, SMALL, 2)]);
    world.planner.sizes.shrink(Stage::Train, SMALL, 8);
    let pass = world.turn();
    assert_eq!((rows_of(&pass), pass.most_rows), (vec![(0, 8)], 4));
}
