//! What holds for every text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use haproxy_cfg::Config;
use proptest::prelude::*;

/// Lines that are nearly a configuration.
fn nearly() -> impl Strategy<Value = String> {
    let words = [
        "global",
        "defaults",
        "backend",
        "listen",
        "frontend",
        "peers",
        "from",
        "server",
        "server-template",
        "default-server",
        "option",
        "no",
        "redispatch",
        "persist",
        "timeout",
        "check",
        "port",
        "inter",
        "cookie",
        "track",
        "retries",
        "balance",
        "on-marked-down",
        "shutdown-sessions",
        ".if",
        ".elif",
        ".else",
        ".endif",
        "a",
        "b",
        "1-3",
        "9",
        "1s",
        "1.1.1.1:80",
        "[::1]:1",
        "\"$X\"",
        "\"${X[*]}\"",
        "'",
        "\"",
        "\\",
        "\\x4",
        "#",
        "é",
    ];
    let word = prop::sample::select(words.to_vec());
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", ""]);
    let line = (prop::collection::vec(word, 0..7), end).prop_map(|(words, end)| format!(" {}{end}", words.join(" ")));
    prop::collection::vec(line, 0..20).prop_map(|lines| lines.concat())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let Ok(config) = Config::parse("haproxy.cfg", text) else {
        return Ok(());
    };
    prop_assert_eq!(config.to_string(), text);
    for backend in config.backends() {
        for server in backend.servers().take(10) {
            prop_assert!(backend.server(&server.name).is_some());
            if let Some(name) = &backend.name {
                config.kills_on_down(name, &server.name);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_keeps_its_bytes(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn what_is_nearly_a_configuration_is_read_or_refused_too(text in nearly()) {
        check(&text)?;
    }
}
