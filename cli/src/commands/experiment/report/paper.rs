//! What the method's paper reports of its own model and networks (doi 10.21685/2587-7704-2023-8-2-6).

use maud::{Markup, html};

const STARTS: [&str; 3] = ["face", "rand2", "id"];
const SCORES: [(&str, [&str; 3]); 3] = [
    ("none", ["1.7611", "1.7765", "1.7978"]),
    ("log_norm:2.71", ["1.7271", "1.7546", "1.8032"]),
    ("log_norm:2", ["1.7500", "1.7490", "1.8029"]),
];
const BEST: &str = "1.8032";

/// The paper's table, for the page.
pub(super) fn table() -> Markup {
    html! {
        figure.paper {
            figcaption { b { "score in the paper" } " " small { "(marked: highest)" } }
            div.scroll tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "parameterisation" }
                        @for start in STARTS { th.number scope="col" { (start) } }
                    } }
                    tbody {
                        @for (method, scores) in SCORES {
                            tr {
                                th scope="row" { (method) }
                                @for score in scores { td.number.best[score == BEST] { (score) } }
                            }
                        }
                    }
                }
            }
            p.note {
                "Stable Diffusion 2.1-base, 12 people, 3 seeds, 25 prompts, 16 pictures each. Absolute values of other models and other "
                "networks cannot be compared with these; the order of the cells can."
            }
        }
    }
}
