//! A HAProxy that runs given files, with an admin socket that they do not name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use haproxy_cfg::Environment;
use integration::haproxy::Version;
use integration::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);

/// Ends on drop.
pub(crate) struct Running {
    process: Child,
    folder: TempDir,
}

/// A row of a table, by column; what is empty is left out.
pub(crate) type Row = BTreeMap<String, String>;

impl Running {
    /// Starts it as services run it, with a master, in the calling thread's network namespace, and waits until it answers.
    pub(crate) fn start(version: Version, files: &Path, variables: &BTreeMap<String, String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = folder.path().join("admin.cfg");
        let socket = folder.path().join("admin.sock");
        std::fs::write(&admin, format!("global\n    stats socket {} level admin\n", socket.display())).unwrap();
        let said = File::create(folder.path().join("said")).unwrap();
        let process = Command::new(version.program())
            .args(["-W", "-db"])
            .args([Path::new("-f"), files, Path::new("-f"), &admin])
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut running = Self { process, folder };
        wait::until("HAProxy answers", LIMIT, || {
            if let Some(status) = running.process.try_wait().unwrap() {
                let said = std::fs::read_to_string(running.folder.path().join("said")).unwrap();
                panic!("HAProxy ended, {status}: {said}");
            }
            UnixStream::connect(running.folder.path().join("admin.sock")).ok()
        });
        running
    }

    /// The answer of the admin socket to one line.
    pub(crate) fn ask(&self, line: &str) -> String {
        let mut stream = UnixStream::connect(self.folder.path().join("admin.sock")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `show stat`, by `pxname` and `svname`.
    pub(crate) fn stat(&self) -> BTreeMap<(String, String), Row> {
        let table = self.ask("show stat");
        let mut lines = table.lines().filter(|line| !line.is_empty()).map(cells);
        let header = columns(lines.next().unwrap());
        lines
            .map(|cells| row(&header, cells))
            .map(|row| ((row["pxname"].clone(), row["svname"].clone()), row))
            .collect()
    }

    /// `show servers state`, by backend and server.
    pub(crate) fn states(&self) -> BTreeMap<(String, String), Row> {
        let table = self.ask("show servers state");
        let mut lines = table.lines().skip(1).filter(|line| !line.is_empty());
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let header = columns(words(lines.next().unwrap_or("# be_name srv_name").trim_start_matches("# ")));
        lines
            .map(|line| row(&header, words(line)))
            .map(|row| ((row["be_name"].clone(), row["srv_name"].clone()), row))
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGTERM).ok();
        if wait::exit_within(&mut self.process, LIMIT).is_none() {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }
}

fn columns(mut names: Vec<String>) -> Vec<String> {
    if let Some(first) = names.first_mut() {
        *first = first.trim_start_matches("# ").to_owned();
    }
    names
}

fn row(header: &[String], cells: Vec<String>) -> Row {
    header.iter().cloned().zip(cells).filter(|(_, cell)| !cell.is_empty()).collect()
}

/// The cells of a line of CSV; a quoted cell doubles its quotes.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let cell = cells.last_mut().unwrap();
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    cells
}

/// What a HAProxy says of itself: its version and what it was built with.
pub(crate) fn environment(version: Version) -> Environment {
    let output = Command::new(version.program()).arg("-vv").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_once("roxy version ").unwrap().1;
    let number = number.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap();
    let numbers: Vec<u32> = number.split('.').map(|part| part.parse().unwrap()).collect();
    let features = text.lines().find_map(|line| line.strip_prefix("Feature list : ")).unwrap();
    let built_with = features.split_whitespace().filter_map(|feature| feature.strip_prefix('+'));
    Environment {
        variables: None,
        version: Some(numbers.try_into().unwrap()),
        features: Some(built_with.map(str::to_owned).collect()),
    }
}
