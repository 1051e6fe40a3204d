//! Small fleets: the promise over random loads, and that chance comes from the seed alone.

use proptest::prelude::*;

use super::*;

fn small(seed: u64) -> Settings {
    Settings {
        scenario: Scenario::Day,
        workers: 20,
        users: 60,
        tasks_per_day: 20_000,
        hours: 12.0,
        load: 1.2,
        seed,
    }
}

fn played(settings: &Settings) -> DayReport {
    match simulate(settings).unwrap() {
        Report::Day(report) => report,
        Report::Flood(_) => panic!("a day was asked for"),
    }
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_one_does_not() {
    let (one, same, other) = (played(&small(1)), played(&small(1)), played(&small(2)));
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn every_task_is_accounted_for() {
    let report = played(&small(3));
    let open = report.submitted - report.refused - report.succeeded - report.waiting_at_the_end;
    assert!(open <= 21, "only what runs, or ran on a worker that has just failed, is open: {report:#?}");
    assert!(report.lost_attempts > 0 && report.utilisation > 0.9, "{report:#?}");
    assert!(report.waits.tasks >= report.succeeded, "{report:#?}");
}

#[test]
fn a_flood_holds_others_up_by_less_than_one_task() {
    let settings = Settings { scenario: Scenario::Flood, ..small(4) };
    let Report::Flood(report) = simulate(&settings).unwrap() else { panic!("a flood was asked for") };
    assert_eq!((report.alone.tasks, report.flooded.tasks), (200, 200), "{report}");
    assert_eq!(report.alone.most, 0.0, "{report}");
    assert!(report.flooded.most <= report.task_seconds, "{report}");
    assert!(report.fairness.gap <= 2.0 && report.fairness.gap_with_corrections <= 2.0, "{report}");
    assert!(report.fairness.jain_least > 0.99 && report.fairness.compared >= 201, "{report}");
}

#[test]
fn settings_that_cannot_be_played_are_refused() {
    let refused = simulate(&Settings { workers: 0, ..small(1) }).unwrap_err();
    assert_eq!(refused.to_string(), "cannot simulate with workers: there must be at least one");
    assert_eq!(simulate(&Settings { load: f64::NAN, ..small(1) }).unwrap_err().option, "load");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn users_who_wait_differ_by_two_charges_at_most(
        seed in any::<u64>(),
        workers in 1..40usize,
        users in 2..120usize,
        load in 0.5..3.0f64,
    ) {
        let report = played(&Settings { workers, users, load, hours: 3.0, ..small(seed) });
        prop_assert!(report.fairness.gap <= 2.0, "{report}");
    }
}
