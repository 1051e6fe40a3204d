//! A quality report as an HTML page beside its pictures.

use std::fmt::Write;

use likeness_shared::proto::QualityReport;

use super::files::PictureFile;
use crate::views;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Quality report</title>\n<style>\n\
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }\n\
th { text-align: left; font-weight: 600; padding-right: 1.5rem; vertical-align: top }\n\
figure { display: inline-block; margin: 0 1rem 1rem 0 }\nimg { width: 12rem; display: block }\n\
figcaption { font-size: .875rem; color: #555 }\n</style>\n<h1>Quality report</h1>\n";

/// The page; the pictures lie in the same folder.
pub(super) fn of(report: &QualityReport, pictures: &[Vec<PictureFile>]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("<table>\n");
    let facts = views::quality_facts(report).into_iter().filter(|(name, _)| *name != "prompt");
    let digests = [
        ("judge (sha256)", report.judge_digest.clone()),
        ("detector (sha256)", report.detector_digest.clone()),
        ("CLIP (sha256)", report.clip_digest.clone()),
    ];
    for (name, fact) in facts.chain(digests).filter(|(_, fact)| !fact.is_empty()) {
        let _ = writeln!(page, "<tr><th>{name}</th><td>{}</td></tr>", escaped(&fact));
    }
    page.push_str("</table>\n");
    for (prompt, files) in report.prompts.iter().zip(pictures) {
        let _ = writeln!(page, "<h2>{}</h2>", escaped(&prompt.prompt));
        for (picture, file) in prompt.pictures.iter().zip(files) {
            let clip = picture.clip.map_or_else(String::new, |clip| format!(", clip {clip:.3}"));
            let id = if picture.face { format!("id {:.3}", picture.id) } else { "no face".to_owned() };
            let _ = writeln!(
                page,
                "<figure><img src=\"{0}\" alt=\"{1}\"><figcaption>seed {2}: {id}{clip}</figcaption></figure>",
                file.name,
                escaped(&prompt.prompt),
                picture.seed
            );
        }
    }
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use likeness_shared::proto::{PictureFigures, PromptFigures};

    use super::*;

    #[test]
    fn prompts_are_text_and_pictures_have_their_figures() {
        let picture = PictureFigures { seed: 1, face: true, id: 0.5, ..PictureFigures::default() };
        let prompt = PromptFigures {
            prompt: "<sks> & \"friends\"".to_owned(),
            pictures: vec![picture, PictureFigures::default()],
            ..PromptFigures::default()
        };
        let report = QualityReport {
            prompts: vec![prompt],
            judge_digest: "aa".to_owned(),
            ..QualityReport::default()
        };
        let file = |name: &str| PictureFile { name: name.to_owned(), png: Vec::new() };
        let page = of(&report, &[vec![file("a.png"), file("b.png")]]);
        for words in [
            "<h2>&lt;sks&gt; &amp; &quot;friends&quot;</h2>",
            "src=\"a.png\"",
            "seed 1: id 0.500<",
            "seed 0: no face<",
            "<th>judge (sha256)</th><td>aa</td>",
        ] {
            assert!(page.contains(words), "{words} in {page}");
        }
        assert!(!page.contains("<sks>"));
    }
}
