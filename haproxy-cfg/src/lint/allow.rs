//! `# pitstop: allow RULE[, RULE…] [REASON]`: at the end of a line for that line, on a line of its own for the next that says something.

use std::collections::HashMap;
use std::ops::Range;

use super::{Finding, Report, Rule};
use crate::document::{Place, Span};

const KEYWORD: &str = "pitstop: allow";

/// A name that is further from every rule's than this many typing errors is no rule's name, but the reason's first word.
const TYPING_ERRORS: usize = 3;

/// What was found without what comments allow, and with the names in them that no rule has.
pub(super) fn apply(report: &mut Report<'_>) -> Vec<Finding> {
    let allowed = allowed(report);
    // Of two places that contradict each other, either may say that this is meant.
    let is_allowed = |finding: &Finding| {
        let places = [Some(&finding.span), finding.see.as_ref()];
        let mut rules = places.into_iter().flatten().filter_map(|span| allowed.get(&span.place));
        rules.any(|rules| rules.contains(&finding.rule))
    };
    let mut findings = std::mem::take(&mut report.findings);
    findings.retain(|finding| !is_allowed(finding));
    findings
}

/// The rules that each line is allowed to break; of names that are none, a finding.
fn allowed(report: &mut Report<'_>) -> HashMap<Place, Vec<Rule>> {
    let config = report.config;
    let mut allowed: HashMap<Place, Vec<Rule>> = HashMap::new();
    for file in config.document().numbered() {
        let mut next = Vec::new();
        for place in config.document().places(file) {
            let line = config.document().line(place);
            // Most lines have no comment, and few comments are for us.
            if line.contains(&b'#')
                && let Some(comment) = config.comment(place)
            {
                let begin = line.len() - comment.len();
                let names = names(comment);
                if names.is_empty() {
                    nearly(report, place, begin, comment);
                }
                for name in names {
                    match name.text.parse() {
                        Ok(rule) => next.push(rule),
                        Err(_) => unknown(report, place, begin, &name),
                    }
                }
            }
            let says_something = line.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| *byte != b'#');
            if says_something && !next.is_empty() {
                allowed.insert(place, std::mem::take(&mut next));
            }
        }
    }
    allowed
}

fn unknown(report: &mut Report<'_>, place: Place, begin: usize, name: &Name<'_>) {
    let fix = match nearest(name.text) {
        Some((rule, _)) => format!("write `{rule}`, if that is meant"),
        None => "write the name that a finding shows in brackets".to_owned(),
    };
    let span = Span { place, bytes: begin + name.bytes.start..begin + name.bytes.end };
    let what = format!("there is no rule called {}", name.text);
    report.with(Rule::UnknownAllow, Rule::UnknownAllow.severity(), span, what, fix);
}

/// A comment that is meant for one of ours, and is none.
fn nearly(report: &mut Report<'_>, place: Place, begin: usize, comment: &[u8]) {
    let Some(Meant { bytes, rule }) = meant(comment) else { return };
    let rule = rule.map_or("RULE", Rule::name);
    let span = Span { place, bytes: begin + bytes.start..begin + bytes.end };
    let what = "this comment is not written as those that allow something are";
    let fix = format!("write `# pitstop: allow {rule}`, if that is meant");
    report.with(Rule::UnknownAllow, Rule::UnknownAllow.severity(), span, what, fix);
}

/// What somebody meant by a comment that allows nothing.
#[derive(Debug, PartialEq, Eq)]
struct Meant {
    /// `pitstop` and the word that follows it, in the comment.
    bytes: Range<usize>,
    /// The rule that comes next.
    rule: Option<Rule>,
}

/// `pitstop` in any case with a word for *allow* and a rule, with a colon and a rule, or at the beginning as `pitstop: allow`. Anything
/// else speaks of pitstop and not to it.
fn meant(comment: &[u8]) -> Option<Meant> {
    let comment = comment.utf8_chunks().next()?.valid();
    let lower = comment.to_ascii_lowercase();
    let begin = lower.find("pitstop")?;
    let is_first = lower.get(..begin)?.chars().all(|c| c == '#' || c.is_whitespace());
    let rest = lower.get(begin + "pitstop".len()..)?;
    let word_on = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ':');
    let has_colon = rest.trim_start().starts_with(':');
    let end = word_on.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word_on.len());
    let (word, behind) = word_on.split_at_checked(end)?;
    let behind = behind.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '=' | ',' | '('));
    let name = behind.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')')).next()?;
    let rule = nearest(name).filter(|(_, errors)| *errors <= TYPING_ERRORS).map(|(rule, _)| rule);
    let is_verb = matches!(word, "allow" | "allows" | "allowed" | "ignore" | "disable" | "skip");
    let is_meant = match rule {
        Some(_) => is_verb || has_colon,
        None => word == "allow" && has_colon && is_first,
    };
    let end = lower.len() - word_on.len() + word.len();
    is_meant.then_some(Meant { bytes: begin..end, rule })
}

/// A word that is meant for a rule's name.
struct Name<'c> {
    text: &'c str,
    /// Where it stands in the comment.
    bytes: Range<usize>,
}

/// What stands where names have to: first, and after a comma. What follows without one is a name if it is, or nearly is; else the
/// reason begins there.
fn names(comment: &[u8]) -> Vec<Name<'_>> {
    // A rule's name is ASCII: what comes after other bytes is not for us.
    let comment = comment.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let Some(begin) = comment.find(KEYWORD).map(|found| found + KEYWORD.len()) else { return Vec::new() };
    if comment.get(begin..).is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace())) {
        return Vec::new();
    }
    let mut names = Vec::new();
    let mut must_be_name = true;
    let mut rest = begin;
    // No comment has to name more rules than there are.
    while names.len() < Rule::ALL.len()
        && let Some((text, bytes, comma)) = word(comment, rest)
    {
        rest = bytes.end;
        if !text.is_empty() {
            let is_near = || nearest(text).is_some_and(|(_, errors)| errors <= TYPING_ERRORS);
            if !must_be_name && !is_near() {
                break;
            }
            names.push(Name { text, bytes });
        }
        must_be_name = comma;
    }
    names
}

/// The next word from there on, where it stands, and whether a comma ends it.
fn word(comment: &str, from: usize) -> Option<(&str, Range<usize>, bool)> {
    let rest = comment.get(from..)?;
    let begin = from + rest.find(|c: char| !c.is_whitespace() && c != ',')?;
    let rest = comment.get(begin..)?;
    let end = begin + rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
    let comma = comment.get(end..)?.trim_start().starts_with(',');
    Some((comment.get(begin..end)?, begin..end, comma))
}

/// The rule whose name is the most like it, and by how many typing errors the two differ; none where nothing is alike.
fn nearest(name: &str) -> Option<(Rule, usize)> {
    let letters = name.chars().count();
    let is_alike = |rule: &Rule, errors: usize| errors * 2 < rule.name().len();
    // A name of another length differs by that at least: a word of megabytes is compared with none.
    let rules = Rule::ALL.iter().filter(|rule| is_alike(rule, rule.name().len().abs_diff(letters)));
    let distances = rules.map(|rule| (*rule, distance(rule.name(), name)));
    distances.min_by_key(|(_, errors)| *errors).filter(|(rule, errors)| is_alike(rule, *errors))
}

/// How many letters have to be added, left out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, letter) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (above, above + 1);
        let mut next = vec![left];
        for (cell, second) in row.iter().skip(1).zip(other.chars()) {
            left = (diagonal + usize::from(letter != second)).min(cell + 1).min(left + 1);
            diagonal = *cell;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    fn texts(comment: &str) -> Vec<&str> {
        names(comment.as_bytes()).into_iter().map(|name| name.text).collect()
    }

    #[test]
    fn names_stand_first_and_after_commas_and_the_reason_behind_them() {
        assert_eq!(texts("# pitstop: allow no-check"), ["no-check"]);
        assert_eq!(texts("# pitstop: allow no-check, persist"), ["no-check", "persist"]);
        assert_eq!(texts("# pitstop: allow no-check,persist it is a test, no more"), ["no-check", "persist"]);
        assert_eq!(texts("# pitstop: allow no-check persist because"), ["no-check", "persist"]);
        assert_eq!(texts("# pitstop: allow no-check - nobody goes there"), ["no-check"]);
        assert_eq!(texts("# a host of ours; pitstop: allow no-check"), ["no-check"]);
        assert_eq!(texts("# pitstop: allow"), [""; 0]);
        assert_eq!(texts("# what pitstop: allows nonsense"), [""; 0]);
    }

    #[test]
    fn a_name_that_is_nearly_a_rules_is_taken_for_one_wherever_it_stands() {
        assert_eq!(texts("# pitstop: allow no-chek"), ["no-chek"]);
        assert_eq!(texts("# pitstop: allow nonsense, whatever"), ["nonsense", "whatever"]);
        assert_eq!(texts("# pitstop: allow no-check no-redispach"), ["no-check", "no-redispach"]);
        assert_eq!(nearest("no-redispach"), Some((Rule::NoRedispatch, 1)));
        assert_eq!(nearest("xyz"), None);
    }

    #[test]
    fn a_comment_that_is_nearly_one_of_ours_is_told_from_one_that_speaks_of_us() {
        let rule = |comment: &str| meant(comment.as_bytes()).map(|meant| meant.rule.map(Rule::name));
        for comment in [
            "# Pitstop: allow no-check",
            "# pitstop allow no-check",
            "# pitstop: allow: no-check",
            "#pitstop: ignore no-check (a test)",
            "# a host of ours; PITSTOP:ALLOW=no-chek",
            "# pitstop: alow no-check",
        ] {
            assert_eq!(rule(comment), Some(Some("no-check")), "{comment}");
        }
        assert_eq!(rule("# Pitstop: allow"), Some(None));
        assert_eq!(rule("## pitstop: allow: whatever it takes"), Some(None));
        for comment in [
            "# pitstop takes these out",
            "# pitstop: see its page",
            "# Pitstop allows nothing else",
            "# what pitstop: allows nonsense",
            "# pitstop checks no-check and persist",
            "# pitstop",
            "# no-check",
            "# we allow no-check",
        ] {
            assert_eq!(rule(comment), None, "{comment}");
        }
        let comment = "# so; Pitstop: Allow no-check";
        assert_eq!(&comment[meant(comment.as_bytes()).unwrap().bytes], "Pitstop: Allow");
    }

    #[test]
    fn a_word_of_megabytes_and_a_comment_of_millions_of_words_cost_next_to_nothing() {
        let begin = std::time::Instant::now();
        let long = format!("# pitstop: allow no-check {}", "a".repeat(20_000_000));
        assert_eq!(texts(&long), ["no-check"]);
        let many = format!("# pitstop: allow {}", "no-checc,".repeat(2_000_000));
        assert_eq!(texts(&many).len(), Rule::ALL.len());
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "{:?}", begin.elapsed());
    }

    #[test]
    fn a_distance_counts_typing_errors() {
        for (one, other, errors) in
            [("", "", 0), ("", "abc", 3), ("abc", "abc", 0), ("abc", "axc", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(one, other), errors);
            assert_eq!(distance(other, one), errors);
        }
    }
}
