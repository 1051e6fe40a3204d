//! What the end-to-end tests share. They run the real programs as processes and look at what these print, write and
//! answer; nothing here knows their insides.
//!
//! [`binaries`] finds (and builds) the programs, [`service`] keeps one running and reads along, [`fleet`] starts
//! coordinators and workers, [`cli`] runs single commands, [`asking`] is a client, [`proxy`] and [`redis`] stand where
//! something is to break, [`protocol_one`] speaks as the release before did, [`measure`] holds recovery times against
//! their bounds, [`outage`] says how long one lasts, [`campaign`] breaks at random, [`photographs`] are
//! real faces with the networks that know them, [`world`] names the shipped model, people and fixtures.
//! Waits are for events, with a deadline; a wait that runs out prints what the process had said.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is how a test speaks")]
#![allow(clippy::print_stdout, reason = "measured times are for whoever runs the tests")]

pub mod asking;
pub mod binaries;
pub mod campaign;
pub mod cli;
pub mod fleet;
pub mod measure;
pub mod outage;
pub mod photographs;
pub mod protocol_one;
pub mod proxy;
pub mod redis;
pub mod service;
pub mod world;
