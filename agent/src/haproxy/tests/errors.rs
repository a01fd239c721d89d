use std::error::Error as _;

use super::super::*;
use super::server;

fn at(address: &str, kind: ErrorKind) -> Error {
    Error { address: address.parse().unwrap(), kind }
}

#[test]
fn an_error_says_where_and_what_and_its_cause_once() {
    let source = std::io::Error::other("broken pipe");
    let error = at("/run/admin.sock", ErrorKind::Io { stage: Stage::Write, source });
    assert_eq!(error.to_string(), "HAProxy at /run/admin.sock: sending failed");
    assert_eq!(error.source().unwrap().to_string(), "broken pipe");
}

#[test]
fn haproxys_words_can_not_reach_a_terminal_unescaped() {
    let hostile = format!("\u{1b}[2J\u{202e}it's\n{}", "x".repeat(1000));
    let shown = Text::from(hostile.as_str()).to_string();
    assert!(shown.starts_with("\\u{1b}[2J\\u{202e}it's\\nxxx"), "{shown}");
    assert!(shown.chars().count() < 350 && shown.ends_with('…'));
}

#[test]
fn hints_are_in_the_words_of_haproxy_cfg() {
    let hint = |address, kind| at(address, kind).hint().unwrap();
    let unix = "/run/admin.sock";
    assert!(hint(unix, ErrorKind::Missing).contains("stats socket /run/admin.sock level admin"));
    assert!(hint(unix, ErrorKind::Forbidden).contains("`user`, `group` and `mode`"));
    assert!(hint("tcp:10.0.0.5:9999", ErrorKind::Refused).contains("ipv4@10.0.0.5:9999"));
    assert!(hint("tcp:[fd00::5]:9999", ErrorKind::Refused).contains("ipv6@[fd00::5]:9999"));
    let command = String::from("set server a/b state drain");
    assert!(hint(unix, ErrorKind::PermissionDenied { command }).contains("`level admin`"));
}

#[test]
fn a_retry_is_offered_only_where_it_can_do_no_harm() {
    let unix = "/run/admin.sock";
    assert!(at(unix, ErrorKind::Stopping { pid: 1 }).is_transient());
    assert!(at(unix, ErrorKind::ProxyDisabled).is_transient());
    assert!(at(unix, ErrorKind::Busy).is_transient());
    assert!(!at(unix, ErrorKind::NoSuchServer(server("a/b"))).is_transient());
    let unknown = ErrorKind::OutcomeUnknown { line: String::new(), source: Box::new(ErrorKind::Timeout(Stage::Read)) };
    let unknown = at(unix, unknown);
    assert!(!unknown.is_transient());
    assert_eq!(unknown.source().unwrap().to_string(), "no answer in time (reading the answer)");
}
