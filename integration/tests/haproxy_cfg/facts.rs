//! What HAProxy can't read we refuse, at the same line; what it reads we read; and conditions hold where HAProxy's do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use haproxy_cfg::{Config, Environment, Source};
use integration::haproxy::Version;
use tempfile::TempDir;

use crate::running;

const VERSIONS: [Version; 2] = [Version::Bed("2.6"), Version::Bed("3.2")];

/// Texts that HAProxy reads.
const READ: &[&[&str]] = &[
    // A line that is skipped may say anything, as long as it can be cut into words.
    &[".if 0\n foo bar\n .foo\n .if yes\n .endif\n.elif 1\n.endif\n"],
    &[".if 1\n.elif yes\n.endif\n"],
    &[".if 1\n\".endif\"\n"],
    &[".if 0\n'.endif'\n"],
    // Messages, before any section too.
    &[".notice\n.notice 'a b'\n.warning x\n.diag y\n"],
    &["[scope]\nglobal\n[other]  # comment\n"],
    // An empty word ends a line.
    &["\"\" anything\n"],
    &["backend b\n '' anything\n balance leastconn \"\" and more\n"],
    &["frontend same\n bind :80\nbackend same\n"],
    &["defaults same\ndefaults same\n"],
    &["defaults from\nbackend from\n"],
    &["backend b\r server ignored\n"],
    &["backend b\n\x0c\x0b balance\x0bleastconn\n"],
    &["backend b # \"\n acl a path '\"' \"'\" \\\" \\' # '\n"],
    &["backend b\n retries 0x3\n retries 3x\n option redispatch 0\n"],
    &["global\n\n", "# nothing\n", "defaults\n"],
    &["defaults d\n", "backend b\n", "frontend f\n bind :80\n"],
];

/// Texts that HAProxy does not read, and the file and line that it names.
const REFUSED: &[(&[&str], usize, u32)] = &[
    (&["global\n log \"127.0.0.1\n"], 0, 2),
    (&["global\n log '127.0.0.1\n"], 0, 2),
    (&["global\n log \"127.0.0.1\r\"\n"], 0, 2),
    (&["\n\nglobal\n log a\\x4g\n"], 0, 4),
    (&["global\n log \\x\n"], 0, 2),
    (&["global\n log \"$\"\n"], 0, 2),
    (&["global\n log \"$1\"\n"], 0, 2),
    (&["global\n log \"${A\"\n"], 0, 2),
    (&["global\n log \"${A.B}\"\n"], 0, 2),
    (&["global\n log \"${A }\"\n"], 0, 2),
    (&["global\n log \"${A[1]}\"\n"], 0, 2),
    (&[".if 0\n foo \"bar\n.endif\n"], 0, 2),
    (&["global\n # a\0b\n stats timeout 1s\n"], 0, 2),
    (&["defaults\n retries 1\n", " retries 1\n"], 1, 1),
    (&[" retries 1\nglobal\n"], 0, 1),
    (&["\u{feff}global\n"], 0, 1),
    (&[".foo\n"], 0, 1),
    (&[".alert 'not here'\n"], 0, 1),
    (&["global\n.if 1\n.else x\n.endif\n"], 0, 3),
    (&[".if 1\n.endif x\n"], 0, 2),
    (&[".else\n"], 0, 1),
    (&[".elif 1\n"], 0, 1),
    (&[".endif\n"], 0, 1),
    (&[".if 1\n.else\n.else\n.endif\n"], 0, 3),
    (&[".if 1\n.else\n.elif 1\n.endif\n"], 0, 3),
    (&["global\n.if yes\n.endif\n"], 0, 2),
    (&[".if 1\n", ".endif\n"], 0, 1),
    (&["backend b from nowhere\n"], 0, 1),
    (&["backend b from late\ndefaults late\n"], 0, 1),
    (&["backend\n"], 0, 1),
    (&["backend ''\n"], 0, 1),
    (&["frontend\n"], 0, 1),
    (&["listen\n"], 0, 1),
    (&["backend b\n server\n"], 0, 2),
    (&["backend b\n server a\n"], 0, 2),
    (&["backend b\n server-template a 0 127.0.0.1:1\n"], 0, 2),
    (&["backend b\n server-template a 127.0.0.1:1\n"], 0, 2),
];

/// Texts that are well formed and mean nothing to HAProxy. To say so is its own task; we read them, so that they can be looked at.
const MEANINGLESS: &[&[&str]] = &[
    &["backend b\n server s 127.0.0.1:1\n server s 127.0.0.1:2\n"],
    &["backend b\nbackend b\n"],
    &["backend b\n no-such-keyword\n"],
    &["backend b\n server s 127.0.0.1:1 no-such-keyword\n"],
    &["backend b\n setenv A b\n"],
    &["backend b\n no server s 127.0.0.1:1\n"],
    &["defaults\n server s 127.0.0.1:1\n"],
    &["defaults d\n retries 1\ndefaults d\n retries 2\nbackend b from d\n"],
    &["backend b\n server s 127.0.0.1:1 weight 257\n"],
    // Since 2.3 the last line must have an end.
    &["backend b\n balance leastconn"],
];

#[test]
fn what_is_only_meaningless_to_haproxy_is_read_all_the_same() {
    for version in VERSIONS {
        for files in MEANINGLESS {
            assert!(check(version, files).is_some(), "HAProxy reads {files:?}");
            let ours = read(version, files);
            assert!(ours.is_ok(), "{files:?}: {ours:?}");
        }
    }
}

#[test]
fn what_haproxy_reads_we_read() {
    for version in VERSIONS {
        for files in READ {
            let theirs = check(version, files);
            assert!(theirs.is_none(), "{files:?}: {theirs:?}");
            let ours = read(version, files);
            assert!(ours.is_ok(), "{files:?}: {ours:?}");
        }
    }
}

#[test]
fn what_haproxy_cannot_read_we_refuse_at_the_same_line() {
    for version in VERSIONS {
        for (files, file, line) in REFUSED {
            let theirs = check(version, files).unwrap_or_else(|| panic!("HAProxy reads {files:?}"));
            assert!(theirs.contains(&format!("{file}.cfg:{line}]")), "{files:?}: {theirs}");
            let ours = read(version, files).expect_err("refused");
            assert_eq!((ours.file, ours.line), (format!("{file}.cfg"), *line), "{files:?}: {}", ours.what);
        }
    }
}

#[test]
fn limits_are_haproxys_own() {
    let words = |count: usize| format!("backend b\n acl a path{}\n", " /x".repeat(count - 3));
    let blocks = |deep: usize| format!("{}{}", ".if 1\n".repeat(deep), ".endif\n".repeat(deep));
    let parentheses = |deep: usize| format!(".if {}1{}\n.endif\n", "(".repeat(deep), ")".repeat(deep));
    let long = format!("# {}\nbackend b # {}\n", "x".repeat(300_000), "y".repeat(300_000));
    let read_by_both = [(words(64), true), (words(65), false), (blocks(99), true), (blocks(100), false)];
    let read_by_both =
        read_by_both.into_iter().chain([(parentheses(340), true), (parentheses(341), false), (long, true)]);
    for (text, is_read) in read_by_both {
        for version in VERSIONS {
            let begin = &text[..text.len().min(40)];
            assert_eq!(check(version, &[&text]).is_none(), is_read, "HAProxy: {begin}");
            assert_eq!(read(version, &[&text]).is_ok(), is_read, "{begin}");
        }
    }
}

/// Conditions, some of them none.
const CONDITIONS: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "+1",
    "0x10",
    "010",
    "1x",
    "00",
    "08",
    "0x",
    "1e",
    " - 1",
    "9999999999999999999999",
    "defined(A)",
    "defined( A )",
    "defined(A )",
    "defined()",
    "defined(U)",
    "defined(EMPTY)",
    "defined(A,B)",
    "defined(A",
    "defined(A))",
    "streq(a,a)",
    "streq(a, a)",
    "streq(a ,a)",
    "streq(\"a b\",a b)",
    "streq(,)",
    "streq(a,)",
    "streq(a)",
    "streq(a,a,a)",
    "streq(\"$A\",va)",
    "streq(\"$WORDS\",x y)",
    "streq(a,\"a\")",
    "streq('\"a,b\"','\"a,b\"')",
    "streq(\"'a)'\",a)",
    "streq(a(b),a)",
    "streq (a,a)",
    "streq(a,a) ",
    "streq(a,a)x",
    "strneq(a,b)",
    "strneq(a,a)",
    "version_atleast(2)",
    "version_atleast(2.6)",
    "version_atleast(2.6.12)",
    "version_atleast(2.6.13)",
    "version_atleast(3.2.26)",
    "version_atleast(3.2.27)",
    "version_atleast(9)",
    "version_atleast(new)",
    "version_atleast(2.6-dev1)",
    "version_before(2.6.13-dev1)",
    "version_before(3.3-dev1)",
    "version_before(3.2)",
    "version_atleast(02.006)",
    "version_atleast()",
    "version_atleast(2.)",
    "version_atleast(.2)",
    "version_atleast(2 )",
    "version_atleast(2.6x)",
    "feature(OPENSSL)",
    "feature(NOPE)",
    "feature(PENSSL)",
    "feature(OPENSSL )",
    "feature(openssl)",
    "feature(KQUEUE)",
    "!1",
    "!!1",
    "! ! 1",
    "(1)",
    "( 1 )",
    "(1",
    "1)",
    "()",
    "!(1)",
    "!",
    "(",
    "1&&0",
    "1 && 1",
    "1||0",
    "0 || 0 || 1",
    "1 || x",
    "0 && x",
    "x || 1",
    "1 || 1 && 0",
    "0 && 0 || 1",
    "(0||1)&&1",
    "1 &&",
    "|| 1",
    "1 & 1",
    "1 1",
    "(1) (1)",
    "unknown(a)",
    "yes",
    "true",
    "\"1\"",
    "\"0 || 1\"",
    "\"streq(a b,a b)\"",
    "\"\" 1",
    "1 \"\"",
    "1 #c",
    "\t1",
    "1 \"&& 0\"",
    "streq(\\x41,A)",
    "streq(\"$U\"x,x)",
];

#[test]
fn conditions_hold_where_haproxys_do() {
    for version in VERSIONS {
        let (mut readable, mut holding) = (String::new(), Vec::new());
        for condition in CONDITIONS {
            let text = format!(".if {condition}\nbackend b\n.endif\n");
            let Ok(config) = read(version, &[&text]) else {
                assert!(check(version, &[&text]).is_some(), "HAProxy reads {condition}");
                continue;
            };
            readable += &format!(".if {condition}\n.notice holds\n.endif\n");
            if let Some(backend) = config.backend("b") {
                assert!(!backend.conditional, "{condition} is not decided");
                holding.push(condition);
            }
        }
        let output = run(version, &[&readable]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("ALERT"), "{said}");
        let lines = said.lines().filter(|line| line.ends_with("'holds'."));
        let lines = lines.map(|line| line.split_once(".cfg:").unwrap().1.split_once(']').unwrap().0);
        let theirs = lines.map(|line| readable.lines().nth(line.parse::<usize>().unwrap() - 2).unwrap());
        let ours = holding.iter().map(|condition| format!(".if {condition}"));
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
    }
}

fn variables() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap();
    let pairs = [("A", "va"), ("EMPTY", ""), ("WORDS", "x y"), ("PATH", &path)];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn read(version: Version, files: &[&str]) -> Result<Config, haproxy_cfg::ParseError> {
    let sources = files.iter().enumerate().map(|(number, text)| Source::new(format!("{number}.cfg"), *text));
    let environment = Environment { variables: Some(variables()), ..running::environment(version) };
    Config::read(sources.collect(), &environment)
}

/// What HAProxy says against these files; none where it reads them.
fn check(version: Version, files: &[&str]) -> Option<String> {
    let output = run(version, files);
    // 2 is for what is right, and has nothing to do.
    let accepted = matches!(output.status.code(), Some(0 | 2));
    (!accepted).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn run(version: Version, files: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    for (number, text) in files.iter().enumerate() {
        paths.push(folder.path().join(format!("{number}.cfg")));
        std::fs::write(&paths[number], text).unwrap();
    }
    let mut command = Command::new(version.program());
    command.arg("-c").env_clear().envs(variables());
    paths.iter().for_each(|path| {
        command.arg("-f").arg(path);
    });
    command.output().unwrap()
}
