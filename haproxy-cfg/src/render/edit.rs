//! Changing single lines of a configuration: all other bytes stay as they are.

use crate::document::{Document, Place};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Writes this in place of a part of a line, given in bytes from 0.
    Replace(Place, std::ops::Range<usize>, String),
    /// Adds a line after this one, as far in as that is.
    After(Place, String),
}

impl Edit {
    fn place(&self) -> Place {
        match self {
            Self::Replace(place, ..) | Self::After(place, _) => *place,
        }
    }
}

/// A file with these changes, of which those for other files do not count. Two that replace parts of one line must not overlap.
pub fn edited(document: &Document, file: u32, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for place in document.places(file) {
        let whole = document.whole_line(place);
        let text = document.line(place);
        let end = whole.get(text.len()..).unwrap_or_default();
        let mut replaced: Vec<_> = edits
            .iter()
            .filter_map(|edit| match edit {
                Edit::Replace(at, range, with) if *at == place => Some((range.clone(), with)),
                _ => None,
            })
            .collect();
        replaced.sort_by_key(|(range, _)| range.start);
        let mut from = 0;
        for (range, with) in replaced {
            bytes.extend(text.get(from..range.start).unwrap_or_default());
            bytes.extend(with.as_bytes());
            from = range.end;
        }
        bytes.extend(text.get(from..).unwrap_or_default());
        bytes.extend(end);
        let indent = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let added = edits.iter().filter(|edit| edit.place() == place).filter_map(|edit| match edit {
            Edit::After(_, line) => Some(line),
            Edit::Replace(..) => None,
        });
        for line in added {
            if !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            bytes.extend(text.get(..indent).unwrap_or_default());
            bytes.extend(line.as_bytes());
            bytes.push(b'\n');
        }
    }
    bytes
}
