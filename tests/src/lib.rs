//! What the end-to-end tests share. They run the real programs as processes and look at what these print, write and
//! answer; nothing here knows their insides.
//!
//! [`binaries`] finds (and builds) the programs, [`service`] keeps one running and reads along, [`fleet`] starts
//! coordinators and workers, [`cli`] runs single commands, [`world`] names the shipped model, people and fixtures.
//! Waits are for events, with a deadline; a wait that runs out prints what the process had said.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is how a test speaks")]

pub mod binaries;
pub mod cli;
pub mod fleet;
pub mod service;
pub mod world;
