//! Cutting a line into words.

use std::ops::Range;

use crate::error::Flaw;
use crate::variables::{Value, Variables};

/// A word of a line, as HAProxy would take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What it says, without quotes and escapes; variables that are not known as they stand.
    pub text: String,
    /// Where it stands in its line, in bytes from 0.
    pub bytes: Range<usize>,
    /// Whether a variable that is not known is part of it.
    pub(crate) variable: bool,
    /// Whether such a variable may make several words, or none, of it: `"${NAME[*]}"`.
    pub(crate) spreads: bool,
}

impl Word {
    /// What it says, unless that depends on something that is not known.
    pub fn known(&self) -> Option<&str> {
        (!self.variable).then_some(self.text.as_str())
    }
}

/// The whole number that the word says.
pub(crate) fn number<T: std::str::FromStr>(word: Option<&Word>) -> Option<T> {
    word?.known()?.parse().ok()
}

/// Which quotes are open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    /// `'`: nothing is interpreted.
    Strong,
    /// `"`: escapes and variables are.
    Weak,
}

/// Cuts a line into words, by the rules of "Quoting and escaping" (configuration manual, 2.2) and, where that is silent, of
/// `parse_line()` in HAProxy's `tools.c`: a `#` begins a comment even within a word, and a backslash before any other character stays.
pub(crate) fn cut(line: &[u8], variables: &Variables) -> Result<Vec<Word>, Flaw> {
    let mut cutter = Cutter { line, next: 0, variables, words: Vec::new(), word: None };
    cutter.run()?;
    cutter.end_word();
    Ok(cutter.words)
}

/// The comment of a line, from its `#` on.
pub(crate) fn comment(line: &[u8]) -> Option<&[u8]> {
    let nothing = Variables::default();
    let mut cutter = Cutter { line, next: 0, variables: &nothing, words: Vec::new(), word: None };
    let end = cutter.run().ok()?;
    line.get(end..).filter(|rest| rest.starts_with(b"#"))
}

struct Cutter<'a> {
    line: &'a [u8],
    /// The next byte to be read.
    next: usize,
    variables: &'a Variables,
    words: Vec<Word>,
    /// The word that is being read.
    word: Option<Half>,
}

/// A word that is being read.
struct Half {
    text: Vec<u8>,
    begin: usize,
    variable: bool,
    spreads: bool,
}

impl Cutter<'_> {
    /// Reads to the end of what counts, and says where that is.
    fn run(&mut self) -> Result<usize, Flaw> {
        let mut quote = Quote::None;
        let mut opened = 0;
        while let Some(byte) = self.peek(0) {
            let at = self.next;
            match (byte, quote) {
                (b'\n' | b'\r' | b'\0', _) | (b'#', Quote::None) => break,
                (b'"', Quote::None | Quote::Weak) | (b'\'', Quote::None | Quote::Strong) => {
                    self.word();
                    self.next += 1;
                    opened = at;
                    quote = match (quote, byte) {
                        (Quote::None, b'"') => Quote::Weak,
                        (Quote::None, _) => Quote::Strong,
                        _ => Quote::None,
                    };
                }
                (b'\\', Quote::None | Quote::Weak) => self.escape(quote)?,
                (b'$', Quote::Weak) => self.variable()?,
                (b' ' | b'\t' | b'\x0b' | b'\x0c', Quote::None) => {
                    self.end_word();
                    self.next += 1;
                }
                (other, _) => {
                    self.word().text.push(other);
                    self.next += 1;
                }
            }
        }
        match quote {
            Quote::None => Ok(self.next),
            Quote::Weak => Err(Flaw::new(opened, "this double quote is never closed")),
            Quote::Strong => Err(Flaw::new(opened, "this single quote is never closed")),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.next.checked_add(ahead)?).copied()
    }

    /// The word that is being read, which may begin here.
    fn word(&mut self) -> &mut Half {
        let begin = self.next;
        self.word.get_or_insert_with(|| Half { text: Vec::new(), begin, variable: false, spreads: false })
    }

    fn end_word(&mut self) {
        let end = self.next;
        let Some(Half { text, begin, variable, spreads }) = self.word.take() else { return };
        let text =
            String::from_utf8(text).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        self.words.push(Word { text, bytes: begin..end, variable, spreads });
    }

    /// A backslash and what follows it.
    fn escape(&mut self, quote: Quote) -> Result<(), Flaw> {
        let (taken, byte) = match self.peek(1) {
            Some(same @ (b' ' | b'\\' | b'#' | b'\'' | b'"')) => (2, same),
            Some(b'$') if quote == Quote::Weak => (2, b'$'),
            Some(b't') => (2, b'\t'),
            Some(b'r') => (2, b'\r'),
            Some(b'n') => (2, b'\n'),
            Some(b'x') => {
                let digit = |ahead| self.peek(ahead).and_then(|digit| char::from(digit).to_digit(16));
                let byte = digit(2).zip(digit(3)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                (4, byte.ok_or_else(|| Flaw::new(self.next, "\\x must be followed by two hex digits"))?)
            }
            _ => (1, b'\\'),
        };
        self.word().text.push(byte);
        self.next += taken;
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}` (configuration manual, 2.3).
    fn variable(&mut self) -> Result<(), Flaw> {
        let begin = self.next;
        let braced = self.peek(1) == Some(b'{');
        let name_begin = begin + if braced { 2 } else { 1 };
        let rest = self.line.get(name_begin..).unwrap_or_default();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        let length = rest.iter().take_while(|byte| is_name(byte)).count();
        let name = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
        let (mut default, mut spreads, mut end) = (None, false, name_begin + length);
        if braced {
            let tail = rest.get(length..).unwrap_or_default();
            let close = tail.iter().position(|byte| *byte == b'}');
            let close = close.ok_or_else(|| Flaw::new(begin, "this ${ is never closed"))?;
            let inside = tail.get(..close).unwrap_or_default();
            let plain = inside.strip_suffix(b"[*]");
            spreads = plain.is_some();
            default = plain.unwrap_or(inside).strip_prefix(b"-").map(<[u8]>::to_vec);
            end += close + 1;
        }
        let value = match self.variables.get(&name) {
            Some(Value::Text(text)) => Some(text.into_bytes()),
            Some(Value::Undefined) => Some(default.unwrap_or_default()),
            None => None,
        };
        match value {
            None => {
                let text = self.line.get(begin..end).unwrap_or_default().to_vec();
                let word = self.word();
                word.text.extend(text);
                word.variable = true;
                word.spreads |= spreads;
            }
            Some(value) if !spreads => self.word().text.extend(value),
            Some(value) => {
                let mut first = true;
                for piece in value.split(|byte| *byte == b' ').filter(|piece| !piece.is_empty()) {
                    if !std::mem::replace(&mut first, false) {
                        self.end_word();
                    }
                    self.word().text.extend(piece);
                }
            }
        }
        self.next = end;
        Ok(())
    }
}
