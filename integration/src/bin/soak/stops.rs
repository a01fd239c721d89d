//! The pit stops of one version, in a sandbox; reports are JSON lines on standard output.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use integration::app::App;
use integration::haproxy::Version;
use integration::load::{Load, Options, Summary};
use integration::pitstop::Run;
use integration::terminal::tame;
use integration::wait;
use integration::world::{Redirects, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Arguments;

/// The longest pause until the load is back on the app, before the next stop.
const BETWEEN: Duration = Duration::from_secs(15);
/// Requests between two stops.
const REQUESTS_BETWEEN: u64 = 20;
/// How long an app takes to start.
const DOWN: Duration = Duration::from_millis(100);
/// The same where HAProxy is reloaded meanwhile, which is to be over before.
const DOWN_FOR_A_RELOAD: Duration = Duration::from_secs(2);
/// The longest that a run may drain.
const RUN: Duration = Duration::from_secs(120);

/// What one version has to say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Report {
    /// One more stop is made.
    Stop {
        /// How long it took, in seconds.
        took: f64,
        /// Requests so far.
        requests: u64,
        /// Failed requests so far.
        failed: u64,
        /// With `--reload`: for how long each new process of HAProxy may have sent traffic to the app, in milliseconds.
        exposed: Vec<u64>,
        /// Why the stop did not end with 0.
        wrong: Option<String>,
    },
    /// In the end.
    End(Box<Summary>),
}

pub(crate) fn make(version: Version, arguments: &Arguments) -> ExitCode {
    let world = scene(version, arguments);
    let load = Load::start(&clients(&world, arguments));
    load.wait_for_requests(REQUESTS_BETWEEN, BETWEEN);
    let mut all_well = true;
    for number in 0..arguments.stops {
        let begun = Instant::now();
        let (exposed, wrong) = match stop(&world, number % world.apps.len(), arguments) {
            Ok(exposed) => (exposed, None),
            Err(wrong) => (Vec::new(), Some(wrong)),
        };
        let progress = load.progress();
        all_well = wrong.is_none() && progress.failed == 0;
        tell(&Report::Stop {
            took: begun.elapsed().as_secs_f64(),
            requests: progress.requests,
            failed: progress.failed,
            exposed,
            wrong,
        });
        if !all_well {
            break;
        }
        load.wait_for_requests(REQUESTS_BETWEEN, BETWEEN);
    }
    let summary = load.stop();
    all_well &= summary.failed == 0;
    tell(&Report::End(Box::new(summary)));
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn scene(version: Version, arguments: &Arguments) -> World {
    let redirects = if arguments.by_hand { Redirects::ByHand } else { Redirects::ByPitstop };
    let down = if arguments.reload { DOWN_FOR_A_RELOAD } else { DOWN };
    let mut scene = World::builder().in_this_namespace().version(version).redirects(redirects);
    scene = scene.app_option(&format!("--start-delay={}", down.as_millis()));
    if arguments.kills_on_down {
        scene = scene.server_words("on-marked-down shutdown-sessions");
    }
    // A worker that ends closes idle connections of clients otherwise, on which a request may be on its way; 2.2 does not.
    if arguments.reload && version != Version::Bed("2.2") {
        scene = scene.default_line("option idle-close-on-response");
    }
    scene.start()
}

/// Few enough for four versions on two cores.
fn clients(world: &World, arguments: &Arguments) -> Options {
    let nobody = Options {
        think: 60,
        long_max: arguments.longest,
        seconds: 24 * 3600,
        progress: 200,
        ..Options::nobody(world.frontend())
    };
    if arguments.kills_on_down {
        return Options { short: 2, long: 1, long_exactly: true, sticky: 1, ..nobody };
    }
    Options { short: 3, per_request: 3, long: 4, sticky: 4, sticky_per_request: 3, upload: 3, ..nobody }
}

/// One pit stop, and the exposure by each reload.
fn stop(world: &World, app: usize, arguments: &Arguments) -> Result<Vec<u64>, String> {
    if arguments.by_hand {
        world.restart_by_hand(app);
        return Ok(Vec::new());
    }
    let app = &world.apps[app];
    let old = app.pid();
    let mut run = world.pitstop.start(&["--output", "json", "restart", app.name()]);
    if arguments.reload {
        reload(world, app, &mut run);
    }
    let outcome = run.wait();
    if outcome.code != Some(0) {
        let said = tame(&format!("{}{}", outcome.stderr, outcome.stdout).replace('\n', " | "), 2000);
        return Err(format!("exit {:?}: {said}", outcome.code));
    }
    if app.pid() == old {
        return Err("exit 0, but the same process".to_owned());
    }
    Ok(outcome.events().iter().filter_map(exposure).collect())
}

/// The receipt has the sum only.
fn exposure(event: &Value) -> Option<u64> {
    let remark = event["what"].as_str().filter(|_| event["event"] == "remark")?;
    let (_, exposure) = remark.split_once("out again after at most ")?;
    exposure.strip_suffix(" ms")?.parse().ok()
}

/// Reloads HAProxy while the app drains, and while it is down. A run that ends before has its own story to tell.
fn reload(world: &World, app: &App, run: &mut Run) {
    let old = app.pid();
    if !run.comes_to_step("drain") {
        return;
    }
    world.haproxy.reload();
    if wait::within(RUN, || (app.pid() != old || run.has_ended()).then_some(())).is_some() {
        world.haproxy.reload();
    }
}

fn tell(report: &Report) {
    let line = serde_json::to_string(report).expect("plain data");
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").expect("somebody listens");
}
