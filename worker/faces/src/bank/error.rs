//! Why a bank cannot be built, read or used.

use std::io;
use std::path::PathBuf;

/// Why a bank cannot be built, read or used.
#[derive(Debug, thiserror::Error)]
pub enum BankError {
    /// A file that cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another file, or a damaged one.
    #[error("{} is not a bank of names: {reason}; give a file that `likeness bank build` has written", path.display())]
    NotABank {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A later version's file.
    #[error("{} is a bank of version {found}, and this program reads version {known}: use a newer program, or build the bank again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// Something that stands beside the output and is not its log.
    #[error("{} is not the portraits of a bank: {reason}; move it away to build anew", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The portraits so far were made otherwise.
    #[error("{} has portraits that were made otherwise: {differs}; give the same options, or another --out, or delete that file to draw everything anew", path.display())]
    OtherRecipe {
        /// The log.
        path: PathBuf,
        /// What differs.
        differs: String,
    },
    /// Networks other than the bank's.
    #[error(
        "the bank of names was built with other networks: {0}; configure the same, or build the bank again with these"
    )]
    Networks(String),
    /// A model other than the bank's.
    #[error(
        "the bank of names was built with another model ({expected}) than this one ({found}): build a bank with this model"
    )]
    Model {
        /// The bank's.
        expected: String,
        /// The one at hand.
        found: String,
    },
    /// An embedding of another recogniser.
    #[error(
        "an embedding of {found} numbers cannot be held against the bank's of {expected}: use the recogniser that it was built with"
    )]
    Width {
        /// The bank's.
        expected: usize,
        /// The embedding's.
        found: usize,
    },
}
