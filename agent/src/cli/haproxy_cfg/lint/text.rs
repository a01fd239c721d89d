//! What was found, for people.

use std::collections::HashMap;
use std::io::stdout;
use std::time::Duration;

use console::{Term, measure_text_width};
use haproxy_cfg::lint::worst_case::WorstCase;
use haproxy_cfg::lint::{Finding, Severity};
use haproxy_cfg::{ParseError, Source};

use super::super::snippet::{column, columns, draw, snippet};
use super::Linted;
use crate::cli::printer::{escape, paint};
use crate::haproxy::STANDARD_INPUT;

/// So many findings of one rule are shown in full; of any more, one line each says enough.
const IN_FULL: usize = 3;

pub(super) fn lines(linted: &Linted) -> String {
    let mut text = String::new();
    let mut seen = HashMap::new();
    let columns = columns(&Term::stdout());
    let mut after_short = false;
    for finding in &linted.findings {
        let count = seen.entry(finding.rule).or_insert(0_usize);
        *count += 1;
        let is_short = *count > IN_FULL;
        if after_short && !is_short {
            text.push('\n');
        }
        after_short = is_short;
        match is_short {
            true => short(&mut text, linted, finding),
            false => full(&mut text, linted, finding, columns),
        }
    }
    if after_short {
        text.push('\n');
    }
    times(&mut text, &linted.times);
    text.push_str(&summary(linted));
    text.push('\n');
    text
}

fn head(finding: &Finding) -> String {
    let colour = match finding.severity {
        Severity::Note => "36",
        Severity::Warning => "33",
        Severity::Error => "31",
    };
    format!("{}[{}]", paint(&stdout(), colour, finding.severity.name()), finding.rule)
}

fn short(text: &mut String, linted: &Linted, finding: &Finding) {
    let (document, span) = (linted.config.document(), &finding.span);
    let (place, column) = (document.describe(span.place), column(document.line(span.place), span.bytes.start));
    text.push_str(&format!("{}: {} ({}:{column})\n", head(finding), escape(&finding.what), escape(&place)));
}

fn full(text: &mut String, linted: &Linted, finding: &Finding, columns: usize) {
    let mut lines = vec![format!("{}: {}", head(finding), escape(&finding.what))];
    for span in [Some(&finding.span), finding.see.as_ref()].into_iter().flatten() {
        lines.extend(snippet(linted.config.document(), span, columns));
    }
    lines.push(format!("  why: {}", finding.rule.why()));
    lines.push(format!("  fix: {}", escape(&finding.fix)));
    text.extend(lines.into_iter().map(|line| line + "\n"));
    text.push('\n');
}

fn times(text: &mut String, cases: &[WorstCase]) {
    if cases.is_empty() {
        return;
    }
    let rows: Vec<_> = cases
        .iter()
        .map(|case| [escape(&format!("{}/{}", case.backend, case.server)), seconds(case.out), seconds(case.back)])
        .collect();
    let head = ["by checks alone, at worst", "out after", "in after"].map(str::to_owned);
    let table = || [&head].into_iter().chain(&rows);
    let width = |column: usize| table().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max();
    let [name, out, back] = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    for [server, leaves, returns] in table() {
        let gap = " ".repeat(name.saturating_sub(measure_text_width(server)));
        text.push_str(&format!("{server}{gap}  {leaves:>out$}  {returns:>back$}\n"));
    }
    text.push('\n');
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn summary(linted: &Linted) -> String {
    let (servers, backends) = linted.size();
    let looked_at = format!("{} in {}", counted(servers, "server"), counted(backends, "backend"));
    let count = |severity| linted.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [Severity::Error, Severity::Warning, Severity::Note].map(|severity| (count(severity), severity));
    let found: Vec<_> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| counted(count, severity.name()))
        .collect();
    if found.is_empty() && servers == 0 {
        return format!("nothing found, but there was no server to look at ({looked_at})");
    }
    if found.is_empty() {
        return format!("nothing found that would make a restart drop requests ({looked_at})");
    }
    format!("{} ({looked_at})", found.join(", "))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The line that an error is about.
pub(super) fn line_of(sources: &[Source], error: &ParseError) -> Vec<u8> {
    let source = sources.iter().find(|source| source.name == error.file);
    let index = usize::try_from(error.line.saturating_sub(1)).unwrap_or_default();
    source.and_then(|source| source.bytes.split(|byte| *byte == b'\n').nth(index)).unwrap_or_default().to_vec()
}

/// What is printed of files that HAProxy could not read either.
pub(super) fn error(error: &ParseError, line: &[u8]) -> Vec<String> {
    let word = paint(&std::io::stderr(), "31", "error");
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
    let mut ends = line.char_indices().map(|(byte, character)| byte..byte + character.len_utf8());
    let marked = ends.nth(error.column.saturating_sub(1)).unwrap_or(line.len()..line.len());
    let mut lines = vec![format!("{word}: HAProxy could not read this: {}", escape(&error.what))];
    lines.extend(draw(
        &format!("{}:{}", error.file, error.line),
        error.line,
        line.as_bytes(),
        marked,
        columns(&Term::stderr()),
    ));
    lines.extend(hint(error).map(|hint| format!("hint: {}", escape(&hint))));
    lines
}

/// What to type next.
pub(super) fn hint(error: &ParseError) -> Option<String> {
    let is_file = error.file != STANDARD_INPUT;
    is_file.then(|| format!("`haproxy -c -f {}` shows what HAProxy says", error.file))
}
