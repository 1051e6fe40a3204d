//! What a report says, and how much of it. What is found and repaired is told by the stories of `conformance/scrub.rs`.

use likeness_shared::ids::PersonId;

use super::*;

#[test]
fn a_report_counts_what_it_has_no_room_for() {
    let difference =
        |number| Difference { row: Row::InFlight(format!("party-{number}"), 1), is: Is::Missing };
    let many: Vec<Difference> = (0..1500).map(difference).collect();
    let scrubbed = Scrubbed::of(&many, 7, true);
    assert_eq!((scrubbed.found, scrubbed.differences.len(), scrubbed.tasks), (1500, 1000, 7));
    assert_eq!(scrubbed.differences[0], "index in_flight lacks party-0: 1 leases");
}

#[test]
fn no_report_tells_a_persons_name() {
    let owner = "acme/anna".to_owned();
    for row in [
        Row::Name(owner.clone(), "aunt".to_owned(), PersonId::from_bytes([7; 16])),
        Row::NameInOrder(owner, "aunt".to_owned()),
    ] {
        let sentence = Difference { row, is: Is::LeftOver }.to_string();
        assert!(sentence.contains("acme/anna") && !sentence.contains("aunt"), "{sentence}");
    }
}
