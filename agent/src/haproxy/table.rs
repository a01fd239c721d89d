//! Rows whose columns are found by the names in their header, because versions add and insert columns.

use std::collections::HashMap;
use std::str::FromStr;

/// Where each column stands.
pub(super) struct Columns(HashMap<String, usize>);

impl Columns {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut columns = HashMap::new();
        for (index, name) in names.enumerate() {
            columns.entry(name.to_owned()).or_insert(index);
        }
        Self(columns)
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// One row of cells separated by white space, as in `show servers state`.
pub(super) struct Row<'a> {
    columns: &'a Columns,
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    pub(super) fn new(columns: &'a Columns, line: &'a str) -> Self {
        Self { columns, cells: line.split_ascii_whitespace().collect() }
    }

    /// The cell as text; HAProxy writes `-` for none.
    pub(super) fn text(&self, column: &str) -> Option<&'a str> {
        let cell = *self.cells.get(self.columns.position(column)?)?;
        (cell != "-").then_some(cell)
    }

    pub(super) fn value<T: FromStr>(&self, column: &str) -> Option<T> {
        self.text(column)?.parse().ok()
    }
}
