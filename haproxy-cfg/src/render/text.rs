//! The recipe as text.

use std::fmt;

use super::{Backend, HttpCheck, Recipe, Server};

/// A word as it has to be written, so that HAProxy reads it as it is (configuration manual, 2.2).
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+%?&()[]<>!*~^|".contains(c) || !c.is_ascii();
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    // Nothing is interpreted in single quotes, so only they themselves have to be written outside.
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "global")?;
        if let Some(socket) = &self.socket {
            writeln!(f, "    # Pitstop needs level admin, to take servers out and put them back.")?;
            writeln!(f, "    stats socket {} mode 660 level admin expose-fd listeners", quote(socket))?;
            writeln!(f, "    stats timeout 10s")?;
        }
        writeln!(f, "    # What an old worker still serves so long after a reload is cut.")?;
        writeln!(f, "    hard-stop-after 30m\n")?;
        writeln!(f, "defaults")?;
        writeln!(f, "    timeout connect 2s")?;
        writeln!(f, "    timeout client  60s")?;
        writeln!(f, "    timeout server  60s")?;
        writeln!(f, "    timeout check   2s")?;
        writeln!(
            f,
            "    # A request that meets a server that is just gone is tried again, in the end on another server."
        )?;
        writeln!(f, "    retries 3")?;
        writeln!(f, "    option redispatch")?;
        self.backends.iter().try_for_each(|backend| write!(f, "\n{backend}"))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "backend {}", self.name)?;
        writeln!(f, "    mode {}", if self.http { "http" } else { "tcp" })?;
        writeln!(f, "    balance roundrobin")?;
        if let Some(check) = &self.check {
            write!(f, "{check}")?;
        }
        if let Some(cookie) = &self.cookie {
            writeln!(f, "    # Both entries of a server share its cookie value; the first that is up is chosen.")?;
            writeln!(f, "    cookie {} insert indirect nocache", quote(cookie))?;
        }
        writeln!(f)?;
        self.servers.iter().try_for_each(|server| writeln!(f, "    {}", server.main()))?;
        let backups: Vec<_> = self.servers.iter().filter_map(Server::backup).collect();
        if !backups.is_empty() {
            writeln!(f)?;
        }
        backups.iter().try_for_each(|backup| writeln!(f, "    {backup}"))
    }
}

impl fmt::Display for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    option httpchk")?;
        let host = self.host.as_ref().map(|host| format!(" hdr Host {}", quote(host))).unwrap_or_default();
        writeln!(f, "    http-check send meth GET uri {}{host}", quote(&self.uri))?;
        let status: Vec<_> = self.status.iter().map(u16::to_string).collect();
        if !status.is_empty() {
            writeln!(f, "    http-check expect status {}", status.join(","))?;
        }
        Ok(())
    }
}

impl Server {
    /// The line of its main entry.
    pub fn main(&self) -> String {
        let port = self.check_port.map(|port| format!(" port {port}")).unwrap_or_default();
        format!("server {} {}{} check{port} inter 2s", self.main, self.address, self.sticks())
    }

    /// The line of its backup entry.
    pub fn backup(&self) -> Option<String> {
        let name = self.backup.as_ref()?;
        Some(format!("server {name} {}{} check inter 2s backup", self.address, self.sticks()))
    }

    fn sticks(&self) -> String {
        self.cookie.as_ref().map(|cookie| format!(" cookie {}", quote(cookie))).unwrap_or_default()
    }
}
