//! What one poll of a balancer sees.

use crate::drain::{Left, Sighting};
use crate::haproxy::{Info, StatRow};
use crate::run::Counters;

/// What one poll of a balancer saw.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Who answered.
    pub info: Info,
    /// Another process than the last time: a reload, which forgets `drain` and `maint`.
    pub reloaded: bool,
    /// Another process, or another status than the last time: worth a look at the admin bits.
    pub changed: bool,
    /// One row an entry: the main entries, then the backups.
    pub rows: Vec<StatRow>,
}

impl Poll {
    /// What is in flight here, as a witness.
    pub fn sighting(&self, balancer: &str) -> Sighting {
        let left = self.rows.iter().filter(|row| row.scur + row.qcur > 0).map(|row| Left {
            place: format!("{}/{}", row.proxy, row.server),
            sessions: row.scur,
            queued: row.qcur,
        });
        Sighting { witness: balancer.to_owned(), pid: Some(self.info.pid), left: left.collect() }
    }

    /// The counters of the receipt, summed over the entries.
    pub fn counters(&self) -> Counters {
        self.rows.iter().fold(Counters::default(), |sum, row| {
            sum.plus(Counters {
                sessions: row.stot,
                connect_errors: row.econ,
                response_errors: row.eresp,
                server_aborts: row.srv_abrt,
                client_aborts: row.cli_abrt,
                retries: row.wretr,
                redispatches: row.wredis,
                answers_5xx: row.hrsp_5xx,
            })
        })
    }
}
