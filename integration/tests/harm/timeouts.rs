//! `long-timeout`, `no-hard-stop`: a client that says nothing, and a drain that waits for it.

use haproxy_cfg::lint::Rule;
use integration::haproxy::{Backend, Config, Server};
use integration::request::Held;
use integration::wait;

use crate::config::{at, main_entry, web};
use crate::harm::Harm;
use crate::scene::{SOON, Scene};

/// A second way in, on which silence ends a conversation after three seconds.
const WITNESS: u16 = 8001;

fn config(tunnel: &str, hard_stop: Option<&str>) -> Config {
    let witness = Backend::new("witness").line("timeout tunnel 3s").server(Server::new("webA", at(1001)).word("check"));
    let config = web(&[&format!("timeout tunnel {tunnel}")], &[main_entry('A'), main_entry('B')]);
    let config = config.frontend("witness", at(WITNESS), "witness").backend(witness);
    hard_stop.iter().fold(config, |config, time| config.global(&format!("hard-stop-after {time}")))
}

/// Three seconds by HAProxy's own clock.
fn wait_for_witness(scene: &Scene) {
    let witness = Held::conversation(at(WITNESS), "");
    let is_over = || (scene.haproxy.in_flight("witness/webA") == 0).then_some(());
    wait::until("the witness has timed out", SOON, is_over);
    drop(witness);
}

#[test]
fn long_timeout_lets_a_silent_client_hold_up_a_drain() {
    let [bad, good] = ["24h", "2s"].map(|tunnel| config(tunnel, Some("30m")));
    Harm::of(Rule::LongTimeout).shows((bad, 1), (good, 0), |scene| {
        let silent = scene.conversation();
        scene.haproxy.set_state("srvs/webA", "drain");
        wait_for_witness(scene);
        let in_flight = scene.haproxy.in_flight("srvs/webA");
        drop(silent);
        in_flight
    });
}

#[test]
fn no_hard_stop_lets_an_old_worker_serve_a_conversation_without_end() {
    let tunnel = "24h # pitstop: allow long-timeout";
    Harm::of(Rule::NoHardStop).shows((config(tunnel, None), true), (config(tunnel, Some("1s")), false), |scene| {
        let mut conversation = scene.conversation();
        scene.haproxy.reload();
        wait_for_witness(scene);
        conversation.is_alive()
    });
}
