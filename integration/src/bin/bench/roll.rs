//! One roll: a method restarts every app in turn, under load.

use std::time::Duration;

use integration::load::Summary;
use integration::pitstop::Outcome;
use integration::terminal::{number, tame, time};

use crate::method::Method;
use crate::scene::Scene;
use crate::stop::{self, Cost};

/// Requests before the first stop, after the last one, and between two.
const REQUESTS: u64 = 300;
const LIMIT: Duration = Duration::from_secs(30);

/// What came of it.
pub(crate) struct Roll {
    pub(crate) method: Method,
    pub(crate) costs: Vec<Cost>,
    /// What the load saw.
    pub(crate) load: Summary,
    /// What the method wrote, stop by stop.
    pub(crate) outputs: Vec<String>,
    /// Stops that did not end with 0, and why.
    pub(crate) wrong: Vec<String>,
}

impl Roll {
    pub(crate) fn make(scene: &Scene, method: Method) -> Self {
        scene.settle();
        let load = scene.load();
        let (mut costs, mut outputs, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for app in &scene.apps {
            load.wait_for_requests(REQUESTS, LIMIT);
            let (cost, outcome) = stop::measure(scene, app, method);
            costs.push(cost);
            wrong.extend(complaint(app.name(), &outcome));
            outputs.push(outcome.stdout);
        }
        load.wait_for_requests(REQUESTS, LIMIT);
        Self { method, costs, load: load.stop(), outputs, wrong }
    }

    /// The three restarts, back to back.
    pub(crate) fn whole(&self) -> Duration {
        self.costs.iter().map(|cost| cost.whole).sum()
    }

    /// One line.
    pub(crate) fn summary(&self) -> String {
        let mut line = format!(
            "{}: {} requests, {} failed, {}",
            self.method.name(),
            number(self.load.requests),
            number(self.load.failed),
            time(self.whole())
        );
        if self.load.failed > 0 {
            line += &format!(" {:?}", self.load.kinds);
        }
        for wrong in &self.wrong {
            line += &format!("\n  {wrong}");
        }
        line
    }
}

fn complaint(app: &str, outcome: &Outcome) -> Option<String> {
    let said = format!("{} {}", outcome.stdout, outcome.stderr).replace('\n', " | ");
    (outcome.code != Some(0)).then(|| format!("{app}: exit {:?}: {}", outcome.code, tame(&said, 2000)))
}
