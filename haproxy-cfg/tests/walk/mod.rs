//! Everything that can be asked of a configuration, for tests of what holds for all of them. Used by the fuzz target as well.

use haproxy_cfg::lint::{Context, lint, worst_case::worst_cases};
use haproxy_cfg::{Config, Environment, ParseError, Place, Source, Span};

/// Reads files and asks everything; panics where something does not hold.
pub(crate) fn walk(files: &[&[u8]], environment: &Environment) {
    let sources = (0..).zip(files).map(|(number, bytes): (u32, _)| Source::new(number.to_string(), *bytes)).collect();
    match Config::read(sources, environment) {
        Ok(config) => {
            keeps_every_byte(&config, files);
            every_span_is_in_its_line(&config);
            every_server_can_be_found(&config);
            for finding in lint(&config, &Context::default()) {
                is_in_its_line(&config, &finding.span);
                if let Some(see) = &finding.see {
                    is_in_its_line(&config, see);
                }
            }
            worst_cases(&config);
        }
        Err(error) => names_its_place(&error, files),
    }
}

/// The files, and the lines that they are made of, are the bytes that came in.
fn keeps_every_byte(config: &Config, files: &[&[u8]]) {
    let document = config.document();
    assert_eq!(document.files().len(), files.len());
    for (number, bytes) in (0..).zip(files) {
        let file = document.file(number).unwrap();
        assert_eq!(file.bytes(), *bytes);
        let mut rest = *bytes;
        for line in 1..=file.lines() {
            let line = document.line(Place { file: number, line });
            rest = rest.strip_prefix(line).unwrap();
            let end = [b"\r\n".as_slice(), b"\n", b"\r"].into_iter().find_map(|end| rest.strip_prefix(end));
            rest = end.unwrap_or(rest);
        }
        assert_eq!(rest, b"");
    }
}

fn every_span_is_in_its_line(config: &Config) {
    for (number, file) in (0..).zip(config.document().files()) {
        for line in 1..=file.lines() {
            let place = Place { file: number, line };
            let line = config.document().line(place);
            for word in config.words(place) {
                assert!(word.bytes.end <= line.len(), "{word:?}");
            }
            config.comment(place);
            is_in_its_line(config, &config.find(place, "server"));
        }
    }
    for section in config.sections() {
        is_in_its_line(config, &config.find(section.place, &section.keyword));
    }
}

fn is_in_its_line(config: &Config, span: &Span) {
    assert!(config.document().line(span.place).get(span.bytes.clone()).is_some(), "{span:?}");
}

fn every_server_can_be_found(config: &Config) {
    for backend in config.backends() {
        for server in backend.servers().take(5).chain(backend.server_lines()) {
            assert!(backend.server(&server.name).is_some(), "{server:?}");
            if let Some(name) = &backend.name {
                assert!(config.server(name, &server.name).is_some(), "{name}/{}", server.name);
                config.kills_on_down(name, &server.name);
            }
        }
    }
}

/// An error points into the file that it names.
fn names_its_place(error: &ParseError, files: &[&[u8]]) {
    let file = files[error.file.parse::<usize>().unwrap()];
    let line = file.split(|byte| *byte == b'\n').nth(usize::try_from(error.line).unwrap() - 1);
    let characters = String::from_utf8_lossy(line.unwrap()).chars().count();
    assert!((1..=characters + 1).contains(&error.column), "{error}");
}
