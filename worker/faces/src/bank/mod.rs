//! The bank of names: whom a model can draw, found by the model itself, and which of them is most like a person.
//!
//! For each name the model draws portraits of fixed seeds ([`Recipe`]); what a recogniser says of their faces is one line of a
//! log ([`PortraitLog`]), so that a build can go on where it ended. When all names are drawn, [`Rules`] decide which are kept
//! ([`judge`]): a face in most portraits, the same person in all of them, and nobody else's. What is kept is a [`Bank`]: the middle
//! of each name's *generated* faces. No photograph of anybody is needed; where there are some, generated faces have to match them
//! too. [`Bank::best`] matches a person against it.
//!
//! A bank belongs to one model, one detector and one recogniser, and refuses others ([`Bank::check_networks`],
//! [`Bank::check_model`]). A matched name tells what somebody looks like: it is for the start of an inversion, and neither shown to
//! users nor written into files that they get.

mod direction;
mod error;
mod file;
mod judging;
mod leave_out;
mod log;
mod matching;
mod portraits;
mod recipe;

pub use error::BankError;
pub use file::{Bank, BankName, DroppedName};
pub use judging::{Rules, Why, judge};
pub use leave_out::Recognised;
pub use log::{PortraitLog, Written};
pub use matching::Match;
pub use portraits::NamePortraits;
pub use recipe::{DetectorUsed, NAME_PLACE, NetworksUsed, Recipe, RecogniserUsed};
