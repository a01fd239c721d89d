//! `show info`: which process answers.

/// The process that gave an answer.
///
/// A HAProxy reload puts a new process behind the same socket, one that knows nothing of what the old one was told; so
/// every call returns the `Info` of the very same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// `Version`, free text as in `2.6.12-1+deb12u4`.
    pub version: String,
    /// Major and minor of the version, where they can be read.
    pub release: Option<(u32, u32)>,
    /// `Pid`
    pub pid: u32,
    /// `Uptime_sec`, in whole seconds.
    pub uptime_sec: u64,
    /// `Start_time_sec`, in seconds since 1970; from 2.4 on.
    pub start_time_sec: Option<u64>,
    /// `Stopping`: an old process that only finishes what it has; what it is told changes nothing that matters.
    pub stopping: bool,
    /// `node`, the host's own name for it.
    pub node: Option<String>,
}

impl Info {
    /// Reads the text of `show info`; `None` where it holds no pid. Unknown keys are ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let field = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim())
        };
        let version = field("Version").unwrap_or_default();
        Some(Self {
            version: version.to_owned(),
            release: release(version),
            pid: field("Pid")?.parse().ok()?,
            uptime_sec: field("Uptime_sec").and_then(|value| value.parse().ok()).unwrap_or_default(),
            start_time_sec: field("Start_time_sec").and_then(|value| value.parse().ok()),
            stopping: field("Stopping").is_some_and(|value| value != "0"),
            node: field("node").filter(|node| !node.is_empty()).map(str::to_owned),
        })
    }

    /// Whether both answers came from the same process, as far as pid and start time tell.
    pub fn same_process(&self, other: &Self) -> bool {
        self.pid == other.pid && self.start_time_sec == other.start_time_sec
    }
}

fn release(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
