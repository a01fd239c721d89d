//! What depends on a condition or on the environment is unknown, never guessed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use haproxy_cfg::{Config, Effective, Place};

fn config(text: &str) -> Config {
    Config::parse("haproxy.cfg", text).unwrap()
}

const KILLS: &str = "on-marked-down shutdown-sessions";

#[test]
fn a_default_server_under_a_condition_makes_what_it_sets_unknown() {
    let config = config(&format!(
        "backend b\n server a 1.1.1.1:1\n.if defined(X)\n default-server {KILLS}\n.endif\n server c 1.1.1.1:1\n"
    ));
    assert_eq!(config.kills_on_down("b", "a"), Some(false));
    assert_eq!(config.kills_on_down("b", "c"), None);
    let settings = config.server("b", "c").unwrap().settings;
    assert_eq!(settings.on_marked_down, Effective::Unknown { place: Place { file: 0, line: 4 } });
    assert_eq!(settings.fall.known(), Some(&3));
}

#[test]
fn a_line_after_the_condition_is_sure_again() {
    let config = config(&format!(
        "backend b\n.if defined(X)\n option redispatch\n default-server {KILLS}\n.endif\n no option redispatch\n \
         server a 1.1.1.1:1 {KILLS}\n"
    ));
    assert_eq!(config.kills_on_down("b", "a"), Some(true));
    let redispatch = config.backend("b").unwrap().settings.redispatch;
    assert_eq!((redispatch.known(), redispatch.place()), (Some(&false), Some(Place { file: 0, line: 6 })));
}

#[test]
fn a_server_under_a_condition_is_there_with_nothing_known() {
    let config = config(&format!(
        "backend b\n.if defined(X)\n server a 1.1.1.1:1 {KILLS}\n.else\n server a 2.2.2.2:2\n.endif\n"
    ));
    assert_eq!(config.kills_on_down("b", "a"), None);
    assert_eq!(config.server("b", "a").unwrap().address.known(), None);
}

#[test]
fn a_section_under_a_condition_is_there_with_nothing_known() {
    let config = config(&format!(
        ".if defined(X)\nbackend b\n server a 1.1.1.1:1\n.else\nbackend b\n server a 1.1.1.1:1 {KILLS}\n.endif\n \
         server late 1.1.1.1:1\nbackend sure\n server a 1.1.1.1:1\n"
    ));
    assert!(config.backend("b").unwrap().conditional);
    assert_eq!(config.kills_on_down("b", "a"), None);
    assert_eq!(config.kills_on_down("b", "late"), None);
    assert_eq!(config.kills_on_down("sure", "a"), Some(false));
}

#[test]
fn a_line_after_a_section_under_a_condition_may_belong_to_the_one_before() {
    let config = config("backend a\n.if defined(X)\nbackend b\n.endif\n option redispatch\n server s 1.1.1.1:1\n");
    for backend in ["a", "b"] {
        let redispatch = config.backend(backend).unwrap().settings.redispatch;
        assert_eq!(redispatch.known(), None, "{backend}");
        assert_eq!(config.kills_on_down(backend, "s"), None, "{backend}");
    }
}

#[test]
fn a_branch_goes_on_in_the_section_before_the_condition() {
    let config =
        config("backend a\n.if defined(X)\nbackend b\n.else\n option persist\n.endif\nbackend c\n retries 1\n");
    assert_eq!(config.backend("a").unwrap().settings.persist.known(), None);
    assert_eq!(config.backend("c").unwrap().settings.retries.known(), Some(&1));
}

#[test]
fn defaults_under_a_condition_make_everything_after_them_unknown() {
    let config = config(
        "defaults\n retries 1\n.if defined(X)\ndefaults\n retries 2\n.endif\nbackend a\n server s 1.1.1.1:1\n\
         defaults\nbackend b\n server s 1.1.1.1:1\n",
    );
    assert_eq!(config.backend("a").unwrap().settings.retries.known(), None);
    assert_eq!(config.kills_on_down("a", "s"), None);
    assert_eq!(config.kills_on_down("b", "s"), Some(false));
}

#[test]
fn nested_conditions_end_with_the_last_one() {
    let config = config(
        "backend a\n.if 1\n.if 0\n retries 1\n.elif 1\n retries 2\n.endif\n retries 4\n.endif\n option persist\n",
    );
    let settings = &config.backend("a").unwrap().settings;
    assert_eq!(settings.retries, Effective::Known { value: 4, place: Some(Place { file: 0, line: 8 }) });
    assert_eq!(settings.persist.known(), Some(&true));
}

#[test]
fn a_variable_makes_its_setting_unknown() {
    let config = config("backend b\n retries \"$RETRIES\"\n server a \"${ADDRESS}:80\" check port \"$PORT\" fall 5\n");
    assert_eq!(config.backend("b").unwrap().settings.retries, Effective::Unknown { place: Place { file: 0, line: 2 } });
    let server = config.server("b", "a").unwrap();
    assert_eq!(server.address, Effective::Unknown { place: Place { file: 0, line: 3 } });
    assert_eq!(server.check_port, Effective::Unknown { place: Place { file: 0, line: 3 } });
    assert_eq!(server.settings.fall.known(), Some(&5));
    assert_eq!(config.kills_on_down("b", "a"), Some(false));
}

#[test]
fn a_variable_that_may_be_any_setting_makes_all_unknown() {
    for line in [
        "server a 1.1.1.1:1 \"$OPTIONS\"",
        "server a 1.1.1.1:1 cookie \"${OPTIONS[*]}\"",
        "server a \"${ADDRESS_AND_OPTIONS[*]}\"",
    ] {
        let config = config(&format!("backend b\n {line}\n"));
        assert_eq!(config.kills_on_down("b", "a"), None, "{line}");
    }
    let config = config("backend b\n \"$ANYTHING\" x\n server a 1.1.1.1:1\n");
    assert_eq!(config.kills_on_down("b", "a"), None);
    assert_eq!(config.backend("b").unwrap().settings.retries.known(), None);
}

#[test]
fn a_dollar_is_a_variable_only_within_double_quotes() {
    let config = config("backend b\n server a 1.1.1.1:1 cookie $A\n server c 1.1.1.1:1 cookie '$A'\n");
    for name in ["a", "c"] {
        let cookie = config.server("b", name).unwrap().settings.cookie;
        assert_eq!(cookie.known(), Some(&Some("$A".to_owned())));
    }
}
