//! The text as it stands: files and their lines, no byte of it lost.

use std::borrow::Cow;
use std::ops::Range;

use crate::source::Source;

/// A line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which file, from 0.
    pub file: u32,
    /// Which line of it, from 1.
    pub line: u32,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The line.
    pub place: Place,
    /// Its bytes, from 0.
    pub bytes: Range<usize>,
}

/// All files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    files: Vec<File>,
}

/// One file, and where its lines begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    source: Source,
    /// Where each line begins, and the end of the last.
    begins: Vec<usize>,
}

impl Document {
    pub(crate) fn new(sources: Vec<Source>) -> Self {
        Self { files: sources.into_iter().map(File::new).collect() }
    }

    /// The files, in their order.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file of that number, from 0.
    pub fn file(&self, number: u32) -> Option<&File> {
        self.files.get(usize::try_from(number).ok()?)
    }

    /// The bytes of a line, without its end; none where there is no such line.
    pub fn line(&self, place: Place) -> &[u8] {
        let line = self.whole_line(place);
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// The bytes of a line with its end.
    pub(crate) fn whole_line(&self, place: Place) -> &[u8] {
        self.file(place.file).map(|file| file.line(place.line)).unwrap_or_default()
    }

    /// `haproxy.cfg:12`
    pub fn describe(&self, place: Place) -> String {
        format!("{}:{}", self.file(place.file).map(File::name).unwrap_or_default(), place.line)
    }

    /// The files' numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = u32> + use<> {
        0..u32::try_from(self.files.len()).unwrap_or(u32::MAX)
    }

    /// The lines of a file.
    pub(crate) fn places(&self, file: u32) -> impl Iterator<Item = Place> + use<> {
        let lines = self.file(file).map_or(0, File::lines);
        (1..=lines).map(move |line| Place { file, line })
    }
}

impl File {
    fn new(source: Source) -> Self {
        let bytes = &source.bytes;
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end + 1);
        let mut begins: Vec<_> = [0].into_iter().chain(ends).collect();
        if begins.last() != Some(&bytes.len()) {
            begins.push(bytes.len());
        }
        Self { source, begins }
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// Its bytes, as they came in.
    pub fn bytes(&self) -> &[u8] {
        &self.source.bytes
    }

    /// Its text, for people.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.source.bytes)
    }

    /// How many lines it has.
    pub fn lines(&self) -> u32 {
        u32::try_from(self.begins.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// A line with its end.
    fn line(&self, number: u32) -> &[u8] {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let edges =
            index.checked_sub(1).and_then(|index| Some((*self.begins.get(index)?, *self.begins.get(index + 1)?)));
        edges.and_then(|(begin, end)| self.source.bytes.get(begin..end)).unwrap_or_default()
    }
}
