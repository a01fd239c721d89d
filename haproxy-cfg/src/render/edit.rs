//! Changing single lines of a configuration: all other bytes stay as they are.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::document::{Document, Place};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Writes this in place of a part of a line, given in bytes from 0; an empty part inserts.
    Replace(Place, Range<usize>, String),
    /// Adds a line after this one, with the end that lines have there.
    After(Place, String),
}

impl Edit {
    /// The line that it changes, or adds to.
    pub fn place(&self) -> Place {
        match self {
            Self::Replace(place, ..) | Self::After(place, _) => *place,
        }
    }
}

/// A file with these changes, of which those for other files do not count. Changes of one line take effect in their order; of two that
/// replace the same bytes the first does.
pub fn edited(document: &Document, file: u32, edits: &[Edit]) -> Vec<u8> {
    let mut by_line: BTreeMap<Place, Vec<&Edit>> = BTreeMap::new();
    for edit in edits {
        by_line.entry(edit.place()).or_default().push(edit);
    }
    let mut bytes = Vec::new();
    for place in document.places(file) {
        let (text, whole) = (document.line(place), document.whole_line(place));
        let edits = by_line.get(&place).map(Vec::as_slice).unwrap_or_default();
        replace(&mut bytes, text, edits);
        bytes.extend(whole.get(text.len()..).unwrap_or_default());
        for edit in edits {
            if let Edit::After(_, line) = edit {
                let end: &[u8] = if whole.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
                if !bytes.ends_with(b"\n") {
                    bytes.extend(end);
                }
                bytes.extend(line.as_bytes());
                bytes.extend(end);
            }
        }
    }
    bytes
}

/// Writes the line with what is to be replaced in it.
fn replace(bytes: &mut Vec<u8>, text: &[u8], edits: &[&Edit]) {
    let parts = edits.iter().filter_map(|edit| match edit {
        Edit::Replace(_, range, with) => Some((range, with)),
        Edit::After(..) => None,
    });
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|(range, _)| range.start);
    let mut from = 0;
    for (range, with) in parts {
        let Some(kept) = text.get(from..range.start) else { continue };
        bytes.extend(kept);
        bytes.extend(with.as_bytes());
        from = range.end.min(text.len());
    }
    bytes.extend(text.get(from..).unwrap_or_default());
}
