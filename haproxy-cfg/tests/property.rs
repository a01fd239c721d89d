//! What holds for every text.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod walk;

use haproxy_cfg::Environment;
use proptest::prelude::*;
use walk::walk;

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
        "1-4000000000",
        "9",
        "fall",
        "fastinter",
        "4294967295",
        "2147483647",
        "18446744073709551615",
        "1s",
        "1.1.1.1:80",
        "[::1]:1",
        "\"$X\"",
        "\"${X[*]}\"",
        "\"$NOWHERE\"",
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

fn everything_is_known() -> Environment {
    let variables = [("X", "a b"), ("Y", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment { variables: Some(variables.into()), version: Some([3, 0, 0]), features: Some([].into()) }
}

/// The files of the corpus, as they are.
fn corpus() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![path],
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// A file of the corpus with some of its parts replaced by what stands elsewhere, by other bytes, or by nothing.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let all = corpus();
    let others = all.concat();
    let cut =
        (any::<prop::sample::Index>(), 0..40_usize, any::<prop::sample::Index>(), 0..40_usize, any::<Option<u8>>());
    (prop::sample::select(all), prop::collection::vec(cut, 0..6)).prop_map(move |(mut bytes, cuts)| {
        for (at, length, from, other_length, byte) in cuts {
            let begin = at.index(bytes.len() + 1);
            let end = (begin + length).min(bytes.len());
            let from = from.index(others.len());
            let other = &others[from..(from + other_length).min(others.len())];
            bytes.splice(begin..end, other.iter().copied().chain(byte));
        }
        bytes
    })
}

#[test]
fn every_configuration_of_the_corpus_keeps_its_bytes() {
    let all = corpus();
    assert!(all.len() >= 40);
    for bytes in &all {
        walk(&[bytes], &Environment::default());
        walk(&[bytes], &everything_is_known());
    }
    let together: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    walk(&together, &everything_is_known());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_are_read_or_refused_and_what_is_read_keeps_them(bytes in any::<Vec<u8>>(), more in any::<Vec<u8>>()) {
        walk(&[&bytes, &more], &Environment::default());
    }

    #[test]
    fn any_text_is_read_or_refused_too(text in any::<String>()) {
        walk(&[text.as_bytes()], &everything_is_known());
    }

    #[test]
    fn what_is_nearly_a_configuration_is_read_or_refused_too(text in nearly(), more in nearly()) {
        walk(&[text.as_bytes(), more.as_bytes()], &Environment::default());
        walk(&[text.as_bytes(), more.as_bytes()], &everything_is_known());
    }

    #[test]
    fn a_configuration_that_somebody_has_spoilt_is_read_or_refused_too(bytes in mutated(), more in mutated()) {
        walk(&[&bytes, &more], &Environment::default());
        walk(&[&bytes], &everything_is_known());
    }
}
