//! A seeded random campaign. `just test-fault SEED FAULTS` runs a long one; a slice runs with every `cargo test`.

use likeness_tests::campaign::{Plan, print, run};

#[test]
fn a_fleet_under_random_faults_loses_and_doubles_nothing() {
    let plan = Plan::from_environment();
    let recoveries = run(plan);
    print(&recoveries);
    assert_eq!(recoveries.len(), plan.faults);
}
