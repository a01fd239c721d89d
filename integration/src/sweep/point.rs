//! Where a run is killed, and which of all calls are taken for that.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::tracer::{Verdict, Whose};

/// One call of a run, found again in another run of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The step, with its turn where it is not the first; or the child.
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
    /// What each child runs, with its arguments.
    programs: HashMap<usize, String>,
}

impl Place {
    /// Before the first call.
    pub fn new(whose: Whose) -> Self {
        Self {
            whose,
            step: "preflight".to_owned(),
            begun: HashMap::new(),
            seen: HashMap::new(),
            programs: HashMap::new(),
        }
    }

    /// The step that the call belongs to, the call, and its turn.
    fn next(&mut self, child: usize, call: &Call) -> (String, String, usize) {
        if let Some(step) = &call.begins {
            let turn = self.begun.entry(step.clone()).or_default();
            *turn += 1;
            self.step = if *turn > 1 { format!("{step}#{turn}") } else { step.clone() };
        }
        if call.name == "execve" {
            self.programs.insert(child, call.subject.clone());
        }
        let step = match self.whose {
            Whose::Own | Whose::Both if child == 0 => self.step.clone(),
            _ => format!("child-{child}"),
        };
        let call = format!("{} {}", call.name, call.subject).trim().to_owned();
        let turn = self.seen.entry((step.clone(), call.clone())).or_default();
        *turn += 1;
        (step, call, *turn)
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
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let mut points = Vec::new();
        for (mut point, acts) in self.calls {
            let last = self.place.seen[&(point.step.clone(), point.call.clone())];
            let sampled = point.turn <= 2 || point.turn == last;
            // Of a child, whose own loader and libraries are not ours: where it begins, what it does, where it ends.
            let matters = !children
                || acts
                || ["sendto", "sendmsg", "exit_group"].iter().any(|name| point.call.starts_with(name));
            if (acts || sampled) && matters {
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
        self.child = self.place.programs.get(&child).filter(|_| child > 0).cloned();
        self.at = Some(Point { step, number: if here { self.point.number } else { 0 }, call: words, turn });
        Verdict::Kill
    }
}
