//! What holds for every text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use haproxy_cfg::{Config, Environment, Source};
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
        "defined(X)",
        "streq(\"$X\",1)",
        "1",
        "setenv",
        "unsetenv",
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

fn check(files: &[&[u8]], environment: &Environment) -> Result<(), TestCaseError> {
    let sources = (1..).zip(files).map(|(number, bytes)| Source::new(format!("{number}.cfg"), *bytes)).collect();
    let Ok(config) = Config::read(sources, environment) else {
        return Ok(());
    };
    let documents = config.document().files();
    prop_assert_eq!(documents.len(), files.len());
    for (document, bytes) in documents.iter().zip(files) {
        prop_assert_eq!(document.bytes(), *bytes);
    }
    for section in config.sections() {
        let span = config.find(section.place, &section.keyword);
        prop_assert!(config.document().line(section.place).get(span.bytes).is_some());
    }
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

fn everything_is_known() -> Environment {
    let variables = [("X", "a b"), ("Y", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment { variables: Some(variables.into()), version: Some([3, 0, 0]), features: Some([].into()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_are_read_or_refused_and_what_is_read_keeps_them(bytes in any::<Vec<u8>>(), more in any::<Vec<u8>>()) {
        check(&[&bytes, &more], &Environment::default())?;
    }

    #[test]
    fn any_text_is_read_or_refused_too(text in any::<String>()) {
        check(&[text.as_bytes()], &everything_is_known())?;
    }

    #[test]
    fn what_is_nearly_a_configuration_is_read_or_refused_too(text in nearly(), more in nearly()) {
        check(&[text.as_bytes(), more.as_bytes()], &Environment::default())?;
        check(&[text.as_bytes(), more.as_bytes()], &everything_is_known())?;
    }
}
