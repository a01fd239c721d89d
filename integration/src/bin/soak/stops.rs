//! The pit stops of one version, in a sandbox; reports are JSON lines on standard output.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use integration::haproxy::Version;
use integration::load::{Load, Options, Summary};
use integration::terminal::tame;
use integration::world::{Redirects, World};
use serde::{Deserialize, Serialize};

use crate::Arguments;

/// The longest pause until the load is back on the app, before the next stop.
const BETWEEN: Duration = Duration::from_secs(15);
/// Requests between two stops.
const REQUESTS_BETWEEN: u64 = 20;

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
        let wrong = stop(&world, number % world.apps.len(), arguments).err();
        let progress = load.progress();
        all_well = wrong.is_none() && progress.failed == 0;
        tell(&Report::Stop {
            took: begun.elapsed().as_secs_f64(),
            requests: progress.requests,
            failed: progress.failed,
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
    let scene =
        World::builder().in_this_namespace().version(version).redirects(redirects).app_option("--start-delay=100");
    if arguments.kills_on_down { scene.server_words("on-marked-down shutdown-sessions").start() } else { scene.start() }
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

fn stop(world: &World, app: usize, arguments: &Arguments) -> Result<(), String> {
    if arguments.by_hand {
        world.restart_by_hand(app);
        return Ok(());
    }
    let old = world.apps[app].pid();
    let outcome = world.pitstop.run(&["restart", world.apps[app].name()]);
    if outcome.code != Some(0) {
        let said = tame(&outcome.stderr.replace('\n', " | "), 2000);
        return Err(format!("exit {:?}: {said}", outcome.code));
    }
    if world.apps[app].pid() == old {
        return Err("exit 0, but the same process".to_owned());
    }
    Ok(())
}

fn tell(report: &Report) {
    let line = serde_json::to_string(report).expect("plain data");
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").expect("somebody listens");
}
