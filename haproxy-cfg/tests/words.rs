//! Words, numbers and variables where HAProxy's own way is not the obvious one. `integration/tests/haproxy_cfg` compares them with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use haproxy_cfg::{Config, Environment, ParseError, Server, Source};

fn read(text: &str, environment: &Environment) -> Result<Config, ParseError> {
    Config::read(vec![Source::new("haproxy.cfg", text)], environment)
}

/// Everything is told.
fn told(version: [u32; 3]) -> Environment {
    let variables = [("EMPTY", ""), ("LEADING", " check  weight\t7 "), ("SITE", "rome")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Environment { variables: Some(variables.into()), version: Some(version), features: Some([].into()) }
}

/// The server of a backend of this one line.
fn server(line: &str, environment: &Environment) -> Server {
    let config = read(&format!("backend b\n {line}\n"), environment).unwrap();
    config.backends().flat_map(|backend| backend.servers()).next().unwrap()
}

#[test]
fn a_variable_that_is_not_set_joins_two_words_from_3_0_on() {
    let line = "server a 127.0.0.1:1 cookie \"x$NOWHERE\" weight 4";
    let cookie = |environment: &Environment| server(line, environment).settings.cookie.known().cloned();
    assert_eq!(cookie(&told([2, 6, 12])), Some(Some("x".to_owned())));
    assert_eq!(cookie(&told([3, 0, 0])), Some(Some("xweight".to_owned())));
    for unknown in [None, Some([2, 8, 0]), Some([3, 3, 0])] {
        assert_eq!(cookie(&Environment { version: unknown, ..told([0; 3]) }), None, "{unknown:?}");
    }
    let before_more = "server a 127.0.0.1:1 cookie \"${NOWHERE}x\"";
    assert_eq!(server(before_more, &told([3, 0, 0])).settings.cookie.known(), Some(&Some("x".to_owned())));
}

#[test]
fn an_empty_word_ends_the_line() {
    let server = server("server a 127.0.0.1:1 weight 4 '' backup", &told([3, 2, 0]));
    assert_eq!((server.settings.weight.known(), server.settings.backup.known()), (Some(&4), Some(&false)));
    let by_variable = "server a 127.0.0.1:1 weight 5 \"$EMPTY\" backup";
    let server = self::server(by_variable, &told([2, 6, 12]));
    assert_eq!((server.settings.weight.known(), server.settings.backup.known()), (Some(&5), Some(&false)));
}

#[test]
fn white_space_at_the_ends_of_a_value_that_spreads_makes_empty_words() {
    let environment = told([3, 2, 0]);
    let ended = server("server a 127.0.0.1:1 rise 5 \"${LEADING[*]}\"", &environment).settings;
    assert_eq!((ended.rise.known(), ended.check.known()), (Some(&5), Some(&false)));
    let joined = server("server a 127.0.0.1:1 rise 5 \"no-check${LEADING[*]}backup\"", &environment).settings;
    assert_eq!(
        (joined.weight.known(), joined.backup.known(), joined.check.known()),
        (Some(&7), Some(&true), Some(&true))
    );
}

#[test]
fn a_number_ends_where_its_digits_do() {
    let weight = |text: &str| server(&format!("server a 127.0.0.1:1 weight {text}"), &told([3, 2, 0])).settings.weight;
    for (text, wanted) in [("010", 10), ("10x", 10), ("0x10", 0), ("+5", 5), ("many", 0)] {
        assert_eq!(weight(text).known(), Some(&wanted), "{text}");
    }
    for text in ["-1", "99999999999", "99999999999999999999999"] {
        assert_eq!(weight(text).known(), None, "{text}");
    }
    let port = |text: &str| server(&format!("server a 127.0.0.1:1 check port {text}"), &told([3, 2, 0])).check_port;
    assert_eq!(port("80x").known(), Some(&Some(80)));
    assert_eq!(port("0").known(), Some(&Some(1)));
    assert_eq!(port("99999").known(), None);
}

#[test]
fn a_word_ends_at_an_escaped_nul() {
    let settings = server("server a 127.0.0.1:1 cookie a\\x00b weight 3", &told([3, 2, 0])).settings;
    assert_eq!(settings.cookie.known(), Some(&Some("a".to_owned())));
    assert_eq!(settings.weight.known(), Some(&3));
}

#[test]
fn a_name_that_is_not_known_may_be_the_one_that_from_names() {
    let text = "defaults \"$NAME\"\n retries 1\nbackend b from one\n";
    let config = read(text, &Environment::default()).unwrap();
    assert_eq!(config.backend("b").unwrap().settings.retries.known(), None);
}

#[test]
fn what_may_stand_in_more_sections_than_anybody_has_is_refused_before_it_costs() {
    let doubtful = |count: u32| {
        let blocks: String = (0..count).map(|number| format!(".if defined(X)\nbackend b{number}\n.endif\n")).collect();
        format!("{blocks} server s 127.0.0.1:1\n")
    };
    assert!(read(&doubtful(99), &Environment::default()).is_ok());
    let refused = read(&doubtful(3000), &Environment::default()).unwrap_err();
    assert_eq!((refused.line, refused.column), (9001, 2));
}

#[test]
fn every_error_of_a_line_says_where_in_it() {
    let cases = [
        (".if 1\n.endif x\n", "2:1: nothing may follow .endif"),
        (" .alert 'no way'\n", "1:2: HAProxy is told to stop here: no way"),
        ("  .maybe\n", "1:3: there is no directive .maybe"),
        ("global\n log \"$1\"\n", "2:8: no variable has a name like this"),
        ("global\n log \"${A B}\"\n", "2:7: after its name a variable has [*], a - with a default, or a }"),
        ("# a\u{e9}\0\n", "1:5: HAProxy reads no file with a NUL byte"),
        ("retries 1\n", "1:1: this line stands before any section"),
    ];
    for (text, wanted) in cases {
        assert_eq!(read(text, &told([3, 2, 0])).unwrap_err().to_string(), format!("haproxy.cfg:{wanted}"));
    }
}

#[test]
fn values_that_double_from_line_to_line_become_unknown_before_they_fill_the_memory() {
    let doubled: String = (1..60).map(|n| format!(" setenv A{n} \"$A{}$A{}\"\n", n - 1, n - 1)).collect();
    let server = "server a 127.0.0.1:1 cookie";
    let text =
        format!("global\n setenv A0 x\n{doubled}backend b\n {server} \"$A3\"\n server c 127.0.0.1:1 cookie \"$A59\"\n");
    let config = read(&text, &told([2, 6, 12])).unwrap();
    let cookie = |name: &str| config.server("b", name).unwrap().settings.cookie.known().cloned();
    assert_eq!(cookie("a"), Some(Some("x".repeat(8))));
    assert_eq!(cookie("c"), None);
}
