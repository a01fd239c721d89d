//! The rules of HAProxy's configuration, one by one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use haproxy_cfg::{Config, Effective, HashType, HttpReuse, OnMarkedDown, OnMarkedUp, Place, Server};

fn config(text: &str) -> Config {
    Config::parse("haproxy.cfg", text).unwrap()
}

fn error(text: &str) -> String {
    Config::parse("haproxy.cfg", text).unwrap_err().to_string()
}

/// The only server of the only backend.
fn server(text: &str) -> Server {
    let config = config(text);
    let mut servers = config.backends().flat_map(|backend| backend.servers());
    let server = servers.next().unwrap();
    assert_eq!(servers.next(), None);
    server
}

fn known<T>(value: T, line: u32) -> Effective<T> {
    Effective::Known { value, place: Some(Place { file: 0, line }) }
}

fn of_haproxy<T>(value: T) -> Effective<T> {
    Effective::Known { value, place: None }
}

#[test]
fn what_is_not_said_is_haproxys_default() {
    let server = server("backend b\n server s 127.0.0.1:80\n");
    let settings = &server.settings;
    assert_eq!(server.address, known("127.0.0.1:80".to_owned(), 2));
    assert_eq!(settings.check, of_haproxy(false));
    assert_eq!(settings.inter, of_haproxy(Duration::from_secs(2)));
    assert_eq!(settings.fall, of_haproxy(3));
    assert_eq!(settings.rise, of_haproxy(2));
    assert_eq!(settings.weight, of_haproxy(1));
    assert_eq!(settings.backup, of_haproxy(false));
    assert_eq!(settings.on_marked_down, of_haproxy(OnMarkedDown::Nothing));
    let config = config("backend b\n");
    let settings = &config.backend("b").unwrap().settings;
    assert_eq!(settings.retries, of_haproxy(3));
    assert_eq!(settings.redispatch, of_haproxy(false));
    assert_eq!(settings.http_reuse, of_haproxy(HttpReuse::Safe));
    assert_eq!(settings.timeout_check, of_haproxy(None));
    assert_eq!(settings.balance, of_haproxy(None));
    assert_eq!(settings.hash_type, of_haproxy(HashType::MapBased));
}

#[test]
fn weights_are_fixed_by_static_rr_and_by_a_hash_that_is_map_based() {
    let fixed = |lines: &str| {
        let config = config(&format!("backend b\n{lines}"));
        config.backend("b").unwrap().settings.has_fixed_weights()
    };
    for lines in ["", " balance leastconn\n", " balance random(2)\n", " balance first\n"] {
        assert_eq!(fixed(lines), Some(false), "{lines}");
    }
    assert_eq!(fixed(" balance static-rr\n"), Some(true));
    for hash in ["source", "uri depth 3", "url_param id", "hdr(host)", "rdp-cookie(a)", "hash src"] {
        let balance = format!(" balance {hash}\n");
        assert_eq!(fixed(&balance), Some(true), "{hash}");
        assert_eq!(fixed(&format!("{balance} hash-type consistent wt6\n")), Some(false), "{hash}");
        assert_eq!(fixed(&format!("{balance} hash-type \"$TYPE\"\n")), None, "{hash}");
    }
}

#[test]
fn every_setting_of_a_server_is_read_with_its_line() {
    let text = "backend b\n server s 10.0.0.1:80 check port 2000 inter 500 fall 2 rise 1 backup cookie A \
                weight 10 on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions \
                track other/s agent-check\n";
    let settings = server(text).settings;
    assert_eq!(settings.check, known(true, 2));
    assert_eq!(settings.port, known(Some(2000), 2));
    assert_eq!(settings.inter, known(Duration::from_millis(500), 2));
    assert_eq!(settings.fall, known(2, 2));
    assert_eq!(settings.rise, known(1, 2));
    assert_eq!(settings.backup, known(true, 2));
    assert_eq!(settings.cookie, known(Some("A".to_owned()), 2));
    assert_eq!(settings.weight, known(10, 2));
    assert_eq!(settings.on_marked_down, known(OnMarkedDown::ShutdownSessions, 2));
    assert_eq!(settings.on_marked_up, known(OnMarkedUp::ShutdownBackupSessions, 2));
    assert_eq!(settings.track, known(Some("other/s".to_owned()), 2));
    assert_eq!(settings.agent_check, known(true, 2));
}

#[test]
fn the_value_of_a_setting_is_not_taken_for_a_setting() {
    let text = "backend b\n server s 1.1.1.1:80 cookie check sni str(backup) ca-file agent-check \
                namespace backup source 2.2.2.2 interface check\n";
    let settings = server(text).settings;
    assert_eq!(settings.check, of_haproxy(false));
    assert_eq!(settings.backup, of_haproxy(false));
    assert_eq!(settings.agent_check, of_haproxy(false));
    assert_eq!(settings.cookie, known(Some("check".to_owned()), 2));
}

#[test]
fn a_check_goes_to_its_own_port_or_else_to_the_servers() {
    let check_port = |line: &str| server(&format!("backend b\n server s {line}\n")).check_port;
    assert_eq!(check_port("1.1.1.1:80 check port 81"), known(Some(81), 2));
    assert_eq!(check_port("1.1.1.1:80 check"), known(Some(80), 2));
    assert_eq!(check_port("1.1.1.1 check"), known(None, 2));
    let from_defaults = server("backend b\n default-server port 9\n server s 1.1.1.1:80\n");
    assert_eq!(from_defaults.check_port, known(Some(9), 2));
}

#[test]
fn the_port_of_an_address_follows_its_last_colon() {
    let port = |address: &str| {
        let server = server(&format!("backend b\n server s {address}\n"));
        *server.port.known().unwrap()
    };
    assert_eq!(port("app.example:80"), Some(80));
    assert_eq!(port("[fd00::1]:80"), Some(80));
    assert_eq!(port("ipv6@fd00::1:80"), Some(80));
    assert_eq!(port("[fd00::1]"), None);
    assert_eq!(port("app.example"), None);
    assert_eq!(port("app.example:"), None);
    assert_eq!(port("app.example:+100"), None);
    assert_eq!(port("unix@/run/app.sock"), None);
    assert_eq!(port("1.1.1.1:99999"), None);
}

#[test]
fn a_default_server_counts_for_the_servers_after_it() {
    let config = config(
        "backend b\n server a 1.1.1.1:1\n default-server check fall 5\n server b 1.1.1.1:2 fall 7\n \
         default-server inter 1s no-check\n server c 1.1.1.1:3\n",
    );
    let settings = |name: &str| config.server("b", name).unwrap().settings;
    assert_eq!(settings("a").check, of_haproxy(false));
    assert_eq!(settings("b").check, known(true, 3));
    assert_eq!(settings("b").fall, known(7, 4));
    assert_eq!(settings("c").check, known(false, 5));
    assert_eq!(settings("c").fall, known(5, 3));
    assert_eq!(settings("c").inter, known(Duration::from_secs(1), 5));
}

#[test]
fn a_proxy_starts_from_the_last_defaults_before_it() {
    let config = config(
        "defaults\n retries 1\n default-server fall 9\nbackend a\n server s 1.1.1.1:1\ndefaults\n \
         option redispatch\nbackend b\n server s 1.1.1.1:1\n",
    );
    let (a, b) = (config.backend("a").unwrap(), config.backend("b").unwrap());
    assert_eq!(a.settings.retries, known(1, 2));
    assert_eq!(a.settings.redispatch, of_haproxy(false));
    assert_eq!(a.server("s").unwrap().settings.fall, known(9, 3));
    assert_eq!(b.settings.retries, of_haproxy(3));
    assert_eq!(b.settings.redispatch, known(true, 7));
    assert_eq!(b.server("s").unwrap().settings.fall, of_haproxy(3));
}

#[test]
fn from_names_the_defaults_to_start_from() {
    let config = config(
        "defaults one\n retries 1\ndefaults two from one\n option redispatch\ndefaults\nbackend a from one\n\
         backend b from two\nbackend c\ndefaults from two\nlisten d\n",
    );
    let settings = |name: &str| config.backend(name).unwrap().settings.clone();
    assert_eq!(settings("a").retries, known(1, 2));
    assert_eq!(settings("a").redispatch, of_haproxy(false));
    assert_eq!(settings("b").retries, known(1, 2));
    assert_eq!(settings("b").redispatch, known(true, 4));
    assert_eq!(settings("c").retries, of_haproxy(3));
    assert_eq!(settings("d").retries, known(1, 2));
    assert_eq!(
        error("backend a from nowhere\n"),
        "haproxy.cfg:1:16: there is no defaults section named nowhere before this line"
    );
}

#[test]
fn options_are_switched_on_and_off() {
    let redispatch = |lines: &str| {
        let config = config(&format!("defaults\n option redispatch\nbackend b\n{lines}"));
        config.backend("b").unwrap().settings.redispatch
    };
    assert_eq!(redispatch(""), known(true, 2));
    assert_eq!(redispatch(" no option redispatch\n"), known(false, 4));
    assert_eq!(redispatch(" default option redispatch\n"), known(false, 4));
    assert_eq!(redispatch(" option redispatch 0\n"), known(false, 4));
    assert_eq!(redispatch(" option redispatch -1\n"), known(true, 4));
    assert_eq!(redispatch(" option redispatch 1\n"), known(true, 4));
    let config = config("backend b\n option persist\nbackend c\n option persist\n no option persist\n");
    assert_eq!(config.backend("b").unwrap().settings.persist, known(true, 2));
    assert_eq!(config.backend("c").unwrap().settings.persist, known(false, 5));
}

#[test]
fn every_setting_of_a_backend_is_read_with_its_line() {
    let config = config(
        "listen l\n balance hdr(host)\n retries 5\n timeout check 1s\n timeout server 2m\n timeout tunnel 1h\n \
         http-reuse never\n cookie SRV insert indirect\n",
    );
    let settings = &config.backend("l").unwrap().settings;
    assert_eq!(settings.balance, known(Some("hdr(host)".to_owned()), 2));
    assert_eq!(settings.retries, known(5, 3));
    assert_eq!(settings.timeout_check, known(Some(Duration::from_secs(1)), 4));
    assert_eq!(settings.timeout_server, known(Some(Duration::from_secs(120)), 5));
    assert_eq!(settings.timeout_tunnel, known(Some(Duration::from_secs(3600)), 6));
    assert_eq!(settings.http_reuse, known(HttpReuse::Never, 7));
    assert_eq!(settings.cookie, known(Some("SRV".to_owned()), 8));
}

#[test]
fn a_template_gives_servers_by_their_numbers() {
    let config = config("backend b\n server-template web 2-4 app:80 check\n server-template x 2 app:81\n");
    let names: Vec<_> = config.backend("b").unwrap().servers().map(|server| server.name).collect();
    assert_eq!(names, ["web2", "web3", "web4", "x1", "x2"]);
    assert_eq!(config.server("b", "web3").unwrap().settings.check, known(true, 2));
    for missing in ["web", "web1", "web5", "web02", "web+2", "x0"] {
        assert_eq!(config.server("b", missing), None, "{missing}");
    }
    assert_eq!(
        error("backend b\n server-template web many app:80\n"),
        "haproxy.cfg:2:22: expected how many servers, as in 3 or 1-3"
    );
}

#[test]
fn a_template_of_any_length_costs_nothing() {
    let config = config("backend b\n server-template web 1-4294967295 app:80\n");
    assert!(config.server("b", "web4000000000").is_some());
    assert_eq!(config.backend("b").unwrap().servers().take(3).count(), 3);
}

#[test]
fn sections_without_servers_of_ours_are_left_alone() {
    let config = config(
        "global\n default-server check\npeers p\n server x 1.1.1.1:1\nbackend b\n server y 1.1.1.1:1\n\
         resolvers r\n timeout server 1s\nfrontend b\n default_backend b\n",
    );
    assert_eq!(config.backends().count(), 1);
    assert_eq!(config.server("b", "x"), None);
    assert_eq!(config.server("b", "y").unwrap().settings.check, of_haproxy(false));
    assert_eq!(config.backend("b").unwrap().settings.timeout_server, of_haproxy(None));
}

#[test]
fn whether_going_down_kills_is_known_only_where_it_is_sure() {
    let config = config(
        "defaults\n default-server on-marked-down shutdown-sessions\nbackend b\n server a 1.1.1.1:1\n\
         defaults\nbackend c\n server a 1.1.1.1:1\n",
    );
    assert_eq!(config.kills_on_down("b", "a"), Some(true));
    assert_eq!(config.kills_on_down("c", "a"), Some(false));
    assert_eq!(config.kills_on_down("c", "missing"), None);
    assert_eq!(config.kills_on_down("missing", "a"), None);
}

#[test]
fn a_file_that_haproxy_could_not_read_is_refused_with_the_place() {
    let cases = [
        ("backend b\n server s \"1.1.1.1\n", "2:11: this double quote is never closed"),
        ("backend b\n server 's 1.1.1.1\n", "2:9: this single quote is never closed"),
        ("global\n log \\x4g\n", "2:6: \\x must be followed by two hex digits"),
        ("backend\n", "1:1: backend needs a name"),
        ("backend b\n server s\n", "2:2: server needs a name and an address"),
        (".endif\n", "1:1: .endif without an .if"),
        ("global\n .else\n", "2:2: .else without an .if that waits for it"),
        (".if 1\n.else\n.elif 1\n.endif\n", "3:1: .elif without an .if that waits for it"),
        (".if 1\n .if 0\n.endif\n", "1:1: this .if has no .endif"),
    ];
    for (text, wanted) in cases {
        assert_eq!(error(text), format!("haproxy.cfg:{wanted}"));
    }
}
