//! `no-check`, `check-by-connect`, `check-root`, `check-port`, `plain-check`, `agent-port`: a server that is not to be used goes on getting requests.

use haproxy_cfg::lint::Rule;
use integration::haproxy::{Backend, Config, Server};

use crate::config::{at, with_backend, witness};
use crate::crooked;
use crate::harm::Harm;
use crate::scene::{Fate, Scene, by};

const ASK_HEALTH: &str = "option httpchk GET /health";

/// Nobody sticks; `words` are webA's, and the witness looks at port `witnessed`.
fn config(lines: &[&str], words: &str, witnessed: u16) -> Config {
    let backend = lines.iter().fold(Backend::new("srvs"), |backend, line| backend.line(line));
    let checked = Server::new("webB", at(1002)).word("check inter 100ms");
    with_backend(backend, &[Server::new("webA", at(1001)).word(words), checked]).backend(witness(witnessed))
}

/// webA is started again, and is not ready for a long time.
fn restart_without_success(scene: &Scene) {
    scene.replace_first(|app| {
        app.at_next_start(&["--ready-after=600000"]);
        app.start();
    });
}

#[test]
fn no_check_sends_clients_to_an_app_that_cannot_serve() {
    let [bad, good] = ["", "check inter 100ms"].map(|words| config(&[ASK_HEALTH], words, 1001));
    let some_fail = [by("webB"), Fate::Failed(503)].into();
    Harm::of(Rule::NoCheck).shows((bad, some_fail), (good, [by("webB")].into()), |scene| {
        restart_without_success(scene);
        scene.ask_around()
    });
}

#[test]
fn check_by_connect_sends_clients_to_an_app_that_accepts_and_cannot_serve() {
    let [bad, good] = [&[][..], &[ASK_HEALTH]].map(|lines| config(lines, "check inter 100ms", 1001));
    let some_fail = [by("webB"), Fate::Failed(503)].into();
    Harm::of(Rule::CheckByConnect).shows((bad, some_fail), (good, [by("webB")].into()), |scene| {
        restart_without_success(scene);
        scene.ask_around()
    });
}

#[test]
fn check_root_takes_the_way_to_a_login_for_health() {
    // The test app has no page `/`, so webB is down where that is asked for.
    let [bad, good] = [&["option httpchk GET /"][..], &[ASK_HEALTH, "http-check expect status 200"]]
        .map(|lines| config(lines, "check inter 100ms", 1001));
    let all_fail = [Fate::Failed(500)].into();
    Harm::of(Rule::CheckRoot).shows((bad, all_fail), (good, [by("webB")].into()), |scene| {
        scene.replace_first(|app| crooked::with_login(app.listen()));
        scene.ask_around()
    });
}

#[test]
fn check_port_of_the_app_itself_lets_clients_in_when_the_redirect_is_removed() {
    let [bad, good] =
        ["check inter 100ms", "check port 2001 inter 100ms"].map(|words| config(&[ASK_HEALTH], words, 2001));
    let everybody = [by("webA"), by("webB")].into();
    Harm::of(Rule::CheckPort).with_redirect().shows((bad, everybody), (good, [by("webB")].into()), |scene| {
        scene.close(2001);
        scene.wait_for_checks("DOWN");
        scene.ask_around()
    });
}

#[test]
fn plain_check_keeps_a_main_entry_out_whose_app_takes_the_proxy_protocol_alone() {
    let [bad, good] = ["", " check-send-proxy"]
        .map(|words| config(&[ASK_HEALTH], &format!("send-proxy check port 2001 inter 100ms{words}"), 2001));
    let everybody = [by("proxied"), by("webB")].into();
    Harm::of(Rule::PlainCheck).with_redirect().shows((bad, [by("webB")].into()), (good, everybody), |scene| {
        scene.replace_first(|app| crooked::behind_proxy_protocol(app.listen(), "proxied"));
        scene.ask_around()
    });
}

#[test]
fn plain_check_keeps_a_backup_entry_out_that_names_its_own_port() {
    let [bad, good] = ["", " check-send-proxy"].map(|words| {
        let main = "send-proxy check check-send-proxy port 2001 inter 100ms";
        let backup = format!("send-proxy check port 1001 inter 100ms backup{words}");
        let servers = [("webA", main), ("bkpA", &backup)].map(|(name, words)| Server::new(name, at(1001)).word(words));
        with_backend(Backend::new("srvs").line(ASK_HEALTH), &servers).backend(witness(2001))
    });
    let nobody = [Fate::Failed(503)].into();
    Harm::of(Rule::PlainCheck).with_redirect().shows((bad, nobody), (good, [by("proxied")].into()), |scene| {
        scene.replace_first(|app| crooked::behind_proxy_protocol(app.listen(), "proxied"));
        scene.close(2001);
        scene.wait_for_checks("DOWN");
        scene.ask_around()
    });
}

#[test]
fn agent_port_that_is_missing_keeps_haproxy_from_starting() {
    let [bad, good] = ["", " agent-port 3001"]
        .map(|words| config(&[ASK_HEALTH], &format!("check inter 100ms agent-check{words}"), 1001));
    Harm::of(Rule::AgentPort).prevents_start(&bad, &good);
}
