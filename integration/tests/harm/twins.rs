//! `twin-cookie`, `twin-address`, `cookie-without-twin`, `twin-check-port`: clients that stick to webA, which is taken out by removing
//! the redirect of its check port. `same-cookie`: those of webB.

use haproxy_cfg::lint::Rule;
use integration::haproxy::{Config, Server};

use crate::config::{at, main_entry, redirected, twin, web, witness};
use crate::harm::Harm;
use crate::scene::{Fate, by};

const CHECKED: &str = "check inter 100ms";

fn with(servers: &[Server]) -> Config {
    web(&[], servers).backend(witness(2001))
}

/// Who serves a client of webA once webA is out.
fn sticks_to(rule: Rule, bad: Config, moved_to: Fate) {
    let good = with(&[redirected('A'), redirected('B'), twin('A'), twin('B')]);
    Harm::of(rule).with_redirect().shows((bad, moved_to), (good, by("webA")), |scene| {
        assert_eq!(scene.ask(Some('A')), by("webA"));
        scene.close(2001);
        scene.wait_for_checks("DOWN");
        scene.ask(Some('A'))
    });
}

#[test]
fn twin_cookie_moves_clients_that_stick() {
    let other = Server::new("bkpA", at(1001)).cookie("a").word("check inter 100ms backup");
    sticks_to(Rule::TwinCookie, with(&[redirected('A'), redirected('B'), other, twin('B')]), by("webB"));
}

#[test]
fn twin_address_sends_clients_that_stick_to_another_app() {
    let other = Server::new("bkpA", at(1003)).cookie("A").word("check inter 100ms backup");
    sticks_to(Rule::TwinAddress, with(&[redirected('A'), redirected('B'), other, twin('B')]), by("webC"));
}

#[test]
fn cookie_without_twin_moves_clients_that_stick() {
    sticks_to(Rule::CookieWithoutTwin, with(&[redirected('A'), redirected('B'), twin('B')]), by("webB"));
}

#[test]
fn twin_check_port_takes_both_entries_out_and_moves_clients_that_stick() {
    let same = Server::new("bkpA", at(1001)).cookie("A").word("check port 2001 inter 100ms backup");
    sticks_to(Rule::TwinCheckPort, with(&[redirected('A'), redirected('B'), same, twin('B')]), by("webB"));
}

#[test]
fn same_cookie_sends_clients_that_stick_to_another_server() {
    let config =
        |cookie: &str| web(&[], &[main_entry('A'), Server::new("webB", at(1002)).cookie(cookie).word(CHECKED)]);
    Harm::of(Rule::SameCookie).shows((config("A"), by("webA")), (config("B"), by("webB")), |scene| {
        scene.ask(Some(scene.cookie_from("webB")))
    });
}
