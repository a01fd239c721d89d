//! Tables that can be read in Markdown and on a terminal, and figures for them.

use std::time::Duration;

/// A table; figures stand on the right.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.head.len(), "as many cells as heads");
        self.rows.push(cells);
    }

    pub(crate) fn render(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| lines().map(|cells| cells[column].chars().count()).max().unwrap_or_default().max(3);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
        };
        let rule = widths.iter().enumerate().map(|(column, width)| {
            if column == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) }
        });
        let rule = format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
        line(&self.head) + &rule + &self.rows.iter().map(line).collect::<String>()
    }
}

/// The middle one, and the largest; `None` of nothing.
pub(crate) fn median_and_max(mut values: Vec<Duration>) -> Option<(Duration, Duration)> {
    values.sort_unstable();
    let last = *values.last()?;
    let upper = values[values.len() / 2];
    let lower = values[(values.len() - 1) / 2];
    Some(((lower + upper) / 2, last))
}

/// `median (max)` in a unit that fits both; a dash for nothing.
pub(crate) fn middle(values: Vec<Duration>) -> String {
    median_and_max(values).map_or_else(|| "–".to_owned(), |(median, max)| format!("{} ({})", unit(median), unit(max)))
}

/// `0.25 ms`, `7.1 ms`, `340 ms` or `8.1 s`.
pub(crate) fn unit(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..1.0 => format!("{ms:.2} ms"),
        ..20.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let ms = |values: &[u64]| values.iter().map(|ms| Duration::from_millis(*ms)).collect();
        assert_eq!(middle(ms(&[4000, 1, 3, 2])), "2.5 ms (4.0 s)");
        assert_eq!(middle(ms(&[])), "–");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["a", "figure"]);
        table.row(vec!["long name".to_owned(), "7".to_owned()]);
        let lines = ["| a         | figure |", "| --------- | -----: |", "| long name |      7 |", ""];
        assert_eq!(table.render(), lines.join("\n"));
    }
}
