//! What HAProxy's health checks ask, as a probe of pitstop's.

use haproxy_cfg::{Config, Place, Proxy, Word};

use super::host::HostApp;

/// The answers that HAProxy takes where nothing else is said: all from 200 to 399 (configuration manual, 4.2, `option httpchk`).
const TAKEN: [u16; 14] = [200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 307, 308];

/// What proves that the app is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// A GET.
    Http(HttpHealth),
    /// A connect; what HAProxy's own checks ask beyond that, if so, stands at this line.
    Connect(Option<Place>),
}

/// A GET.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HttpHealth {
    /// Over TLS.
    pub(super) tls: bool,
    /// Path and query.
    pub(super) path: String,
    /// Sent with it.
    pub(super) headers: Vec<(String, String)>,
    /// Accepted answers.
    pub(super) status: Vec<u16>,
    /// Must stand in the body.
    pub(super) contains: Option<String>,
    /// A line that expects more than could be taken over.
    pub(super) more: Option<Place>,
}

/// What the backend of the app's first entry asks, and on which port.
pub(super) fn health(config: &Config, app: &HostApp, has_redirect: bool) -> (Health, u16) {
    let own = app.listen.port();
    let Some(main) = app.mains.first() else { return (Health::Connect(None), own) };
    let Some(backend) = config.backend(main.id.backend.as_str()) else { return (Health::Connect(None), own) };
    let (server, settings) = (&main.server.settings, &backend.settings);
    // Where a rule says where checks connect, it is not said here what answers there.
    if !settings.check_connect.is(&false) {
        return (Health::Connect(settings.check_connect.place()), own);
    }
    // A redirect leads the checks of another port to the app; without one something else answers there.
    let checked = main.server.check_port.known().copied().flatten().filter(|_| server.addr.is(&None) && !has_redirect);
    let port = checked.unwrap_or(own);
    // With a port of their own, checks do not follow how the server is spoken to (configuration manual, 5.2, `check-ssl`).
    let follows = port == own;
    let tls = server.check_ssl.is(&true) || follows && server.ssl.is(&true);
    let speaks_proxy = server.check_send_proxy.is(&true) || follows && server.send_proxy.is(&true);
    (asked(config, backend, tls, speaks_proxy), port)
}

fn asked(config: &Config, backend: &Proxy, tls: bool, speaks_proxy: bool) -> Health {
    let settings = &backend.settings;
    // A probe of ours does not speak the PROXY protocol.
    let Some(Some(short)) = settings.httpchk.known().filter(|_| !speaks_proxy) else {
        return Health::Connect(settings.httpchk.place());
    };
    let mut health = HttpHealth { tls, path: "/".to_owned(), status: TAKEN.to_vec(), ..HttpHealth::default() };
    let Some(asked) = settings.httpchk.place() else { return Health::Http(health) };
    let lines = check_lines(config, backend, asked);
    // Wherever it stands, the short form comes first.
    if lines.contains(&asked) {
        health.path = short.clone().unwrap_or(health.path);
        health.headers.extend(legacy_headers(&config.words(asked)));
    }
    // What `http-check connect` begins is several requests: the last of each is all that is seen here.
    for place in lines {
        rule(&mut health, place, &config.words(place));
    }
    // `OPTIONS *` asks for no page.
    if !health.path.starts_with('/') {
        "/".clone_into(&mut health.path);
    }
    Health::Http(health)
}

/// The lines of the check in force, `option httpchk` and `http-check`: the section's own if it has any, for then HAProxy leaves out
/// those of its `defaults` as a whole; else those (seen on 2.2 and 3.2).
fn check_lines(config: &Config, backend: &Proxy, asked: Place) -> Vec<Place> {
    let is_check = |place: &Place| match config.words(*place).as_slice() {
        [first, ..] if first.text == "http-check" => true,
        [first, second, ..] => first.text == "option" && second.text == "httpchk",
        _ => false,
    };
    let own: Vec<_> = lines_of(config, backend.place).filter(is_check).collect();
    if !own.is_empty() {
        return own;
    }
    let defaults = config.sections().iter().rfind(|section| section.place <= asked && section.place.file == asked.file);
    defaults.map(|section| lines_of(config, section.place).filter(is_check).collect()).unwrap_or_default()
}

/// The lines of a section, which ends where the next of its file begins.
fn lines_of(config: &Config, section: Place) -> impl Iterator<Item = Place> + use<> {
    let next = config.sections().iter().find(|next| next.place > section && next.place.file == section.file);
    let lines = config.document().file(section.file).map_or(0, |file| file.lines());
    let end = next.map_or(lines, |next| next.place.line - 1);
    (section.line + 1..=end).map(move |line| Place { line, ..section })
}

/// `http-check send …` or `http-check expect …`
fn rule(health: &mut HttpHealth, place: Place, words: &[Word]) {
    let texts: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
    match texts.as_slice() {
        ["http-check", "send", rest @ ..] => send(health, rest),
        ["http-check", "expect", rest @ ..] if expect(health, rest).is_some() => {}
        ["http-check", "expect" | "connect", ..] => health.more = Some(place),
        _ => {}
    }
}

fn send(health: &mut HttpHealth, words: &[&str]) {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "uri" => {
                if let Some(uri) = words.next() {
                    health.path = (*uri).to_owned();
                }
            }
            "hdr" => {
                let (name, value) = (words.next(), words.next());
                // Such a value may depend on the check itself.
                if let (Some(name), Some(value)) = (name, value.filter(|value| !value.replace("%%", "").contains('%')))
                {
                    health.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
                    health.headers.push(((*name).to_owned(), value.replace("%%", "%")));
                }
            }
            "meth" | "ver" | "uri-lf" | "body" | "body-lf" | "comment" => drop(words.next()),
            _ => {}
        }
    }
}

/// `None` where a probe can't expect the same.
fn expect(health: &mut HttpHealth, words: &[&str]) -> Option<()> {
    let mut words = words.iter();
    let kind = loop {
        match *words.next()? {
            "comment" | "min-recv" | "ok-status" | "error-status" | "tout-status" | "on-success" | "on-error"
            | "status-code" => drop(words.next()),
            kind => break kind,
        }
    };
    let value = words.next()?;
    match kind {
        "status" => health.status = codes(value)?,
        "rstatus" => {
            let plain = value.trim_start_matches('^').trim_end_matches('$').trim_matches(['(', ')']);
            health.status = codes(&plain.replace('|', ","))?;
        }
        "string" => health.contains = Some((*value).to_owned()),
        _ => return None,
    }
    Some(())
}

/// `200,204` or `200-299`
fn codes(text: &str) -> Option<Vec<u16>> {
    let mut codes = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        let are_statuses = (100..=599).contains(&first) && (100..=599).contains(&last);
        codes.extend(are_statuses.then_some(first..=last)?);
    }
    Some(codes)
}

/// Those that the old way of writing puts behind the version: `option httpchk GET / HTTP/1.1\r\nHost:\ www`.
fn legacy_headers(words: &[Word]) -> Vec<(String, String)> {
    let text: Vec<_> = words.iter().skip(4).map(|word| word.text.as_str()).collect();
    let text = text.join(" ");
    let fields = text.split("\r\n").skip(1).filter_map(|field| field.split_once(':'));
    fields.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::cli::init::host::{HostApp, Listed};

    fn http(lines: &str) -> HttpHealth {
        let text = format!(
            "defaults\n http-check expect status 204\nbackend be\n mode http\n{lines}\n server x 10.0.0.2:80 check\n"
        );
        http_of(&text)
    }

    fn http_of(text: &str) -> HttpHealth {
        let config = Config::parse("haproxy.cfg", text).unwrap();
        let server = config.server("be", "x").unwrap();
        let main = Listed { id: "be/x".parse().unwrap(), server };
        let listen = "10.0.0.2:80".parse().unwrap();
        let app = HostApp { name: "be".parse().unwrap(), listen, mains: vec![main], backups: Vec::new() };
        match health(&config, &app, false).0 {
            Health::Http(http) => http,
            Health::Connect(_) => panic!("{text}"),
        }
    }

    #[test]
    fn a_check_is_taken_over_with_path_host_and_status() {
        let health = http(
            " option httpchk\n http-check send meth GET uri /health?x ver HTTP/1.1 hdr Host www.example.org\n http-check expect status 200,301-302",
        );
        assert_eq!(health.path, "/health?x");
        assert_eq!(health.headers, [("Host".to_owned(), "www.example.org".to_owned())]);
        assert_eq!(health.status, [200, 301, 302]);
        assert_eq!(health.more, None);
    }

    #[test]
    fn headers_are_taken_over_wherever_the_check_is_asked_for() {
        let health = http(" option httpchk GET /health\n http-check send hdr Host www.example.org hdr Authorization x");
        assert_eq!(health.path, "/health");
        let [host, authorization] = ["Host", "Authorization"].map(str::to_owned);
        assert_eq!(health.headers, [(host, "www.example.org".to_owned()), (authorization, "x".to_owned())]);
        // Of `defaults`, where all of it stands there, and of no other section.
        let text = "defaults\n option httpchk GET /d\n http-check send hdr Host d\nbackend other\n http-check send hdr Host o\n\
                    backend be\n mode http\n server x 10.0.0.2:80 check\nbackend last\n http-check send hdr Host l\n";
        let health = http_of(text);
        assert_eq!((health.path.as_str(), health.headers), ("/d", vec![("Host".to_owned(), "d".to_owned())]));
    }

    #[test]
    fn of_defaults_nothing_holds_where_a_section_has_a_line_of_its_own() {
        let text = "defaults\n option httpchk GET /d\n http-check send hdr Authorization d\n http-check expect status 204\n\
                    backend be\n mode http\n http-check send hdr Host o\n server x 10.0.0.2:80 check\n";
        let health = http_of(text);
        assert_eq!((health.path.as_str(), health.status.as_slice()), ("/", TAKEN.as_slice()));
        assert_eq!(health.headers, [("Host".to_owned(), "o".to_owned())]);
    }

    #[test]
    fn a_header_that_is_given_twice_is_sent_once() {
        let health = http(" option httpchk GET / HTTP/1.1\\r\\nHost:\\ a\n http-check send hdr host b");
        assert_eq!(health.headers, [("host".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn the_old_way_of_writing_is_read_and_what_defaults_expect_holds_no_more() {
        let health = http(r" option httpchk HEAD /up HTTP/1.1\r\nHost:\ www.example.org");
        assert_eq!(health.path, "/up");
        assert_eq!(health.headers, [("Host".to_owned(), "www.example.org".to_owned())]);
        assert_eq!(health.status, TAKEN);
    }

    #[test]
    fn what_a_probe_can_not_expect_is_named() {
        let health = http(" option httpchk\n http-check expect ! status 500");
        assert!(health.more.is_some());
        let health = http(" option httpchk\n http-check expect rstatus '^(200|204)$'");
        assert_eq!((health.status, health.more), (vec![200, 204], None));
    }
}
