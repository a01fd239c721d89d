//! Ctrl-C and signals: once asks the run to stop where it safely can, twice stops it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How often someone asked the run to stop.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP from now on. `told` is called at each with the count so far.
    ///
    /// What was ignored from the start stays ignored: SIGHUP under nohup(1), SIGINT in the background of a script.
    pub fn listen(told: impl Fn(u32) + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = watch::channel(0);
        let ignored = ignored(&std::fs::read_to_string("/proc/self/status")?)?;
        let catch = |kind: SignalKind| {
            let is_ignored = ignored & (1 << (kind.as_raw_value() - 1)) != 0;
            if is_ignored { Ok(None) } else { signal(kind).map(Some) }
        };
        let mut interrupt = catch(SignalKind::interrupt())?;
        let mut terminate = catch(SignalKind::terminate())?;
        let mut hangup = catch(SignalKind::hangup())?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = next(&mut interrupt) => sender.send_modify(|count| *count += 1),
                    () = next(&mut terminate) => sender.send_modify(|count| *count += 1),
                    // A terminal that goes away says so once or many times; it never means "at once".
                    () = next(&mut hangup) => sender.send_modify(|count| *count = (*count).max(1)),
                }
                told(*sender.borrow());
            }
        });
        Ok(Self(receiver))
    }

    /// Nobody ever asks.
    pub fn never() -> Self {
        Self(watch::channel(0).1)
    }

    /// Returns once someone has asked.
    pub async fn asked(&self) {
        self.reached(1).await;
    }

    /// Returns once someone has asked twice.
    pub async fn abandoned(&self) {
        self.reached(2).await;
    }

    /// Whether someone has asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() >= 1
    }

    /// Whether someone has asked twice.
    pub fn is_abandoned(&self) -> bool {
        *self.0.borrow() >= 2
    }

    async fn reached(&self, times: u32) {
        if self.0.clone().wait_for(|count| *count >= times).await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Never comes for what is ignored.
async fn next(caught: &mut Option<Signal>) {
    match caught {
        Some(caught) => {
            caught.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// The ignored signals, 1 as the lowest bit (`SigIgn` of `/proc/PID/status`, proc_pid_status(5)).
fn ignored(status: &str) -> io::Result<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("/proc/self/status does not tell which signals are ignored"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    const NAME: &str = "engine::interrupt::tests::a_signal_that_was_ignored_from_the_start_stays_ignored";
    const CHILD: &str = "PITSTOP_TEST_IGNORED";

    fn ignored_now() -> u64 {
        ignored(&std::fs::read_to_string("/proc/self/status").unwrap()).unwrap()
    }

    /// Dispositions are inherited and belong to the whole process, so this test looks in one of its own.
    #[tokio::test]
    async fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
        if std::env::var_os(CHILD).is_some() {
            let before = ignored_now();
            assert_eq!(before & 0b11, 0b11, "SIGHUP and SIGINT");
            let _interrupt = Interrupt::listen(|_| ()).unwrap();
            assert_eq!(ignored_now(), before);
            return;
        }
        let output = Command::new("sh")
            .args(["-c", r#"trap "" HUP INT; exec "$@""#, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(CHILD, "yes")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn a_status_without_the_line_is_an_error_and_not_a_guess() {
        assert_eq!(ignored("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n").unwrap(), 0x1001);
        for torn in ["", "SigIgn:\t", "SigIgn:\tx\n"] {
            assert!(ignored(torn).is_err());
        }
    }
}
