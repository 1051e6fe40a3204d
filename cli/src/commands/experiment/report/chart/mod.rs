//! Charts as inline SVG: no script, the page's colours, no meaning in colour alone.

mod axis;
mod marks;
mod scatter;
mod strip;

pub(super) use scatter::{Shown, scatter};
pub(super) use strip::strip;
