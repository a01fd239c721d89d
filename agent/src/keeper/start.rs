//! Leaving a keeper behind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::diary;
use super::duty::Duty;
use super::seat::Seat;
use crate::journal::{self, Claim, JournalError};

/// How long it may take until it sits.
const LIMIT: Duration = Duration::from_secs(10);

/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// No keeper could be left behind.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says itself in its message")]
pub enum StartError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("no keeper could be started: {what}")]
    NotStarted { what: String, source: Option<io::Error> },
}

/// Leaves a keeper behind where `app` needs one and has none; on return it is at work.
///
/// Where systemd runs it is a transient unit, `pitstop-keep-APP.service`, that is started again where it dies; elsewhere a process in a
/// session of its own. It has nothing of ours: it reads nothing, and what it says before it keeps a diary goes there too.
/// While a run is at the app, that is the run's to ask for.
///
/// # Errors
/// What a reload undoes, nobody does again then, and nobody ends a lease.
pub async fn leave_behind(config: &Path, state_dir: &Path, app: &str) -> Result<(), StartError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| StartError::NotStarted { what, source: Some(source) }
    };
    if Claim::is_held(state_dir, app) || Seat::is_taken(state_dir, app) {
        return Ok(());
    }
    if Duty::of(&journal::history(state_dir, app)?) == Duty::Nothing {
        return Ok(());
    }
    let log = diary::path(state_dir, app);
    let own = own_command(config, state_dir, app).map_err(failed("its command"))?;
    if is_under_systemd() && start_unit(app, &own, &log).await && sits(state_dir, app, None).await {
        return Ok(());
    }
    let words = open_log(&log).map_err(failed("its log"))?;
    let mut child = Command::new("setsid")
        .args(own)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(words)
        .spawn()
        .map_err(failed("setsid"))?;
    if sits(state_dir, app, Some(&mut child)).await {
        return Ok(());
    }
    let what = format!("it does not stay; see {}", log.display());
    Err(StartError::NotStarted { what, source: None })
}

/// Its command line. Nothing in it depends on where we are.
fn own_command(config: &Path, state_dir: &Path, app: &str) -> io::Result<Vec<std::ffi::OsString>> {
    let words = [
        own_path()?.into(),
        "--config".into(),
        std::path::absolute(config)?.into(),
        "--state-dir".into(),
        std::path::absolute(state_dir)?.into(),
        "keep".into(),
        app.into(),
    ];
    Ok(words.to_vec())
}

/// Our own program; where it was replaced meanwhile, the new one.
fn own_path() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    // proc(5), "/proc/pid/exe".
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// Whether systemd runs (sd_booted(3)) and a unit of its would see the network and the files that we see.
fn is_under_systemd() -> bool {
    let same = |space: &str| {
        let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/{space}")).ok();
        of("self").is_some() && of("self") == of("1")
    };
    Path::new("/run/systemd/system").is_dir() && same("net") && same("mnt")
}

/// Whether systemd took it. Where it did not, as where another unit has that name, we start it ourselves.
async fn start_unit(app: &str, own: &[std::ffi::OsString], log: &Path) -> bool {
    let mut command = Command::new("systemd-run");
    command
        .args(["--quiet", "--collect", "--no-ask-password"])
        .arg(format!("--unit=pitstop-keep-{app}"))
        .arg(format!("--description=Keeps {app} out of rotation for pitstop"))
        .args(["--property=Restart=on-failure", "--property=RestartSec=1"])
        .arg(format!("--property=StandardError=append:{}", log.display()));
    if let Ok(path) = std::env::var("PATH") {
        command.arg(format!("--setenv=PATH={path}"));
    }
    let run = command.arg("--").args(own).stdin(Stdio::null()).kill_on_drop(true).output();
    let refused = match tokio::time::timeout(LIMIT, run).await {
        Ok(Ok(output)) if output.status.success() => return true,
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    };
    tracing::warn!("no unit for the keeper: {}", crate::text::escape(&refused));
    false
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// Waits until a keeper sits; whether one does. One that has ended at once may have found that nothing is to be kept any more.
async fn sits(state_dir: &Path, app: &str, mut child: Option<&mut Child>) -> bool {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if Seat::is_taken(state_dir, app) {
            return true;
        }
        if let Some(status) = child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
            return status.success();
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}
