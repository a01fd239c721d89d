//! The built `pitstop`, run from outside, as an operator does.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{binaries, wait};

/// How long a run may take before it is killed.
const LIMIT: Duration = Duration::from_secs(180);

/// A configuration and a state directory of its own.
#[derive(Debug)]
pub struct Pitstop {
    folder: TempDir,
}

/// How a run went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub duration: Duration,
}

impl Outcome {
    /// Panics, with what it said, unless it ended with this code.
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.duration,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Panics, with what it said, unless standard output or error contains all of these.
    pub fn assert_says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(
                self.stdout.contains(text) || self.stderr.contains(text),
                "{text:?} is not said\n--- stdout\n{}\n--- stderr\n{}",
                self.stdout,
                self.stderr
            );
        }
        self
    }

    /// The events of a run with `--output json`.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// How long a step of a run with `--output json` took, all its turns together; panics when it was not taken.
    pub fn time_of(&self, step: &str) -> Duration {
        let ended = |event: &&serde_json::Value| event["event"] == "step_ended" && event["step"] == step;
        let events = self.events();
        let times: Vec<u64> = events.iter().filter(ended).filter_map(|event| event["micros"].as_u64()).collect();
        assert!(!times.is_empty(), "no step {step}\n{}{}", self.stdout, self.stderr);
        Duration::from_micros(times.iter().sum())
    }
}

impl Pitstop {
    /// With this `pitstop.toml`, readable by its owner only.
    pub fn new(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-").tempdir().expect("create a folder for pitstop");
        let pitstop = Self { folder };
        std::fs::create_dir(pitstop.state()).expect("create the state directory");
        pitstop.configure(config);
        pitstop
    }

    /// Replaces `pitstop.toml`.
    pub fn configure(&self, config: &str) {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.config())
            .and_then(|mut file| file.write_all(config.as_bytes()))
            .expect("write pitstop.toml");
    }

    /// Replaces a part of `pitstop.toml`, which must be there.
    pub fn replace(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.config()).expect("read pitstop.toml");
        assert!(text.contains(old), "{old:?} is not in\n{text}");
        self.configure(&text.replace(old, new));
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("pitstop.toml")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A command that is ready to run, with configuration and state directory given.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::ours("pitstop"));
        command
            .arg("--config")
            .arg(self.config())
            .arg("--state-dir")
            .arg(self.state())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Starts it, and does not wait.
    pub fn start(&self, arguments: &[&str]) -> Run {
        Run::start(self.command(arguments))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait()
    }
}

/// A `pitstop` that runs; killed on drop.
#[derive(Debug)]
pub struct Run {
    child: Child,
    begun: Instant,
    // Files, not pipes: a pipe that a daemon inherited would never end.
    stdout: File,
    stderr: File,
}

impl Run {
    /// Starts any command in the same manner, such as `strace` around a `pitstop`.
    pub fn start(mut command: Command) -> Self {
        let file = || tempfile::tempfile().expect("a file for its output");
        let (stdout, stderr) = (file(), file());
        let share = |file: &File| file.try_clone().expect("share a file");
        let child = command
            .stdout(share(&stdout))
            .stderr(share(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, begun: Instant::now(), stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids fit")
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait for pitstop").is_some()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Waits until it has said this on standard error; panics when it ends before.
    pub fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |_, stderr| stderr.contains(text));
    }

    /// Waits until a run with `--output json` has begun this step; panics when it ends before.
    pub fn wait_for_step(&mut self, step: &str) {
        self.wait_until(step, |stdout, _| stdout.contains(&begun(step)));
    }

    /// Waits until a run with `--output json` has begun this step; whether it did before its end.
    pub fn comes_to_step(&mut self, step: &str) -> bool {
        self.comes_to(|stdout, _| stdout.contains(&begun(step)))
    }

    /// Waits until a run with `--output json` has remarked this; panics when it ends before.
    pub fn wait_for_remark(&mut self, text: &str) {
        let has = |line: &str| line.contains("\"event\":\"remark\"") && line.contains(text);
        self.wait_until(text, |stdout, _| stdout.lines().any(has));
    }

    fn wait_until(&mut self, what: &str, said: impl Fn(&str, &str) -> bool) {
        let said = self.comes_to(said);
        assert!(said, "{what:?} is not said\n{}\n{}", read(&self.stdout), self.stderr());
    }

    fn comes_to(&mut self, said: impl Fn(&str, &str) -> bool) -> bool {
        let said = wait::within(LIMIT, || {
            let ended = self.has_ended();
            let said = said(&read(&self.stdout), &self.stderr());
            (said || ended).then_some(said)
        });
        said == Some(true)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("signal pitstop");
    }

    /// Waits for its end; after three minutes it is killed.
    pub fn wait(mut self) -> Outcome {
        let status = wait::exit_within(&mut self.child, LIMIT);
        let duration = self.begun.elapsed();
        if status.is_none() {
            self.child.kill().ok();
        }
        Outcome {
            code: status.and_then(|status| status.code()),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            duration,
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// As the event of a step's begin says it.
fn begun(step: &str) -> String {
    format!("\"event\":\"step_started\",\"step\":\"{step}\"")
}

/// All of a file, whatever its shared position is.
fn read(file: &File) -> String {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}
