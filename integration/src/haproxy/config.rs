//! HAProxy's configuration as a value.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// `mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Requests are seen.
    Http,
    /// Bytes only.
    Tcp,
}

/// A whole configuration. Defaults: retries 3 with redispatch, round robin, timeouts that no test's request reaches.
#[derive(Debug, Clone)]
pub struct Config {
    mode: Mode,
    socket_level: &'static str,
    redispatch: bool,
    global: Vec<String>,
    defaults: Vec<String>,
    frontends: Vec<(String, SocketAddr, String)>,
    backends: Vec<Backend>,
    extra: Vec<String>,
    /// All of it, as it stands.
    written: Option<String>,
}

/// Where a configuration that is taken as it stands has its admin socket.
const USUAL_SOCKET: &str = "/run/haproxy/admin.sock";

impl Config {
    /// No frontend and no backend yet.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            socket_level: "admin",
            redispatch: true,
            global: Vec::new(),
            defaults: Vec::new(),
            frontends: Vec::new(),
            backends: Vec::new(),
            extra: Vec::new(),
            written: None,
        }
    }

    /// A text that is taken as it stands, but for its admin socket, `/run/haproxy/admin.sock`, which gets a folder of its own. This is where its
    /// frontend listens.
    pub fn written(text: &str, frontend: SocketAddr) -> Self {
        let written = Some(text.to_owned());
        Self { written, ..Self::new(Mode::Http).frontend("", frontend, "") }
    }

    /// With a socket of another level than `admin`, such as `operator`.
    pub fn socket_level(mut self, level: &'static str) -> Self {
        self.socket_level = level;
        self
    }

    /// Without `option redispatch`.
    pub fn without_redispatch(mut self) -> Self {
        self.redispatch = false;
        self
    }

    /// A further line of section `global`.
    pub fn global(mut self, line: &str) -> Self {
        self.global.push(line.to_owned());
        self
    }

    /// A further line of section `defaults`.
    pub fn defaults(mut self, line: &str) -> Self {
        self.defaults.push(line.to_owned());
        self
    }

    /// A frontend that hands everything to one backend.
    pub fn frontend(mut self, name: &str, address: SocketAddr, backend: &str) -> Self {
        self.frontends.push((name.to_owned(), address, backend.to_owned()));
        self
    }

    /// A backend.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backends.push(backend);
        self
    }

    /// A line at the end, where further sections may be written out.
    pub fn line(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }

    /// Where its frontends listen.
    pub fn addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        self.frontends.iter().map(|(_, address, _)| address)
    }

    /// The text, with the admin socket at this path.
    pub fn render(&self, socket: &str) -> String {
        if let Some(text) = &self.written {
            return text.replace(USUAL_SOCKET, socket);
        }
        let mut text = String::new();
        let mut section = |head: &str, lines: &[String]| {
            writeln!(text, "{head}").expect("writing to a string");
            for line in lines {
                writeln!(text, "    {line}").expect("writing to a string");
            }
        };
        let mut global = vec![
            format!("stats socket {socket} mode 600 level {} expose-fd listeners", self.socket_level),
            "stats timeout 30s".to_owned(),
        ];
        global.extend_from_slice(&self.global);
        section("global", &global);
        section("defaults", &self.default_lines());
        for (name, address, backend) in &self.frontends {
            let lines = [format!("bind {address}"), format!("default_backend {backend}")];
            section(&format!("frontend {name}"), &lines);
        }
        for backend in &self.backends {
            section(&format!("backend {}", backend.name), &backend.lines);
        }
        for line in &self.extra {
            writeln!(text, "{line}").expect("writing to a string");
        }
        text
    }

    fn default_lines(&self) -> Vec<String> {
        let mode = match self.mode {
            Mode::Http => "http",
            Mode::Tcp => "tcp",
        };
        let mut lines: Vec<String> = [
            &format!("mode {mode}"),
            "balance roundrobin",
            "retries 3",
            "timeout connect 2s",
            "timeout client 60s",
            "timeout server 60s",
            "timeout queue 30s",
            "timeout check 1s",
        ]
        .map(str::to_owned)
        .into();
        if self.mode == Mode::Http {
            lines.push("timeout http-request 30s".to_owned());
            lines.push("timeout http-keep-alive 60s".to_owned());
        }
        if self.redispatch {
            lines.push("option redispatch".to_owned());
        }
        lines.extend_from_slice(&self.defaults);
        lines
    }
}

/// A backend and its servers.
#[derive(Debug, Clone)]
pub struct Backend {
    name: String,
    lines: Vec<String>,
}

impl Backend {
    /// Without servers yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Vec::new() }
    }

    /// Clients stick by a cookie that HAProxy inserts and the app never sees.
    pub fn cookie(self, name: &str) -> Self {
        self.line(&format!("cookie {name} insert indirect nocache"))
    }

    /// A further line, such as `http-reuse always` or `option httpchk GET /health`.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// A server.
    pub fn server(self, server: Server) -> Self {
        self.line(&server.words)
    }
}

/// A `server` line.
#[derive(Debug, Clone)]
pub struct Server {
    words: String,
}

impl Server {
    /// Without a check.
    pub fn new(name: &str, address: SocketAddr) -> Self {
        Self { words: format!("server {name} {address}") }
    }

    /// Checked on its own port, or another one, `fall 3` and `rise 2`.
    pub fn check(self, port: Option<u16>, every: Duration) -> Self {
        let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
        self.word(&format!("check{port} inter {}ms fall 3 rise 2", every.as_millis()))
    }

    /// The value of its cookie.
    pub fn cookie(self, value: &str) -> Self {
        self.word(&format!("cookie {value}"))
    }

    /// Used only for those who stick, or when no main server is up.
    pub fn backup(self) -> Self {
        self.word("backup")
    }

    /// Further words, such as `on-marked-down shutdown-sessions` or `maxconn 1`.
    pub fn word(mut self, words: &str) -> Self {
        self.words.push(' ');
        self.words.push_str(words);
        self
    }
}
