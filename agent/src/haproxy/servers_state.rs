//! `show servers state`: what HAProxy itself keeps on record about each server.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::table::{Columns, Row};
use super::{Name, ServerId};

/// One row of `show servers state`, format 1 (management guide, section 9.3; 20 columns in 2.2, 25 from 2.4 on).
/// Whether a server tracks another can't be seen here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Whose.
    pub id: ServerId,
    /// `be_id`, for `show stat`. May change at a reload.
    pub backend_id: u32,
    /// `srv_id`, for `show stat`. May change at a reload.
    pub server_id: u32,
    /// `srv_addr`, where it is an IP address.
    pub address: Option<IpAddr>,
    /// `srv_port`
    pub port: Option<u16>,
    /// `srv_op_state`
    pub operational: OperationalState,
    /// `srv_admin_state`
    pub admin: AdminState,
    /// `srv_uweight`: the weight it has.
    pub weight: u32,
    /// `srv_iweight`: the weight it had in the configuration.
    pub initial_weight: u32,
    /// `srv_time_since_last_change`, in seconds.
    pub since_change_sec: u64,
    /// `srv_check_status`, the number of a status in HAProxy's `check-t.h`; 15 is L7OK.
    pub check_status: u32,
    /// `srv_check_result`: 0 unknown, 1 neutral, 2 failed, 3 passed, 4 conditionally passed.
    pub check_result: u32,
    /// `srv_check_health`: 0 to rise + fall - 1.
    pub check_health: i64,
    /// `srv_check_state`
    pub check: CheckState,
    /// `srv_agent_state`
    pub agent: CheckState,
    /// Where its health check connects: `srv_check_port`, or else the server's own port. `None` where that is not told, as before 2.4.
    pub check_port: Option<u16>,
    /// `srv_fqdn`
    pub fqdn: Option<String>,
    /// `srvrecord`
    pub srv_record: Option<String>,
}

/// `srv_op_state`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationalState {
    /// 0: takes nothing.
    Stopped,
    /// 1: in `slowstart`.
    Starting,
    /// 2: takes traffic.
    Running,
    /// 3: takes only those who stick.
    Stopping,
    /// Any other number.
    Unknown(u32),
}

impl From<u32> for OperationalState {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Stopped,
            1 => Self::Starting,
            2 => Self::Running,
            3 => Self::Stopping,
            other => Self::Unknown(other),
        }
    }
}

impl OperationalState {
    /// In HAProxy's own words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "DOWN",
            Self::Starting => "UP (slowstart)",
            Self::Running => "UP",
            Self::Stopping => "NOLB",
            Self::Unknown(_) => "in an unknown state",
        }
    }
}

/// `srv_admin_state`, a mask of bits (`enum srv_admin` in HAProxy's `server-t.h`). Never compare it with zero: a server that
/// is `disabled` in the configuration keeps that bit while it takes traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdminState(pub u32);

impl AdminState {
    /// In maintenance, for whatever reason: forced, inherited or unresolved.
    pub fn in_maintenance(self) -> bool {
        self.has(0x23)
    }

    /// Draining, forced or inherited. It may be in maintenance as well.
    pub fn draining(self) -> bool {
        self.has(0x18)
    }

    /// Neither in maintenance nor draining.
    pub fn ready(self) -> bool {
        !self.in_maintenance() && !self.draining()
    }

    /// Put in maintenance by a command, the agent or `disabled`.
    pub fn forced_maintenance(self) -> bool {
        self.has(0x01)
    }

    /// In maintenance because the server that it tracks is.
    pub fn inherited_maintenance(self) -> bool {
        self.has(0x02)
    }

    /// `disabled` in the configuration; says nothing about now.
    pub fn configured_disabled(self) -> bool {
        self.has(0x04)
    }

    /// Drained by a command or the agent.
    pub fn forced_drain(self) -> bool {
        self.has(0x08)
    }

    /// Draining because the server that it tracks is.
    pub fn inherited_drain(self) -> bool {
        self.has(0x10)
    }

    /// In maintenance because its name does not resolve.
    pub fn unresolved(self) -> bool {
        self.has(0x20)
    }

    fn has(self, mask: u32) -> bool {
        self.0 & mask != 0
    }
}

/// `srv_check_state` or `srv_agent_state`, a mask of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckState(pub u32);

impl CheckState {
    /// A check is running now.
    pub fn in_progress(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// The configuration has one.
    pub fn configured(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// It is switched on.
    pub fn enabled(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// It rests, as in maintenance.
    pub fn paused(self) -> bool {
        self.0 & 0x08 != 0
    }
}

impl ServerState {
    /// Reads the text of `show servers state`; `None` where it is no such table or a row lacks what every version has.
    /// Rows whose names could not stand in a command are HAProxy's own, and left out.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        let (version, table) = text.split_once('\n')?;
        let (header, rows) = table.split_once('\n').unwrap_or((table, ""));
        if version.trim_end() != "1" {
            return None;
        }
        let columns = Columns::new(header.strip_prefix('#')?.split_ascii_whitespace());
        rows.lines()
            .filter(|line| !line.is_empty())
            .map(|line| Row::new(&columns, line))
            .filter_map(|row| match server_id(&row) {
                Some(Named::Server(id)) => Some(Self::parse(&row, id)),
                Some(Named::Internal) => None,
                None => Some(None),
            })
            .collect()
    }

    fn parse(row: &Row<'_>, id: ServerId) -> Option<Self> {
        let port = |column| row.value(column).filter(|port| *port != 0);
        Some(Self {
            id,
            backend_id: row.value("be_id")?,
            server_id: row.value("srv_id")?,
            address: row.value("srv_addr"),
            port: port("srv_port"),
            operational: row.value::<u32>("srv_op_state")?.into(),
            admin: AdminState(row.value("srv_admin_state")?),
            weight: row.value("srv_uweight")?,
            initial_weight: row.value("srv_iweight")?,
            since_change_sec: row.value("srv_time_since_last_change").unwrap_or_default(),
            check_status: row.value("srv_check_status").unwrap_or_default(),
            check_result: row.value("srv_check_result").unwrap_or_default(),
            check_health: row.value("srv_check_health").unwrap_or_default(),
            check: CheckState(row.value("srv_check_state")?),
            agent: CheckState(row.value("srv_agent_state")?),
            check_port: row
                .value("srv_check_port")
                .and_then(|own: u16| if own == 0 { port("srv_port") } else { Some(own) }),
            fqdn: row.text("srv_fqdn").map(str::to_owned),
            srv_record: row.text("srvrecord").map(str::to_owned),
        })
    }
}

enum Named {
    Server(ServerId),
    Internal,
}

fn server_id(row: &Row<'_>) -> Option<Named> {
    let backend = row.text("be_name")?.parse::<Name>();
    let server = row.text("srv_name")?.parse::<Name>();
    Some(match (backend, server) {
        (Ok(backend), Ok(server)) => Named::Server(ServerId { backend, server }),
        _ => Named::Internal,
    })
}
