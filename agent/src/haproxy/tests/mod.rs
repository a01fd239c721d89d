//! The pure parts: rendering, framing and reading, against answers of four real versions and against noise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod codec;
mod commands;
mod errors;
mod lines;
mod properties;
mod replies;

use super::{Name, ServerId};

/// The recorded answers of one version to one question.
macro_rules! recorded {
    ($($name:literal),*) => {
        &[$(
            ("2.2", include_str!(concat!("../fixtures/2.2-", $name, ".txt"))),
            ("2.6", include_str!(concat!("../fixtures/2.6-", $name, ".txt"))),
            ("3.0", include_str!(concat!("../fixtures/3.0-", $name, ".txt"))),
            ("3.2", include_str!(concat!("../fixtures/3.2-", $name, ".txt"))),
        )*]
    };
}

type Recorded = &'static [(&'static str, &'static str)];

const INFO: Recorded = recorded!("show-info");
const STAT: Recorded = recorded!("show-stat");
const SERVERS_STATE: Recorded = recorded!("show-servers-state");
const SERVERS_CONN: Recorded = recorded!("show-servers-conn");
const LINE: Recorded = recorded!("line");
const PROCESSES: Recorded = recorded!("show-proc");
const OLD_STAT: Recorded = recorded!("old-show-stat");
const OLD_SESSIONS: Recorded = recorded!("old-show-sess");

fn server(text: &str) -> ServerId {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}
