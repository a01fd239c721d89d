//! `show proc` on the master socket: the processes of one HAProxy.

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// What it is.
    pub kind: ProcessKind,
    /// How many reloads it has lived through.
    pub reloads: u32,
    /// How long it runs, as HAProxy writes it: `0d00h00m02s`.
    pub uptime: String,
    /// Its version, free text.
    pub version: String,
}

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessKind {
    /// Starts the workers and takes no traffic.
    Master,
    /// Takes new traffic.
    Worker,
    /// Was replaced by a reload, and finishes what it has.
    OldWorker,
    /// Anything else: a `program` of the configuration.
    Other,
}

impl Process {
    /// Reads the text of `show proc`; `None` where it is no such table.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        if !text.starts_with("#<PID>") {
            return None;
        }
        let mut old = false;
        let mut processes = Vec::new();
        for line in text.lines() {
            match line.strip_prefix('#') {
                Some(section) => old = section.trim_start().starts_with("old "),
                None => processes.extend(Self::parse(line, old)),
            }
        }
        Some(processes)
    }

    fn parse(line: &str, old: bool) -> Option<Self> {
        // 2.4 and before have one more column, the relative pid, and write `[was: 1]` there for an old worker; 2.6 and later
        // write `[failed: 0]` after the master's reloads. Counted from both ends, the rest is the same.
        let line = without_brackets(line);
        let mut cells = line.split_ascii_whitespace();
        let pid = cells.next()?.parse().ok()?;
        let kind = match cells.next()? {
            "master" => ProcessKind::Master,
            "worker" if old => ProcessKind::OldWorker,
            "worker" => ProcessKind::Worker,
            _ => ProcessKind::Other,
        };
        let version = cells.next_back()?.to_owned();
        let uptime = cells.next_back()?.to_owned();
        let reloads = cells.next_back()?.parse().ok()?;
        Some(Self { pid, kind, reloads, uptime, version })
    }
}

fn without_brackets(line: &str) -> String {
    let mut inside = false;
    line.chars()
        .filter(|c| {
            inside = *c == '[' || inside && *c != ']';
            !inside && *c != ']'
        })
        .collect()
}
