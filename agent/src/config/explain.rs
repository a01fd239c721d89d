//! What the TOML reader found wrong, in words that help: the table, the word that was probably meant, an example.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Fault;
use super::suggest;

/// One line for each key whose value needs showing.
const EXAMPLES: [(&str, &str); 50] = [
    ("socket", r#"socket = "/run/haproxy/admin.sock" or "tcp:10.0.0.5:9999""#),
    ("master", r#"master = "/run/haproxy/master.sock""#),
    ("config", r#"config = "/etc/haproxy/haproxy.cfg""#),
    ("addresses", r#"addresses = ["10.0.0.5"]"#),
    ("balancers", r#"balancers = ["lb1"], and each in a table such as [balancers.lb1]"#),
    ("apps", "a table such as [apps.web]"),
    ("servers", r#"servers = ["srvs/webA"]"#),
    ("backups", r#"backups = ["srvs/bkpA"]"#),
    ("listen", r#"listen = "127.0.0.1:1000""#),
    ("unreachable", r#"unreachable = "abort""#),
    ("unlisted", r#"unlisted = "refuse""#),
    ("put_back", r#"put_back = "probed""#),
    ("hold", r#"hold = "2s""#),
    ("on_alert", r#"on_alert = ["logger", "-p", "user.alert"]"#),
    ("check_port", "check_port = 2000"),
    ("driver", r#"driver = "auto""#),
    ("alone", "alone = true"),
    ("inter", r#"inter = "2s""#),
    ("fall", "fall = 3"),
    ("check_timeout", r#"check_timeout = "2s""#),
    ("on_timeout", r#"on_timeout = "abort""#),
    ("sticky_grace", r#"sticky_grace = "30s""#),
    ("idle_after", r#"idle_after = "10s""#),
    ("kills_on_down", "kills_on_down = true"),
    ("systemd", r#"systemd = "web.service""#),
    ("pidfile", r#"pidfile = "/run/web.pid""#),
    ("restart", r#"restart = ["/usr/local/bin/web-restart"]"#),
    ("stop_signal", r#"stop_signal = "TERM""#),
    ("start", r#"start = ["/usr/bin/gunicorn", "--daemon", "web:app"]"#),
    ("reload_signal", r#"reload_signal = "HUP""#),
    ("old_signal", r#"old_signal = "QUIT""#),
    ("action", r#"action = "restart""#),
    ("revert", r#"revert = ["/usr/local/bin/web-revert"]"#),
    ("attempts", "attempts = 1"),
    ("ready", r#"[[apps.web.ready]], then http = "http://127.0.0.1:1000/health""#),
    ("http", r#"http = "http://127.0.0.1:1000/health""#),
    ("tcp", r#"tcp = "127.0.0.1:1000""#),
    ("command", r#"command = ["/usr/local/bin/web-healthy"]"#),
    ("status", "status = [200]"),
    ("request_headers", r#"request_headers = { Host = "www.example.org" }"#),
    ("headers", r#"headers = { X-Version = "7" }"#),
    ("ca", r#"ca = "/etc/ssl/web-ca.pem""#),
    ("server_name", r#"server_name = "www.example.org""#),
    ("rise", "rise = 2"),
    ("interval", r#"interval = "10ms""#),
    ("timeout", r#"timeout = "60s""#),
    ("min_up", r#"min_up = 1 or "50%""#),
    ("min_weight", r#"min_weight = "50%""#),
    ("count_backups", "count_backups = true"),
    ("from", r#"from = "10%""#),
];

/// Says what serde and the TOML reader found wrong.
///
/// They tell it in a sentence and a span only, so the sentence is taken apart again; one that is not known is shown as it is.
pub(super) fn explain(error: &toml::de::Error, text: &str) -> Fault {
    let message = error.message();
    let at = error.span().unwrap_or(0..0);
    let Ok(file) = DeTable::parse(text) else {
        return Fault::new(at, message).hint(syntax(message));
    };
    let path = Path::to(&at, file.get_ref());

    if let Some((key, known)) = named(message, "unknown field ") {
        Fault::new(at, format!("unknown key `{key}` {}", path.table())).hint(suggest::hint(key, &known))
    } else if let Some((word, known)) = named(message, "unknown variant ") {
        let key = path.key().unwrap_or("this key");
        Fault::new(at, format!("`{word}` is not a value of `{key}`")).hint(suggest::hint(word, &known))
    } else if let Some((key, _)) = named(message, "missing field ") {
        with_example(Fault::new(at, format!("missing key `{key}` {}", table(&path.0))), Some(key))
    } else if let Some((found, expected)) = mismatch(message) {
        with_example(Fault::new(at, format!("expected {expected}, found {found}")), path.key())
    } else {
        with_example(Fault::new(at, message), path.key())
    }
}

/// What to do about a text that is not TOML.
fn syntax(message: &str) -> &'static str {
    if message.contains("duplicate") {
        "remove one of the two"
    } else {
        "in TOML a text stands in quotes, a list in [ ], and each key on a line of its own: key = \"value\""
    }
}

fn with_example(fault: Fault, key: Option<&str>) -> Fault {
    match key.and_then(|key| EXAMPLES.iter().find(|(known, _)| *known == key)) {
        Some((_, example)) => fault.hint(format!("for example: {example}")),
        None => fault,
    }
}

/// Takes apart serde's ``unknown field `x`, expected one of `a`, `b` ``: the name, and those expected.
fn named<'a>(message: &'a str, prefix: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(prefix)?.strip_prefix('`')?;
    // From the right: the name is the user's, and may itself look like the end of the sentence.
    let (name, expected) = match rest.rsplit_once("`, expected ") {
        Some((name, expected)) => (name, expected),
        None => (rest.strip_suffix('`').unwrap_or(rest), ""),
    };
    Some((name, expected.split('`').skip(1).step_by(2).collect()))
}

/// Takes apart serde's `invalid type: integer 3, expected a string`: what was found, and what expected.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let rest = ["invalid type: ", "invalid value: "].iter().find_map(|prefix| message.strip_prefix(prefix))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let expected = match expected {
        "a sequence" => "an array in [ ]",
        "a map" => "a table",
        "a boolean" => "true or false",
        other => other,
    };
    Some((found, expected))
}

/// The names that lead to a place in the file.
struct Path<'a>(Vec<Name<'a>>);

/// One of them.
struct Name<'a> {
    text: &'a str,
    /// Whether it is that of an array of tables.
    array: bool,
}

impl<'a> Path<'a> {
    /// To the innermost key whose name or value holds `at`.
    fn to(at: &Range<usize>, table: &'a DeTable<'_>) -> Self {
        let mut path = Self(Vec::new());
        path.search(at, table);
        path.0.reverse();
        path
    }

    /// Adds the names from the inside out. A table's span is only that of its header, so all have to be looked at.
    fn search(&mut self, at: &Range<usize>, table: &'a DeTable<'_>) -> bool {
        table.iter().any(|(name, value)| {
            let found = holds(&name.span(), at) || self.search_value(at, value);
            if found {
                self.0.push(Name { text: name.get_ref(), array: tables(value.get_ref()) });
            }
            found
        })
    }

    fn search_value(&mut self, at: &Range<usize>, value: &'a Spanned<DeValue<'_>>) -> bool {
        let inside = match value.get_ref() {
            DeValue::Table(table) => self.search(at, table),
            DeValue::Array(array) => array.iter().any(|item| self.search_value(at, item)),
            _ => false,
        };
        inside || holds(&value.span(), at)
    }

    /// The key the place belongs to.
    fn key(&self) -> Option<&'a str> {
        let known = |text: &&str| EXAMPLES.iter().any(|(key, _)| key == text);
        self.0.iter().rev().map(|name| name.text).find(known)
    }

    /// The table the place stands in.
    fn table(&self) -> String {
        match self.0.split_last() {
            Some((_, above)) => table(above),
            None => table(&[]),
        }
    }
}

/// As a table is written: `[apps.web]` or `[[apps.web.ready]]`.
fn table(names: &[Name<'_>]) -> String {
    let texts: Vec<&str> = names.iter().map(|name| name.text).collect();
    let path = texts.join(".");
    match names.last() {
        None => "at the top of the file".to_owned(),
        Some(Name { array: true, .. }) => format!("in [[{path}]]"),
        Some(Name { array: false, .. }) => format!("in [{path}]"),
    }
}

fn tables(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::Array(array)
        if array.iter().any(|item| matches!(item.get_ref(), DeValue::Table(_))))
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
