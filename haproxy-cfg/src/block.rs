//! `.if`, `.elif`, `.else` and `.endif`: which branch is read, and what may be open after them.

use std::collections::BTreeSet;

use crate::document::Place;

/// So many sections may be open where conditions are not decided. More are nobody's, and would cost the square of their number.
pub(crate) const MOST_OPEN: usize = 100;

/// What the meaning of the next line depends on. After a block that is not decided there may be more than one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The section that is open; of more than [`MOST_OPEN`], not all.
    pub(crate) section: BTreeSet<Open>,
    /// The `defaults` section that the next proxy starts from; `None` while there is none.
    pub(crate) defaults: BTreeSet<Option<usize>>,
}

/// What kind of section is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Open {
    /// None, at the beginning of a file.
    Nothing,
    Global,
    /// The proxy with this index.
    Proxy(usize),
    /// One that has nothing to do with a restart.
    Other,
}

impl Default for State {
    fn default() -> Self {
        Self { section: BTreeSet::from([Open::Nothing]), defaults: BTreeSet::from([None]) }
    }
}

/// Whether HAProxy reads a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    Read,
    Undecided,
    Skipped,
}

/// An `.if` that waits for its `.endif`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) begin: Place,
    pub(crate) byte: usize,
    /// The branch that is open.
    pub(crate) branch: Branch,
    /// Whether a branch before was read.
    pub(crate) decided: Branch,
    /// Where each branch begins.
    pub(crate) before: State,
    /// Where the branches so far may have ended.
    after: Option<State>,
    pub(crate) has_else: bool,
}

impl Block {
    pub(crate) fn new(begin: Place, byte: usize, branch: Branch, before: State) -> Self {
        Self { begin, byte, branch, decided: branch, before, after: None, has_else: false }
    }

    /// The open branch has ended like this, and another begins.
    pub(crate) fn next(&mut self, end: State, wanted: Branch, is_else: bool) {
        self.ended(end);
        self.has_else = is_else;
        // After a branch that is undecided, one that would be read is undecided too: HAProxy skips it if it read the other.
        self.branch = match (wanted, self.decided) {
            (Branch::Read, Branch::Undecided) => Branch::Undecided,
            (wanted, _) => wanted,
        };
        self.decided = match (wanted, self.decided) {
            (Branch::Read, _) | (_, Branch::Read) => Branch::Read,
            (Branch::Undecided, _) | (_, Branch::Undecided) => Branch::Undecided,
            (Branch::Skipped, Branch::Skipped) => Branch::Skipped,
        };
    }

    /// The last branch has ended like this; says where that leaves us.
    pub(crate) fn end(mut self, end: State) -> State {
        self.ended(end);
        if self.decided != Branch::Read {
            self.may_have_ended(self.before.clone());
        }
        self.after.unwrap_or(self.before)
    }

    /// The open branch has ended like this.
    fn ended(&mut self, end: State) {
        if self.branch != Branch::Skipped {
            self.may_have_ended(end);
        }
    }

    fn may_have_ended(&mut self, end: State) {
        match &mut self.after {
            Some(after) => {
                for open in end.section {
                    if after.section.len() <= MOST_OPEN {
                        after.section.insert(open);
                    }
                }
                // Two are as unknown as more.
                if after.defaults.len() <= 1 {
                    after.defaults.extend(end.defaults);
                }
            }
            None => self.after = Some(end),
        }
    }
}
