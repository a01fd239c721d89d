//! `show servers conn`: connections that HAProxy keeps to its servers.

use super::ServerId;
use super::table::{Columns, Row};

/// One row of `show servers conn`. For a look by a person: whether a server is quiet is not to be read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConnections {
    /// Whose.
    pub id: ServerId,
    /// `used_cur`: connections in use.
    pub used: u64,
    /// `unsafe_nb`: idle connections that may only be used again by the same client.
    pub idle_unsafe: u64,
    /// `safe_nb`: idle connections that anyone may use again.
    pub idle_safe: u64,
    /// `idle_cur`: idle connections in all.
    pub idle: u64,
    /// `served`: requests being served; from 3.3 on.
    pub served: Option<u64>,
}

impl ServerConnections {
    /// Reads the text of `show servers conn`; `None` where it is no such table. Rows whose names could not stand in a
    /// command are HAProxy's own, and left out.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        let (header, rows) = text.split_once('\n')?;
        let columns = Columns::new(header.strip_prefix('#')?.split_ascii_whitespace());
        columns.position("bkname/svname")?;
        Some(
            rows.lines()
                .map(|line| Row::new(&columns, line))
                .filter_map(|row| {
                    let count = |column| row.value(column).unwrap_or_default();
                    Some(Self {
                        id: row.value("bkname/svname")?,
                        used: count("used_cur"),
                        idle_unsafe: count("unsafe_nb"),
                        idle_safe: count("safe_nb"),
                        idle: count("idle_cur"),
                        served: row.value("served"),
                    })
                })
                .collect(),
        )
    }
}
