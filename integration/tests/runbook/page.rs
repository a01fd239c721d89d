//! The page, as data: what each section says is typed, and what comes of it.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use integration::pitstop::{Outcome, Run};

use crate::normal::normal;
use crate::scene::Scene;

/// The commands of one section that are still to be run. Dropped with some left, the test fails.
pub(crate) struct Section {
    heading: String,
    steps: VecDeque<Step>,
}

/// One command, and what the page shows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) command: String,
    shown: Vec<String>,
    code: i32,
    heading: String,
}

impl Section {
    /// The section with this heading; panics where there is none.
    pub(crate) fn of(heading: &str) -> Self {
        let steps = steps(&text(), heading);
        assert!(!steps.is_empty(), "no section {heading:?} with commands in docs/runbook.md");
        Self { heading: heading.to_owned(), steps: steps.into() }
    }

    /// What is typed next.
    pub(crate) fn next(&mut self) -> Step {
        let next = self.steps.pop_front();
        next.unwrap_or_else(|| panic!("{:?} has no further command", self.heading))
    }

    /// Runs the next command to its end.
    pub(crate) fn run(&mut self, scene: &Scene) {
        let step = self.next();
        step.check(scene.start(&step.command).wait());
    }

    /// Runs all that are left.
    pub(crate) fn run_rest(&mut self, scene: &Scene) {
        while !self.steps.is_empty() {
            self.run(scene);
        }
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.steps.is_empty(), "not run: {:?}", self.steps);
    }
}

impl Step {
    /// Starts it, and does not wait.
    pub(crate) fn start(&self, scene: &Scene) -> Run {
        scene.start(&self.command)
    }

    /// Panics unless it ended with the code, and said the lines, that the page shows.
    pub(crate) fn check(&self, outcome: Outcome) {
        if let Some(folder) = std::env::var_os("PITSTOP_RUNBOOK_RECORD") {
            return record(Path::new(&folder), self, &outcome);
        }
        outcome.assert_code(self.code);
        let mut said = outcome.stdout.lines().map(normal);
        for line in self.shown.iter().filter(|line| *line != "…") {
            let wanted = normal(line);
            assert!(
                said.any(|said| said == wanted),
                "`{}` of {:?} no longer shows, or not in this order:\n{line}\n--- but\n{}",
                self.command,
                self.heading,
                outcome.stdout
            );
        }
    }
}

fn record(folder: &Path, step: &Step, outcome: &Outcome) {
    let path = folder.join(format!("{}.txt", step.heading.replace('/', " ")));
    let before = fs::read_to_string(&path).unwrap_or_default();
    let code = outcome.code.filter(|code| *code != 0).map(|code| format!("[exit {code}]\n")).unwrap_or_default();
    fs::write(path, format!("{before}$ {}\n{}{code}", step.command, outcome.stdout)).unwrap();
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text() -> String {
    fs::read_to_string(repository().join("docs/runbook.md")).unwrap()
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

/// The commands below a heading, down to the next one.
fn steps(text: &str, heading: &str) -> Vec<Step> {
    let (mut here, mut console) = (false, false);
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        match line {
            "```console" => console = true,
            "```" => console = false,
            line if line.starts_with('#') && !console => here = line.trim_start_matches('#').trim() == heading,
            line if here && console => add(&mut steps, line, heading),
            _ => {}
        }
    }
    steps
}

fn add(steps: &mut Vec<Step>, line: &str, heading: &str) {
    if let Some(command) = line.strip_prefix("$ ") {
        steps.push(Step { command: command.to_owned(), heading: heading.to_owned(), ..Step::default() });
        return;
    }
    let step = steps.last_mut().unwrap_or_else(|| panic!("{line:?} of {heading:?} comes before any command"));
    match line.strip_prefix("[exit ").and_then(|rest| rest.strip_suffix(']')) {
        Some(code) => step.code = code.parse().unwrap(),
        None => step.shown.push(line.to_owned()),
    }
}

#[test]
fn every_section_with_commands_is_tried() {
    let folder = repository().join("integration/tests/runbook");
    let tests: String =
        fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let text = text();
    for heading in headings(&text).filter(|heading| !steps(&text, heading).is_empty()) {
        assert!(tests.contains(&format!("Section::of(\"{heading}\")")), "{heading:?} is not tried");
    }
}

#[test]
fn every_link_of_the_page_leads_somewhere() {
    let text = text();
    let anchors: Vec<String> = headings(&text).map(anchor).collect();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        match link.strip_prefix('#') {
            Some(link) => assert!(anchors.iter().any(|anchor| anchor == link), "#{link}"),
            None => {
                let file = link.split('#').next().unwrap();
                assert!(repository().join("docs").join(file).exists(), "{link}");
            }
        }
    }
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn a_section_is_its_commands_with_what_they_show() {
    let text = "# A\n```console\n$ one\nsaid\n[exit 6]\n$ two\n```\ntext\n## B\n```console\n$ three\n```\n";
    let [one, two] = steps(text, "A").try_into().unwrap();
    assert_eq!((one.command.as_str(), one.shown.as_slice(), one.code), ("one", &["said".to_owned()][..], 6));
    assert_eq!((two.command.as_str(), two.code), ("two", 0));
    assert_eq!(steps(text, "B").len(), 1);
}
