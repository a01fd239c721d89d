//! `docs/lint.md` tells of every rule what the rule itself tells, with the examples of `tests/lint`.
//!
//! `BLESS=1 cargo test -p haproxy-cfg --test lint_docs` writes that part anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use haproxy_cfg::Config;
use haproxy_cfg::lint::{Context, Redirected, Rule, lint};

const BEGIN: &str = "<!-- From here on written by haproxy-cfg/tests/lint_docs.rs -->\n";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md")
}

fn example(rule: Rule, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/lint/{rule}/{name}.cfg"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the rule says of its own example to write.
fn fix(rule: Rule, text: &str) -> String {
    let redirect = Redirected { backend: "app".to_owned(), server: "main1".to_owned(), check_port: 2000 };
    let context = Context { redirects: vec![redirect], master_socket: Some(false), ..Context::default() };
    let findings = lint(&Config::parse("example", text).unwrap(), &context);
    findings.into_iter().find(|finding| finding.rule == rule).unwrap().fix
}

/// The lines that count, each with the line that begins its section.
fn lines(text: &str) -> Vec<(&str, &str)> {
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if !line.starts_with(' ') {
            section = line;
        }
        lines.push((section, line));
    }
    lines
}

/// What has to change, below the sections that it is in.
fn difference(from: &str, to: &str) -> String {
    let (from, to) = (lines(from), lines(to));
    // The longest common part of what remains at each pair of lines.
    let mut common = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in (0..from.len()).rev() {
        for j in (0..to.len()).rev() {
            common[i][j] =
                if from[i] == to[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut shown, mut difference) = (0, 0, "", String::new());
    while i < from.len() || j < to.len() {
        let (sign, (section, line)) = match (from.get(i), to.get(j)) {
            (Some(one), Some(other)) if one == other => {
                (i, j) = (i + 1, j + 1);
                continue;
            }
            (Some(one), _) if j == to.len() || common[i + 1][j] >= common[i][j + 1] => {
                i += 1;
                ('-', *one)
            }
            (_, other) => {
                j += 1;
                ('+', *other.unwrap())
            }
        };
        if section != shown {
            difference.push_str(&format!(" {section}\n"));
            shown = section;
        }
        difference.push_str(&format!("{sign}{line}\n"));
    }
    difference
}

fn rules() -> String {
    let mut text = "| rule | severity |\n|---|---|\n".to_owned();
    for rule in Rule::ALL {
        text.push_str(&format!("| [{rule}](#{rule}) | {} |\n", rule.severity()));
    }
    for rule in Rule::ALL {
        let [fails, passes] = ["fails", "passes"].map(|name| example(*rule, name));
        let (severity, why, fix) = (rule.severity(), rule.why(), fix(*rule, &fails));
        text.push_str(&format!("\n### {rule}\n\n**{severity}** {why}\n\nFix: {fix}.\n"));
        let difference = difference(&fails, &passes);
        if !difference.is_empty() {
            text.push_str(&format!("\n```diff\n{difference}```\n"));
        }
    }
    text
}

#[test]
fn the_page_tells_of_every_rule_what_the_rule_tells() {
    let page_text = std::fs::read_to_string(page()).unwrap();
    let (before, after) = page_text.split_once(BEGIN).expect("the line where the rules begin");
    let rules = rules();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(page(), format!("{before}{BEGIN}\n{rules}")).unwrap();
        return;
    }
    assert_eq!(after.trim_start(), rules, "BLESS=1 cargo test -p haproxy-cfg --test lint_docs");
}

#[test]
fn what_changes_between_two_texts_stands_below_its_section() {
    let difference = difference("a\n x\n y\nb\n z\n# no\n", "a\n x\nb\n w\n z\n");
    assert_eq!(difference, " a\n- y\n b\n+ w\n");
}
