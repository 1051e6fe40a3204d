//! Pickles as data: a reader that never runs one, and the writer of the one pickle this project makes.
//!
//! A pickle is a program for a stack machine that may call any function of Python. [`machine`] interprets
//! only the instructions that `torch.save` writes; [`document`] has what they can build; [`globals`] has the
//! few names that may be called and what is made instead of calling them. Anything else ends the reading
//! with its name. Time and memory are linear in the pickle's length, which the caller bounds, nothing
//! recurses, and shared parts stay shared.

mod document;
mod globals;
mod machine;
mod writer;

pub(super) use document::{Document, Node, Storage, StorageType, Tensor};
pub(super) use machine::read;
pub(super) use writer::{Embedding, write_embedding};
