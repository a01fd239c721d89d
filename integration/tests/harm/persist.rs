//! `persist`

use haproxy_cfg::lint::Rule;

use crate::config::{main_entry, web};
use crate::harm::Harm;
use crate::scene::by;

fn a_client_that_sticks_meets_a_server_in_maintenance(line: &str) {
    let config = |lines: &[&str]| web(lines, &[main_entry('A'), main_entry('B')]);
    Harm::of(Rule::Persist).shows((config(&[line]), by("webA")), (config(&[]), by("webB")), |scene| {
        scene.haproxy.set_state("srvs/webA", "maint");
        scene.ask(Some('A'))
    });
}

#[test]
fn option_persist_sends_a_client_that_sticks_to_a_server_in_maintenance() {
    a_client_that_sticks_meets_a_server_in_maintenance("option persist");
}

#[test]
fn force_persist_sends_a_client_that_sticks_to_a_server_in_maintenance() {
    a_client_that_sticks_meets_a_server_in_maintenance("force-persist if TRUE");
}
