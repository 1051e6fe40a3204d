//! Whole reports, read as a person or a program would.

mod example;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use likeness_worker::score::PictureScore;

use super::super::plan::tests::plan;
use super::super::plan::{Plan, ScoredBy, UnitKey};
use super::super::results::Unit;
use super::super::results::tests::unit;
use super::write;

/// All inversions of a plan, with ids that fall from cell to cell.
fn all(plan: &Plan) -> BTreeMap<UnitKey, Unit> {
    let id =
        |key: &UnitKey| 0.6 - 0.1 * key.cell as f64 + 0.01 * key.person as f64 + 0.02 * f64::from(key.seed);
    plan.units().into_iter().map(|key| (key, unit(key, id(&key), 0.25))).collect()
}

fn without_clip(units: &mut BTreeMap<UnitKey, Unit>) {
    for told in units.values_mut().map(|unit| &mut unit.evaluation) {
        (told.clip, told.aggregate, told.diversity, told.copy, told.nearest_copy) =
            (None, None, None, None, None);
    }
}

fn page(plan: &Plan, units: &BTreeMap<UnitKey, Unit>) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::read_to_string(write(folder.path(), plan, units).unwrap().page).unwrap()
}

/// Where these stand in a page, in this order.
#[track_caller]
fn in_order(page: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let found = page[from..].find(part).unwrap_or_else(|| {
            let rest: String = page[from..].chars().take(2000).collect();
            panic!("{part:?} is not in {rest}")
        });
        from += found + part.len();
    }
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

#[test]
fn a_complete_experiment_is_told_in_order() {
    let plan = plan();
    let page = page(&plan, &all(&plan));
    in_order(
        &page,
        &[
            "<h1>Experiment on the fleet's default model</h1>",
            "Complete: all 27 inversions are in.",
            "<b>score</b>",
            "<b>score in the paper</b>",
            "1.8032",
            "<b>id (held-out photos)</b>",
            "<b>norm ratio</b>",
            "Controls",
            "face, untrained",
            "Paired tests",
            "Nothing can be told: with 3 people the smallest possible p is 2/2<sup>3</sup> = 0.250",
            "Likeness and fit to the words",
            "<svg",
            "Length of the vectors",
            "Pictures",
            "Cost",
            "Methods",
            "a photo of sks",
        ],
    );
    for outside in ["http://", "https://", "<script", "<link", "@import"] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
}

#[test]
fn names_and_prompts_are_text() {
    let mut plan = plan();
    let nasty = "<script>alert(\"1\")</script>";
    plan.people[0].name = nasty.to_owned();
    plan.prompts[0] = format!("{nasty} of sks");
    plan.model = nasty.to_owned();
    plan.placeholder = nasty.to_owned();
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures/c0-p0-s0");
    fs::create_dir_all(&pictures).unwrap();
    image::RgbImage::new(4, 4).save(pictures.join("0-0.png")).unwrap();
    let written = write(folder.path(), &plan, &all(&plan)).unwrap();
    let page = fs::read_to_string(&written.page).unwrap();
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("alt=\"&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; of sks\""), "{page}");
    assert_eq!(rows(&written.units)[0]["person"], nasty);
}

#[test]
fn a_report_can_be_written_at_any_moment() {
    let scored_by = ScoredBy { clip: "c11b".into(), ..ScoredBy::default() };
    let plan = Plan { scored_by, ..plan() };
    let mut units = all(&plan);
    let some = page(&plan, &BTreeMap::new());
    in_order(&some, &["0 of 27 inversions are in", "<b>score</b>", "–", "there is no person yet"]);
    let order = plan.units();
    units.retain(|key, _| order[..7].contains(key));
    let folder = tempfile::tempdir().unwrap();
    let written = write(folder.path(), &plan, &units).unwrap();
    in_order(&fs::read_to_string(&written.page).unwrap(), &["7 of 27 inversions are in", "2 of 6", "1 of 6"]);
    assert_eq!(rows(&written.units).len(), 7);
    assert!(fs::read_to_string(&written.markdown).unwrap().ends_with("7 of 27 inversions are in.\n"));
    write(folder.path(), &plan, &all(&plan)).unwrap();
    assert_eq!(rows(&written.units).len(), 27, "a report is written over");
}

#[test]
fn without_clip_likeness_leads() {
    let plan = plan();
    let mut units = all(&plan);
    without_clip(&mut units);
    let page = page(&plan, &units);
    assert!(
        !page.contains("<b>score") && !page.contains("1.8032") && !page.contains("<b>diversity"),
        "{page}"
    );
    in_order(&page, &["there is no score", "<b>id (held-out photos)</b>", "<b>id (photos learned from)</b>"]);
    in_order(
        &page,
        &[
            "difference in id (held-out photos)",
            "id (held-out photos) of every inversion",
            "norm ratio of every",
        ],
    );
}

#[test]
fn one_seed_has_no_deviation() {
    let plan = Plan { seeds: 1, ..plan() };
    let page = page(&plan, &all(&plan));
    assert!(!page.contains("class=\"deviation\""), "{page}");
    assert!(page.contains("Complete: all 15"), "{page}");
}

#[test]
fn without_held_out_photos_there_is_one_id() {
    let mut plan = plan();
    plan.people.iter_mut().for_each(|person| person.held_out.clear());
    let mut units = all(&plan);
    units.values_mut().for_each(|unit| unit.evaluation.held_out = None);
    let page = page(&plan, &units);
    assert!(!page.contains("held-out id") && !page.contains("<b>id (held-out"), "{page}");
    in_order(
        &page,
        &["3 learned from, 0 held out", "<b>id (photos learned from)</b>", "difference in id (photos"],
    );
}

#[test]
fn kept_pictures_are_in_the_page() {
    let plan = plan();
    let folder = tempfile::tempdir().unwrap();
    for path in ["pictures/c3-p1-s0/1-0.png", "photos/p1/0.png"] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(8, 8).save(path).unwrap();
    }
    let page = fs::read_to_string(write(folder.path(), &plan, &all(&plan)).unwrap().page).unwrap();
    assert_eq!(page.matches("<img src=\"data:image/png;base64,").count(), 2);
    in_order(&page, &["<h3>id, log_norm:2.71</h3>", "alt=\"photo of bob\"", "alt=\"sks in the snow\""]);
    assert_eq!(page.matches("class=\"sheet\"").count(), 1, "cells and people without pictures are left out");
}

#[test]
fn files_for_other_programs_have_every_number() {
    let plan = plan();
    let mut units = all(&plan);
    let key = UnitKey { cell: 0, person: 2, seed: 1 };
    let picture = |prompt, face| PictureScore { prompt, face, id: 0.5, clip: None };
    units.get_mut(&key).unwrap().evaluation.pictures =
        vec![picture(0, true), picture(1, false), picture(0, true)];
    let folder = tempfile::tempdir().unwrap();
    let written = write(folder.path(), &plan, &units).unwrap();
    let pictures = rows(&written.pictures);
    let shown: Vec<String> = pictures
        .iter()
        .map(|row| {
            format!("{} {} {} {} {:?}", row["person"], row["text"], row["picture"], row["face"], row["clip"])
        })
        .collect();
    assert_eq!(
        shown,
        [
            "cem a photo of sks 0 true \"\"",
            "cem sks in the snow 0 false \"\"",
            "cem a photo of sks 1 true \"\""
        ]
    );
    let first = &rows(&written.units)[4];
    let of = |name: &str| first[name].as_str();
    assert_eq!((of("role"), of("start"), of("person"), of("seed")), ("untrained", "face", "ann", "0"));
    assert_eq!(
        (of("clip"), of("steps"), of("inversion_seconds"), of("ceiling")),
        ("0.25", "400", "30", "0.8")
    );
    let table = rows(&written.table);
    let first = &table[0];
    assert_eq!(
        (first["figure"].as_str(), first["start"].as_str(), first["best"].as_str()),
        ("score", "face", "true")
    );
    // Ids 0.61 and 0.63 by 1.25: 2.0125 and 2.0375.
    assert!((first["mean"].parse::<f64>().unwrap() - 2.025).abs() < 1e-9);
    let markdown = fs::read_to_string(&written.markdown).unwrap();
    in_order(
        &markdown,
        &[
            "| score | face | id |\n|---|--:|--:|\n| none | **2.0250** ± 0.0177 | 1.7750 ± 0.0177 |\n",
            "| id (held-out",
        ],
    );
}
