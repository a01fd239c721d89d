//! `no-redispatch`, `fixed-weights`, `reuse-always`: where a request goes, and whether it gets a second chance.

use haproxy_cfg::lint::Rule;
use integration::haproxy::{Backend, Config, Server};

use crate::config::{at, unchecked, web, with_backend};
use crate::crooked;
use crate::harm::Harm;
use crate::scene::{Fate, by};

fn a_client_of_an_app_that_is_being_restarted(bad: Config, good: Config) {
    Harm::of(Rule::NoRedispatch).shows((bad, Fate::Failed(503)), (good, by("webB")), |scene| {
        scene.apps[0].stop();
        scene.ask(Some('A'))
    });
}

/// HAProxy needs longer to notice that an app is down than a restart takes.
fn slow_to_notice(lines: &[&str]) -> Config {
    web(lines, &['A', 'B'].map(|letter| unchecked(letter).word("check inter 100ms fall 1000")))
}

#[test]
fn no_redispatch_fails_a_request_whose_server_refuses_it() {
    let good = slow_to_notice(&[]);
    a_client_of_an_app_that_is_being_restarted(good.clone().without_redispatch(), good);
}

#[test]
fn no_retries_fail_a_request_whose_server_refuses_it() {
    a_client_of_an_app_that_is_being_restarted(slow_to_notice(&["retries 0"]), slow_to_notice(&[]));
}

#[test]
fn fixed_weights_give_a_server_its_full_share_at_once() {
    let config = |balance: &str| {
        web(&[&format!("balance {balance}")], &['A', 'B'].map(|letter| unchecked(letter).word("check weight 100")))
    };
    Harm::of(Rule::FixedWeights).shows((config("static-rr"), true), (config("roundrobin"), false), |scene| {
        scene.haproxy.command("set server srvs/webA weight 1");
        let served = (0..16).filter(|_| scene.ask(None) == by("webA")).count();
        served > 4
    });
}

#[test]
fn reuse_always_loses_a_first_request_on_a_connection_that_the_app_closes() {
    let config = |reuse: &str| {
        let backend = Backend::new("srvs").line(&format!("http-reuse {reuse}")).line("option httpchk GET /health");
        with_backend(backend, &[Server::new("webA", at(1001)).word("check")])
    };
    let bad = (config("always"), Fate::Cut);
    Harm::of(Rule::ReuseAlways).shows(bad, (config("safe"), by("webA")), |scene| {
        scene.apps[0].stop();
        crooked::answers_once(at(1001), "webA");
        assert_eq!(scene.ask(None), by("webA"));
        scene.ask(None)
    });
}
