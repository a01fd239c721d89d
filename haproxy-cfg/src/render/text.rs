//! The recipe as text.

use std::fmt;
use std::time::Duration;

use super::{AdminSocket, Backend, Entry, HttpCheck, Recipe};

/// A word as it has to be written, so that HAProxy reads it as it is (configuration manual, 2.2). No word is empty or
/// holds a NUL: HAProxy takes neither.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,=+%?&()[]<>!*~^|;".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    // Nothing is interpreted in single quotes; they themselves, and what would end the line, have to be written outside.
    let inside = word.replace('\'', r"'\''").replace('\n', r"'\n'").replace('\r', r"'\r'");
    format!("'{inside}'")
}

/// A time as HAProxy has it, in whole seconds where that is possible (configuration manual, 2.5).
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_nanos().div_ceil(1_000_000) {
            milliseconds if milliseconds.is_multiple_of(1000) => write!(f, "{}s", milliseconds / 1000),
            milliseconds => write!(f, "{milliseconds}ms"),
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "global")?;
        if let Some(socket) = &self.socket {
            write!(f, "{socket}")?;
        }
        if let Some(master) = &self.master {
            writeln!(f, "    # Start HAProxy with `-W -S {master}`: what an old worker still serves is seen there.")?;
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
        self.write_frontend(f)?;
        self.backends.iter().try_for_each(|backend| write!(f, "\n{backend}"))
    }
}

impl Recipe {
    /// The frontend of the first backend.
    fn write_frontend(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(backend) = self.backends.first() else { return Ok(()) };
        let (before, bind) = match &self.bind {
            Some(bind) => ("", quote(bind)),
            None => ("# ", ":80".to_owned()),
        };
        let mode = mode(backend.http);
        writeln!(f)?;
        if self.bind.is_none() {
            writeln!(f, "# The frontend is yours:")?;
        }
        writeln!(f, "{before}frontend www")?;
        writeln!(f, "{before}    mode {mode}")?;
        writeln!(f, "{before}    bind {bind}")?;
        writeln!(f, "{before}    default_backend {}", backend.name)
    }
}

fn mode(http: bool) -> &'static str {
    if http { "http" } else { "tcp" }
}

impl fmt::Display for AdminSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    # Pitstop needs level admin, to take servers out and put them back.")?;
        match self {
            Self::Unix(path) => {
                writeln!(f, "    stats socket {} mode 660 level admin expose-fd listeners", quote(path))?;
            }
            Self::Tcp(address) => {
                let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
                let allowed = match address.ip().is_loopback() {
                    true => "",
                    false => {
                        writeln!(
                            f,
                            "    # Whoever reaches this can take every server out: let the firewall admit the apps' hosts alone."
                        )?;
                        " # pitstop: allow socket-open"
                    }
                };
                writeln!(f, "    stats socket {family}@{address} level admin{allowed}")?;
            }
        }
        writeln!(f, "    stats timeout 10s")
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "backend {}", self.name)?;
        writeln!(f, "    mode {}", mode(self.http))?;
        writeln!(f, "    balance roundrobin")?;
        if let Some(timeout) = self.check_timeout {
            writeln!(f, "    timeout check {}", Time(timeout))?;
        }
        if let Some(check) = &self.check {
            write!(f, "{check}")?;
        }
        if let Some(cookie) = &self.cookie {
            writeln!(f, "    # Both entries of a server share its cookie value; the first that is up is chosen.")?;
            writeln!(f, "    cookie {} insert indirect nocache", quote(cookie))?;
        }
        if self.entries.iter().any(|entry| entry.tls) {
            writeln!(
                f,
                "    # `verify none` only encrypts; `verify required` with `ca-file` and `verifyhost` proves who answers."
            )?;
        }
        self.write_entries(
            f,
            false,
            "The main entries of other hosts belong here, each with a name and cookie of its own:",
        )?;
        self.write_entries(f, true, "And their backup entries here:")
    }
}

impl Backend {
    /// The entries of one kind, and where those of other hosts belong.
    fn write_entries(&self, f: &mut fmt::Formatter<'_>, backup: bool, others: &str) -> fmt::Result {
        let mut last = None;
        for entry in self.entries.iter().filter(|entry| entry.backup == backup) {
            if last.is_none() {
                writeln!(f)?;
            }
            if !backup && self.twin_shares_check(entry) {
                // Nothing closes the port: the socket takes out both.
                writeln!(f, "    {entry} # pitstop: allow twin-check-port")?;
            } else {
                writeln!(f, "    {entry}")?;
            }
            last = Some(entry);
        }
        let Some(last) = last else { return Ok(()) };
        let port = last.address.rsplit_once(':').map_or("PORT", |(_, port)| port);
        let elsewhere = Entry {
            name: if backup { "NAME-backup" } else { "NAME" }.to_owned(),
            address: format!("ADDRESS:{port}"),
            cookie: last.cookie.as_ref().map(|_| "NAME".to_owned()),
            ..last.clone()
        };
        writeln!(f, "    # {others}")?;
        writeln!(f, "    # {elsewhere}")
    }

    /// Whether the backup entry of the same server is checked on the same port.
    fn twin_shares_check(&self, main: &Entry) -> bool {
        main.check_port.is_none()
            && self
                .entries
                .iter()
                .any(|entry| entry.backup && entry.address == main.address && entry.check_port.is_none())
    }
}

impl fmt::Display for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    option httpchk")?;
        // A header's value is a format of its own, in which only `%` has a meaning (configuration manual, 8.2.4).
        let host = self.host.as_ref().map(|host| format!(" ver HTTP/1.1 hdr Host {}", quote(&host.replace('%', "%%"))));
        writeln!(f, "    http-check send meth GET uri {}{}", quote(&self.uri), host.unwrap_or_default())?;
        match self.status.as_slice() {
            [] => Ok(()),
            [one] => writeln!(f, "    http-check expect status {one}"),
            // Lists came with 2.4.
            several => {
                let several: Vec<_> = several.iter().map(u16::to_string).collect();
                writeln!(f, "    http-check expect rstatus {}", quote(&format!("^({})$", several.join("|"))))
            }
        }
    }
}

/// The whole `server` line.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} {}", self.name, self.address)?;
        if let Some(cookie) = &self.cookie {
            write!(f, " cookie {}", quote(cookie))?;
        }
        if self.tls {
            write!(f, " ssl verify none")?;
        }
        write!(f, " check")?;
        if let Some(port) = self.check_port {
            write!(f, " port {port}")?;
            if self.tls {
                // With a port of their own, checks do not follow the server's `ssl`.
                write!(f, " check-ssl")?;
            }
        }
        write!(f, " inter {} fall {} rise {}", Time(self.inter), self.fall, self.rise)?;
        if self.backup { write!(f, " backup") } else { Ok(()) }
    }
}
