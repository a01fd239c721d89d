//! `show stat`: counters and status.

use std::str::FromStr;

use csv::{ReaderBuilder, StringRecord};

use super::table::Columns;
use super::{ServerId, Status};

/// One row of `show stat` (management guide, section 9.1). A counter that a version does not have is 0; what is not a
/// counter is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatRow {
    /// `pxname`
    pub proxy: String,
    /// `svname`: a server's name, or `FRONTEND` or `BACKEND`.
    pub server: String,
    /// `iid`: the proxy's id.
    pub iid: u32,
    /// `sid`: the server's id in its proxy; 0 for the proxy itself.
    pub sid: u32,
    /// `type`
    pub kind: StatKind,
    /// `scur`: streams now, websockets and tunnels too. Idle connections do not count.
    pub scur: u64,
    /// `qcur`: requests that wait in the queue.
    pub qcur: u64,
    /// `stot`: streams since the start.
    pub stot: u64,
    /// `slim`: `maxconn`, if there is one.
    pub slim: Option<u64>,
    /// `status`
    pub status: Status,
    /// `weight`: the one in force; for a backend the sum.
    pub weight: Option<u32>,
    /// `uweight`: the one that was set; not in 2.2.
    pub uweight: Option<u32>,
    /// `act`: a backend's usable active servers; 1 for an active server.
    pub act: u64,
    /// `bck`: a backend's usable backup servers; 1 for a backup server.
    pub bck: u64,
    /// `econ`: failed connections.
    pub econ: u64,
    /// `eresp`: failed responses.
    pub eresp: u64,
    /// `wretr`: retries.
    pub wretr: u64,
    /// `wredis`: requests sent to another server instead.
    pub wredis: u64,
    /// `hrsp_5xx`: responses with a status of 500 to 599.
    pub hrsp_5xx: u64,
    /// `cli_abrt`: transfers that the client broke off.
    pub cli_abrt: u64,
    /// `srv_abrt`: transfers that the server broke off.
    pub srv_abrt: u64,
    /// `chkdown`: how often a check took it from UP to DOWN; `maint` and `drain` do not count.
    pub chkdown: u64,
    /// `lastchg`: seconds since it was last UP or DOWN.
    pub lastchg: Option<u64>,
    /// `check_status`, as in `L7OK`, or `* L7OK` while a check runs; empty without checks and in maintenance.
    pub check_status: String,
    /// `check_health`
    pub check_health: Option<i64>,
    /// `check_rise`
    pub check_rise: Option<u64>,
    /// `check_fall`
    pub check_fall: Option<u64>,
    /// `last_chk`: what the last check said. Outside text.
    pub last_check: Option<String>,
    /// `agent_status`; empty without an agent.
    pub agent_status: String,
    /// `throttle`: per cent of its weight, while in `slowstart`.
    pub throttle: Option<u32>,
    /// `tracked`: the server that it tracks.
    pub tracked: Option<String>,
    /// `addr`, as in `127.0.0.1:1000`; from `level operator` on.
    pub addr: Option<String>,
    /// `cookie`: a server's value, a backend's name; from `level operator` on.
    pub cookie: Option<String>,
    /// `algo`: how a backend balances; from `level operator` on.
    pub algo: Option<String>,
    /// `mode`: `http`, `tcp` …
    pub mode: Option<String>,
}

/// `type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatKind {
    /// 0
    Frontend,
    /// 1
    Backend,
    /// 2
    Server,
    /// 3
    Listener,
    /// Any other number.
    Unknown(u32),
}

impl From<u32> for StatKind {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Frontend,
            1 => Self::Backend,
            2 => Self::Server,
            3 => Self::Listener,
            other => Self::Unknown(other),
        }
    }
}

impl StatRow {
    /// Reads the text of `show stat`; `None` where it is no such table or a row lacks its names or ids.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        let table = text.strip_prefix("# ")?;
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(table.as_bytes());
        let mut records = reader.records();
        let header = records.next()?.ok()?;
        let columns = Columns::new(header.iter());
        records.map(|record| Self::parse(&Cells { columns: &columns, record: &record.ok()? })).collect()
    }

    /// Whether this is the row of that server.
    pub fn is(&self, server: &ServerId) -> bool {
        self.kind == StatKind::Server && self.proxy == server.backend.as_str() && self.server == server.server.as_str()
    }

    fn parse(cells: &Cells<'_>) -> Option<Self> {
        Some(Self {
            proxy: cells.text("pxname")?.to_owned(),
            server: cells.text("svname")?.to_owned(),
            iid: cells.value("iid")?,
            sid: cells.value("sid")?,
            kind: cells.value::<u32>("type")?.into(),
            // What can't be read must not pass for "nothing in flight".
            scur: cells.value("scur")?,
            qcur: match cells.text("qcur") {
                Some(queued) => queued.parse().ok()?,
                None => 0,
            },
            stot: cells.counter("stot"),
            slim: cells.value("slim"),
            status: cells.text("status").unwrap_or_default().into(),
            weight: cells.value("weight"),
            uweight: cells.value("uweight"),
            act: cells.counter("act"),
            bck: cells.counter("bck"),
            econ: cells.counter("econ"),
            eresp: cells.counter("eresp"),
            wretr: cells.counter("wretr"),
            wredis: cells.counter("wredis"),
            hrsp_5xx: cells.counter("hrsp_5xx"),
            cli_abrt: cells.counter("cli_abrt"),
            srv_abrt: cells.counter("srv_abrt"),
            chkdown: cells.counter("chkdown"),
            lastchg: cells.value("lastchg"),
            check_status: cells.owned("check_status").unwrap_or_default(),
            check_health: cells.value("check_health"),
            check_rise: cells.value("check_rise"),
            check_fall: cells.value("check_fall"),
            last_check: cells.owned("last_chk"),
            agent_status: cells.owned("agent_status").unwrap_or_default(),
            throttle: cells.value("throttle"),
            tracked: cells.owned("tracked"),
            addr: cells.owned("addr"),
            cookie: cells.owned("cookie"),
            algo: cells.owned("algo"),
            mode: cells.owned("mode"),
        })
    }
}

/// One record, its cells by the name of their column.
struct Cells<'a> {
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl Cells<'_> {
    /// The cell, unless it is missing or empty.
    fn text(&self, column: &str) -> Option<&str> {
        let cell = self.record.get(self.columns.position(column)?)?;
        (!cell.is_empty()).then_some(cell)
    }

    fn owned(&self, column: &str) -> Option<String> {
        self.text(column).map(str::to_owned)
    }

    fn value<T: FromStr>(&self, column: &str) -> Option<T> {
        self.text(column)?.parse().ok()
    }

    fn counter(&self, column: &str) -> u64 {
        self.value(column).unwrap_or_default()
    }
}
