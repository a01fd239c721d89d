//! Commands that must outlive us: in a session of their own, with no pipe to us, their words in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{AccessFlags, access};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::family::{blocking, unreadable};
use super::mark::{Mark, Purpose, without};
use super::{Note, Notify, ServiceError};
use crate::config::settings::Label;
use crate::process::{self, Process};
use crate::text::escape_lines;

/// How much of the log an error shows.
const TAIL: u64 = 2048;

/// What stands before a command that is to get a scope of its own.
const SCOPE: [&str; 5] = ["systemd-run", "--scope", "--quiet", "--collect", "--no-ask-password"];

/// How long systemd may take to make a scope.
const SCOPE_LIMIT: Duration = Duration::from_secs(5);

/// Starts commands for one app.
///
/// Each gets a session of its own (setsid(1)), `/` as its directory, nothing to read, and appends what it prints to
/// the app's log. It carries the [`Mark`] of the run that started it. Where systemd runs it gets a scope of its own
/// (systemd-run(1)), so the end of our unit or login does not end it. No shell is involved.
#[derive(Debug, Clone)]
pub struct Launcher {
    mark: Mark,
    log: PathBuf,
    /// Whether systemd makes scopes for us, once that was tried.
    scopes: OnceCell<bool>,
}

/// A command that was started.
#[derive(Debug)]
pub struct Child {
    child: tokio::process::Child,
    process: Process,
    mark: Mark,
    command: String,
    log: PathBuf,
    /// Where in the log its own words begin.
    from: u64,
}

impl Launcher {
    /// Commands of `app` write to `APP.log` in `log_dir` and carry the mark of `run`, in which they serve `purpose`.
    pub fn new(app: &Label, log_dir: &Path, run: &str, purpose: Purpose) -> Self {
        let mark = Mark { app: app.to_string(), run: run.to_owned(), purpose };
        Self { mark, log: log_dir.join(format!("{app}.log")), scopes: OnceCell::new() }
    }

    /// What its commands carry.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Where the commands' words go.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether this command can be started at all, without starting it.
    pub fn check(&self, command: &[String]) -> Result<(), ServiceError> {
        let program = command.first().map(String::as_str).unwrap_or_default();
        for needed in [program, "setsid"] {
            if find_program(needed).is_none() {
                return Err(ServiceError::untouched(format!("{needed:?} can't be run: no such executable"))
                    .with_hint(format!("command -v {needed:?}")));
            }
        }
        Ok(())
    }

    /// Finds out whether systemd makes scopes for us. To be called before an app is stopped, so that it need not be
    /// found out while it is down.
    pub async fn prepare(&self) {
        self.scopes.get_or_init(makes_scopes).await;
    }

    /// Starts a command and does not wait for it. The intent is noted before, its process after.
    ///
    /// # Errors
    /// Nothing was started. [`ServiceError::touched`] is false: the caller knows what came before.
    pub async fn spawn(&self, command: &[String], notify: Notify<'_>) -> Result<Child, ServiceError> {
        let shown = show(command);
        let failed = |error: io::Error| ServiceError::untouched(format!("could not start {shown}")).because(error);
        self.check(command)?;
        let wrapper = self.wrapper().await;
        // Its words are not worth the app, nor an alert: on a full or read-only disk they are lost.
        let log = self.open_log().or_else(|_| OpenOptions::new().append(true).open("/dev/null")).map_err(failed)?;
        let from = log.metadata().map_err(failed)?.len();
        notify(Note::Signalling { what: format!("start {shown}") }).map_err(failed)?;
        let mut words = wrapper.into_iter().chain(command.iter().cloned());
        let child = Command::new(words.next().unwrap_or_default())
            .args(words)
            .envs(self.mark.environment())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        let process = Process::read_unreaped(pid)
            .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(|error| failed(error).after_a_touch())?;
        let started = Note::Child { command: command.to_vec(), process };
        if let Err(error) = notify(started) {
            tracing::warn!(%error, pid, "could not note the process of {shown}");
        }
        Ok(Child { child, process, mark: self.mark.clone(), command: shown, log: self.log.clone(), from })
    }

    /// Starts a command and waits until it has ended well.
    ///
    /// # Errors
    /// It could not be started, ended badly, or still runs at `deadline` (and goes on).
    pub async fn run(&self, command: &[String], deadline: Instant, notify: Notify<'_>) -> Result<(), ServiceError> {
        let mut child = self.spawn(command, notify).await?;
        match child.wait(deadline).await {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(status) => Err(child.failure(status)),
            Err(error) => Err(child.failure(None).because(error)),
        }
    }

    fn open_log(&self) -> io::Result<File> {
        if let Some(directory) = self.log.parent() {
            std::fs::create_dir_all(directory)?;
        }
        OpenOptions::new().append(true).create(true).mode(0o640).open(&self.log)
    }

    /// What stands before the command. Both programs replace themselves by what they run, so the pid stays:
    /// setsid(1) forks only when it leads a process group, which a child of ours never does.
    async fn wrapper(&self) -> Vec<String> {
        let mut words = Vec::new();
        if *self.scopes.get_or_init(makes_scopes).await {
            words.extend(SCOPE.map(str::to_owned));
            words.push(format!("--unit={}{:016x}", self.mark.unit(), rand::random::<u64>()));
            words.push("--".to_owned());
        }
        words.push("setsid".to_owned());
        words
    }
}

/// Whether systemd runs (sd_booted(3)) and makes scopes for us. Tried, for only it knows its rules; what could not get a scope
/// would not be started at all.
async fn makes_scopes() -> bool {
    if !Path::new("/run/systemd/system").is_dir() {
        return false;
    }
    let [program, options @ ..] = SCOPE;
    let trial =
        Command::new(program).args(options).args(["--", "true"]).stdin(Stdio::null()).kill_on_drop(true).output();
    let refused = match tokio::time::timeout(SCOPE_LIMIT, trial).await {
        Ok(Ok(output)) if output.status.success() => return true,
        Ok(Ok(output)) => escape_lines(String::from_utf8_lossy(&output.stderr).trim()),
        Ok(Err(error)) => format!("{program}: {error}"),
        Err(late) => late.to_string(),
    };
    tracing::warn!(
        "commands get no scope of their own: with our unit or login, systemd may end the app too ({refused})"
    );
    false
}

impl Child {
    /// Its process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Whether it started a process, directly or not: that descends from it or carries its mark.
    pub(super) fn brought(&self, process: Process) -> bool {
        process == self.process
            || self.mark.is_on(process.pid)
            || process::ancestors_of(process.pid).is_ok_and(|above| above.contains(&self.process.pid))
    }

    /// Whether anything that it started lives, but for `old` and what descends from those, which an earlier attempt may have started.
    pub(super) async fn has_left_something(&self, old: &[Process]) -> Result<bool, ServiceError> {
        let (mark, old) = (self.mark.clone(), old.to_vec());
        blocking(move || {
            let left = mark.carriers().and_then(|left| without(left, &old)).map_err(unreadable)?;
            Ok(!left.is_empty())
        })
        .await
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it has ended; `None` when it still runs at `deadline`.
    pub async fn wait(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        match tokio::time::timeout_at(deadline.into(), self.child.wait()).await {
            Ok(status) => status.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The error that says how it ended, or that it still runs, with its last words.
    pub fn failure(&self, status: Option<ExitStatus>) -> ServiceError {
        let outcome = match status {
            Some(status) => format!("{} ended with {status}", self.command),
            None => format!("{} still runs as process {}", self.command, self.process.pid),
        };
        ServiceError::touched(format!("{outcome}{}", self.last_words()))
            .with_hint(format!("tail {}", self.log.display()))
    }

    /// The end of what it printed, fit for a terminal, on lines of its own; empty when it said nothing.
    pub fn last_words(&self) -> String {
        match self.tail() {
            Ok(tail) if tail.trim().is_empty() => String::new(),
            Ok(tail) => format!("; it said:\n{}", tail.trim_end()),
            Err(error) => format!("; {} can't be read: {error}", self.log.display()),
        }
    }

    fn tail(&self) -> io::Result<String> {
        let mut log = File::open(&self.log)?;
        let end = log.metadata()?.len();
        log.seek(SeekFrom::Start(self.from.max(end.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        log.take(TAIL).read_to_end(&mut bytes)?;
        Ok(escape_lines(&String::from_utf8_lossy(&bytes)))
    }
}

/// A command as one line for people.
pub(super) fn show(command: &[String]) -> String {
    let plain = |word: &str| {
        let harmless = |c: char| c.is_ascii_alphanumeric() || "_-+=/.,:@%".contains(c);
        !word.is_empty() && word.chars().all(harmless)
    };
    let words = command.iter().map(|word| if plain(word) { word.clone() } else { format!("{word:?}") });
    words.collect::<Vec<_>>().join(" ")
}

/// The executable that execvp(3) would take.
fn find_program(name: &str) -> Option<PathBuf> {
    let runnable = |path: &PathBuf| path.is_file() && access(path.as_path(), AccessFlags::X_OK).is_ok();
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(runnable);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| !name.is_empty() && runnable(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use std::sync::Mutex;

    use super::*;

    fn launcher() -> (tempfile::TempDir, Launcher) {
        let directory = tempfile::tempdir().unwrap();
        let launcher = Launcher::new(&"web".parse().unwrap(), directory.path(), "run-1", Purpose::Restart);
        (directory, launcher)
    }

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn a_child_has_a_session_of_its_own_and_nothing_of_ours() {
        let (_directory, launcher) = launcher();
        let script = "exec 2>&1; readlink /proc/$$/fd/0 /proc/$$/fd/1; ls /proc/$$/fd | wc -l; \
                      pwd; cut -d' ' -f1,6 /proc/$$/stat; echo $PITSTOP_APP $PITSTOP_RUN $PITSTOP_STEP";
        let mut child = launcher.spawn(&sh(script), &|_| Ok(())).await.unwrap();
        assert!(child.wait(soon()).await.unwrap().unwrap().success());
        let said = std::fs::read_to_string(launcher.log()).unwrap();
        let pid = child.process().pid;
        let log = launcher.log().display();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "/dev/null");
        assert_eq!(lines[1], log.to_string());
        assert_eq!(lines[3], "/");
        assert_eq!(lines[4], format!("{pid} {pid}"));
        assert_eq!(lines[5], "web run-1 restart");
    }

    #[tokio::test]
    async fn intent_is_noted_before_the_process() {
        let (_directory, launcher) = launcher();
        let notes = Mutex::new(Vec::new());
        let notify = |note| {
            notes.lock().unwrap().push(note);
            Ok(())
        };
        let child = launcher.spawn(&sh("exit 0"), &notify).await.unwrap();
        let notes = notes.into_inner().unwrap();
        assert!(matches!(&notes[0], Note::Signalling { what } if what == "start sh -c \"exit 0\""));
        assert!(matches!(&notes[1], Note::Child { process, .. } if *process == child.process()));
    }

    #[tokio::test]
    async fn nothing_is_started_when_the_intent_can_not_be_noted() {
        let (directory, launcher) = launcher();
        let witness = directory.path().join("started");
        let command = ["touch".to_owned(), witness.display().to_string()];
        let full = |_| Err(io::ErrorKind::StorageFull.into());
        assert!(!launcher.spawn(&command, &full).await.unwrap_err().touched);
        assert!(!witness.exists());
    }

    #[tokio::test]
    async fn a_failure_tells_the_status_and_the_last_words_of_this_command_only() {
        let (_directory, launcher) = launcher();
        launcher.run(&sh("echo earlier"), soon(), &|_| Ok(())).await.unwrap();
        let error =
            launcher.run(&sh("printf 'no \\033[31mlicence\\n' >&2; exit 3"), soon(), &|_| Ok(())).await.unwrap_err();
        assert!(error.what.contains("exit status: 3"), "{error}");
        assert!(error.what.ends_with("no \\u{1b}[31mlicence"), "{error}");
        assert!(!error.what.contains("earlier"), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_goes_on_past_the_deadline_is_left_alone_and_named() {
        let (_directory, launcher) = launcher();
        let mut child = launcher.spawn(&sh("exec sleep 60"), &|_| Ok(())).await.unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(child.wait(soon).await.unwrap().is_none());
        assert!(child.failure(None).what.contains("still runs"));
        assert!(child.process().is_alive().unwrap());
        child.child.kill().await.unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_said_before_anything_is_done() {
        let (_directory, launcher) = launcher();
        for program in ["/no/such/program", "no-such-program", "", "/proc/version", "/"] {
            let error = launcher.check(&[program.to_owned()]).unwrap_err();
            assert!(!error.touched && error.what.contains(program));
        }
        launcher.check(&["sh".to_owned()]).unwrap();
    }
}
