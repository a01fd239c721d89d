//! A process that has a sandbox of its own and takes orders.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use integration::sweep::lane::Trial;

use crate::inside::{Order, Report};

/// The process; another one is started when it dies.
pub(crate) struct Worker {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("the running executable has a path"))
            .arg("--inside")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start ourselves again");
        let orders = child.stdin.take().expect("its input is a pipe");
        let reports = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Self { child, orders, reports }
    }

    /// Returns when the order is carried out, or the process has died of it, which is reported as well.
    pub(crate) fn carry_out(&mut self, order: &Order, mut heard: impl FnMut(Report)) {
        let line = serde_json::to_string(order).expect("plain data");
        writeln!(self.orders, "{line}").ok();
        while let Some(report) = self.next() {
            let is_answer = !matches!(report, Report::Ended { .. });
            heard(report);
            if is_answer {
                return;
            }
        }
        self.child.wait().ok();
        let wrong = "the scene could not be set, or its process died".to_owned();
        heard(match order {
            Order::Record(sweep) => Report::Ended { sweep: *sweep, requests: Err(wrong) },
            Order::Strike(sweep, point) => {
                let trial = Trial { wrong: Some(wrong), ..Trial::of(point) };
                Report::Tried { sweep: *sweep, trial: Box::new(trial) }
            }
        });
        *self = Self::start();
    }

    /// Lets it end its scene.
    pub(crate) fn finish(mut self, mut heard: impl FnMut(Report)) {
        drop(self.orders);
        while let Some(report) = next(&mut self.reports) {
            heard(report);
        }
        self.child.wait().ok();
    }

    fn next(&mut self) -> Option<Report> {
        next(&mut self.reports)
    }
}

/// Lines that are not reports are for people.
fn next(reports: &mut BufReader<ChildStdout>) -> Option<Report> {
    let mut line = String::new();
    while reports.read_line(&mut line).ok()? > 0 {
        if let Ok(report) = serde_json::from_str(&line) {
            return Some(report);
        }
        line.clear();
    }
    None
}
