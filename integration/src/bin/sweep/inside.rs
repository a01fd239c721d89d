//! One scene after the other in a sandbox; orders are JSON lines on standard input, reports on standard output.

use std::io::Write as _;
use std::process::ExitCode;

use integration::sweep::lane::{Lane, Trial};
use integration::sweep::point::Point;
use integration::sweep::scenario::Sweep;
use serde::{Deserialize, Serialize};

/// What to do next.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Make a run that nobody kills, and name its points.
    Record(Sweep),
    /// Kill a run at this point.
    Strike(Sweep, Point),
}

impl Order {
    pub(crate) fn sweep(&self) -> Sweep {
        match self {
            Self::Record(sweep) | Self::Strike(sweep, _) => *sweep,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// The answer to an order to record.
    Recorded { sweep: Sweep, calls: usize, points: Vec<Point> },
    /// The answer to an order to strike.
    Tried { sweep: Sweep, trial: Box<Trial> },
    /// A scene has ended: how many requests its load asked, or what failed.
    Ended { sweep: Sweep, requests: Result<u64, String> },
}

pub(crate) fn work() -> ExitCode {
    let mut lane: Option<Lane> = None;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let order: Order = serde_json::from_str(&line).expect("an order");
        if lane.as_ref().is_some_and(|lane| lane.sweep() != order.sweep()) {
            end(lane.take());
        }
        let here = lane.get_or_insert_with(|| Lane::new(order.sweep()));
        match order {
            Order::Record(sweep) => {
                let (points, calls) = here.record();
                tell(&Report::Recorded { sweep, calls, points });
            }
            Order::Strike(sweep, point) => {
                let trial = Box::new(here.strike(&point));
                let is_used_up = trial.wrong.is_some();
                tell(&Report::Tried { sweep, trial });
                // What is wrong with this scene has been told, and the next one must not suffer for it.
                if is_used_up {
                    lane = None;
                }
            }
        }
    }
    end(lane);
    ExitCode::SUCCESS
}

fn end(lane: Option<Lane>) {
    if let Some(lane) = lane {
        let sweep = lane.sweep();
        tell(&Report::Ended { sweep, requests: lane.finish() });
    }
}

fn tell(report: &Report) {
    let line = serde_json::to_string(report).expect("plain data");
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").expect("somebody listens");
}
