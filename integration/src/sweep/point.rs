//! Where a run is killed, and which of all calls are taken for that.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::tracer::{Verdict, Whose};

/// What a child that only asks has among its words: `iptables -S`, `iptables --version`, `nft list ruleset`.
const ASKS: [&str; 3] = ["-S", "version", "list"];

/// One call of a run, found again in another run of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The step, with its turn where it is not the first; or the child, by a name that is the same in every run.
    pub step: String,
    /// Which of the step's points, from 1.
    pub number: usize,
    /// The call, in words that are the same in every run.
    pub call: String,
    /// Which of the step's calls with these words, from 1.
    pub turn: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.step, self.number, self.call)?;
        if self.turn > 1 { write!(f, " ({})", self.turn) } else { Ok(()) }
    }
}

/// Where a run is, by the calls seen so far.
#[derive(Debug)]
pub struct Place {
    whose: Whose,
    /// Pitstop's own; a child's number counts instead where children are followed.
    step: String,
    /// How often each step was begun.
    begun: HashMap<String, usize>,
    seen: HashMap<(String, String), usize>,
    children: Children,
}

impl Place {
    /// Before the first call.
    pub fn new(whose: Whose) -> Self {
        Self {
            whose,
            step: "preflight".to_owned(),
            begun: HashMap::new(),
            seen: HashMap::new(),
            children: Children::default(),
        }
    }

    /// The step that the call belongs to, the call, and its turn.
    fn next(&mut self, child: usize, call: &Call) -> (String, String, usize) {
        if let Some(step) = &call.begins {
            (self.step, _) = numbered(&mut self.begun, step);
        }
        if call.name == "execve" {
            self.children.begins(child, &call.subject);
        }
        let step = match self.whose {
            Whose::Own | Whose::Both if child == 0 => self.step.clone(),
            _ => self.children.name(child),
        };
        let call = format!("{} {}", call.name, call.subject).trim().to_owned();
        let turn = self.seen.entry((step.clone(), call.clone())).or_default();
        *turn += 1;
        (step, call, *turn)
    }
}

/// One more of this name: the name, with its turn where that is not the first, and the turn.
fn numbered(turns: &mut HashMap<String, usize>, name: &str) -> (String, usize) {
    let turn = turns.entry(name.to_owned()).or_default();
    *turn += 1;
    (if *turn > 1 { format!("{name}#{turn}") } else { name.to_owned() }, *turn)
}

/// The children of a run, by names that are the same in every run, however often it asks the same: how many children have changed
/// something before, the program with the command among its options, and the turn where it is not the first.
#[derive(Debug, Default)]
struct Children {
    changes: usize,
    turns: HashMap<String, usize>,
    /// What each runs, with its arguments, and its name.
    known: HashMap<usize, (String, String)>,
    /// The names of those that asked what two before them had asked since the last change; how many there are differs from run
    /// to run.
    asked_often: HashSet<String>,
}

impl Children {
    /// A child becomes a program, be it by way of another.
    fn begins(&mut self, child: usize, words: &str) {
        if let Some((known, _)) = self.known.get_mut(&child) {
            words.clone_into(known);
            return;
        }
        let (path, arguments) = words.split_once(':').unwrap_or((words, ""));
        let program = path.split(' ').next_back().unwrap_or_default();
        let asks = arguments.split(' ').any(|word| ASKS.contains(&word));
        // Those of iptables(8) are capital letters.
        let command = arguments
            .split(' ')
            .find(|word| word.starts_with('-') && word.ends_with(|last: char| last.is_ascii_uppercase()));
        let name = format!("{}.{program}{}", self.changes, command.unwrap_or_default());
        let (name, turn) = numbered(&mut self.turns, &name);
        if !asks {
            self.changes += 1;
        } else if turn > 2 {
            self.asked_often.insert(name.clone());
        }
        self.known.insert(child, (words.to_owned(), name));
    }

    fn name(&self, child: usize) -> String {
        self.known.get(&child).map_or_else(|| format!("child-{child}"), |(_, name)| name.clone())
    }

    fn words(&self, child: usize) -> Option<String> {
        self.known.get(&child).map(|(words, _)| words.clone())
    }
}

/// Takes down a run that is not killed.
#[derive(Debug)]
pub struct Recording {
    place: Place,
    calls: Vec<(Point, bool)>,
}

impl Recording {
    /// Nothing yet.
    pub fn new(whose: Whose) -> Self {
        Self { place: Place::new(whose), calls: Vec::new() }
    }

    /// One more call.
    pub fn add(&mut self, child: usize, call: &Call) -> Verdict {
        let (step, words, turn) = self.place.next(child, call);
        self.calls.push((Point { step, number: 0, call: words, turn }, call.acts));
        Verdict::Go
    }

    /// How many calls there were.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The points of the sweep: every call that acts, and of those that ask the same within one step, as polls do, the first,
    /// the second and the last.
    pub fn points(self) -> Vec<Point> {
        let children = self.place.whose == Whose::Children;
        let askers = &self.place.children.asked_often;
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut points = Vec::new();
        for (mut point, acts) in self.calls {
            let last = self.place.seen[&(point.step.clone(), point.call.clone())];
            let sampled = point.turn <= 2 || point.turn == last;
            // Of a child, whose own loader and libraries are not ours: where it begins, what it does, where it ends.
            let matters = !children
                || acts
                || ["sendto", "sendmsg", "exit_group"].iter().any(|name| point.call.starts_with(name));
            if (acts || sampled) && matters && !askers.contains(&point.step) {
                let number = numbers.entry(point.step.clone()).or_default();
                *number += 1;
                point.number = *number;
                points.push(point);
            }
        }
        points
    }
}

/// Waits for a point and kills there.
#[derive(Debug)]
pub struct Strike<'a> {
    place: Place,
    point: &'a Point,
    entered: bool,
    /// Where it has killed.
    pub at: Option<Point>,
    /// What was killed, where that is a child.
    pub child: Option<String>,
}

impl<'a> Strike<'a> {
    /// A run that has not begun.
    pub fn new(whose: Whose, point: &'a Point) -> Self {
        Self { place: Place::new(whose), point, entered: false, at: None, child: None }
    }

    /// One more call. A run that polls less often than the recorded one is killed as it leaves the step.
    pub fn judge(&mut self, child: usize, call: &Call) -> Verdict {
        let (step, words, turn) = self.place.next(child, call);
        let in_step = step == self.point.step;
        self.entered |= in_step;
        let here = in_step && words == self.point.call && turn == self.point.turn;
        let left = self.entered && !in_step && self.place.whose == Whose::Own;
        if self.at.is_some() || !(here || left) {
            return Verdict::Go;
        }
        self.child = self.place.children.words(child);
        self.at = Some(Point { step, number: if here { self.point.number } else { 0 }, call: words, turn });
        Verdict::Kill
    }
}

#[cfg(test)]
mod tests {
    use super::Children;

    #[test]
    fn what_a_child_is_called_does_not_depend_on_how_often_the_run_asked() {
        let named = |asks: usize| {
            let mut children = Children::default();
            for child in 1..=asks {
                children.begins(child, "usr sbin iptables: -t nat -w -S");
            }
            children.begins(asks + 1, "usr sbin iptables: -t nat -w -D PITSTOP");
            children.begins(asks + 2, "usr sbin iptables: -t nat -w -S");
            let names: Vec<_> = (1..=asks + 2).map(|child| children.name(child)).collect();
            names.into_iter().filter(|name| !children.asked_often.contains(name)).collect::<Vec<_>>()
        };
        assert_eq!(named(2), ["0.iptables-S", "0.iptables-S#2", "0.iptables-D", "1.iptables-S"]);
        assert_eq!(named(7), named(2));
    }
}
