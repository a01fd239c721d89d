//! Two balancers, of which the first is reloaded while an app drains with a long request in flight, and again while the app is
//! down: nothing is lost, and how long the new process may have sent traffic is on the receipt.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells what it measured"
)]

use std::time::Duration;

use integration::haproxy::Version;
use integration::load::{Load, Options};
use integration::pitstop::Outcome;
use integration::request::Pending;
use integration::wait;
use integration::world::World;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(30);
/// Five seconds, and as many more as a loaded machine may need until the drain begins.
const REQUEST: Duration = Duration::from_secs(10);

/// Only a bug takes so long from a reload to the next `drain` or `maint`; on an idle machine it is well below 100 ms.
const EXPOSED: u64 = 5000;

/// HAProxy's defaults of the test bed have `retries 3` and `option redispatch`. Without `idle-close-on-response` a worker that ends
/// closes idle connections of clients, on which a request may be on its way; 2.2 does not know it, and does not close them.
fn scene(version: &'static str) -> World {
    let builder = World::builder().version(Version::Bed(version)).balancers(2).drain_line("timeout = \"120s\"");
    let builder = if version == "2.2" { builder } else { builder.default_line("option idle-close-on-response") };
    builder.start()
}

/// A restart under load on both, with both reloads; what came of it, and the worker that was there before.
fn restart(world: &World) -> (Outcome, i32) {
    let load = |balancer| Load::start(&Options::mix(world.frontend_of(balancer), Duration::from_millis(500)));
    let loads = [load(0), load(1)];
    loads.iter().for_each(|load| load.wait_for_requests(100, SOON));
    let (old, worker) = (world.apps[0].pid().unwrap(), world.haproxy.pid().unwrap());
    world.apps[0].at_next_start(&["--start-delay=4000"]);
    let request = Pending::work(world.frontend(), REQUEST, Some("SERVER=A"));
    let mut run = world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    world.haproxy.reload();
    assert!(!request.has_ended());
    world.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
    let answer = request.assert_answered();
    assert_eq!(answer.pid, old, "answered by the process that got it");

    wait::until("a new process", Duration::from_secs(150), || (world.apps[0].pid()? != old).then_some(()));
    world.haproxy.reload();
    world.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
    let outcome = run.wait();
    outcome.assert_code(0);
    loads.iter().for_each(|load| load.wait_for_requests(100, SOON));
    loads.into_iter().for_each(|load| load.stop().assert_nothing_failed());
    for haproxy in [&world.haproxy, &world.others[0]] {
        for server in world.servers(0) {
            haproxy.wait_for_status(&server, "UP", SOON);
        }
    }
    (outcome, worker)
}

fn witnesses(outcome: &Outcome) -> Vec<String> {
    let events = outcome.events();
    let draining = events.iter().filter(|event| event["event"] == "draining");
    let sightings = draining.flat_map(|event| event["sightings"].as_array().unwrap());
    sightings.map(|sighting| sighting["witness"].as_str().unwrap().to_owned()).collect()
}

fn assert_exposure_is_on_the_receipt(outcome: &Outcome) {
    let events = outcome.events();
    let ended = events.iter().find(|event| event["event"] == "run_ended").unwrap();
    let exposed = |balancer: &str| &ended["receipt"]["balancers"][balancer]["exposed_ms"];
    eprintln!("exposed for {} ms by two reloads", exposed("lb1"));
    assert!(exposed("lb1").as_u64().unwrap() < EXPOSED);
    assert_eq!(exposed("lb2"), &Value::Null);
    let remarks = events.iter().filter(|event| event["event"] == "remark");
    let again = remarks.filter(|remark| remark["what"].as_str().unwrap().contains("out again after at most"));
    assert_eq!(again.count(), 2, "{}", outcome.stdout);
}

fn nothing_is_lost(version: &'static str) {
    let world = scene(version);
    let (outcome, worker) = restart(&world);
    let witness = format!("lb1's old worker {worker}");
    assert!(witnesses(&outcome).contains(&witness), "{witness} is no witness\n{}", outcome.stdout);
    assert_exposure_is_on_the_receipt(&outcome);
}

#[test]
fn nothing_is_lost_on_2_2() {
    nothing_is_lost("2.2");
}

#[test]
fn nothing_is_lost_on_2_6() {
    nothing_is_lost("2.6");
}

#[test]
fn nothing_is_lost_on_3_0() {
    nothing_is_lost("3.0");
}

#[test]
fn nothing_is_lost_on_3_2() {
    nothing_is_lost("3.2");
}

/// Idle connections that HAProxy keeps to the app count too then, until they are closed.
#[test]
fn without_a_master_socket_that_is_said_and_the_kernel_is_the_witness() {
    let world = scene("3.0");
    let master = format!("master = {:?}\n", world.haproxy.master_socket());
    world.pitstop.replace(&master, "");
    let (outcome, _) = restart(&world);
    outcome.assert_says(&["its old worker can't be seen (no `master`)"]);
    let witnesses = witnesses(&outcome);
    assert!(witnesses.contains(&"kernel".to_owned()), "{witnesses:?}");
    assert!(!witnesses.iter().any(|witness| witness.contains("old worker")), "{witnesses:?}");
    assert_exposure_is_on_the_receipt(&outcome);
}
