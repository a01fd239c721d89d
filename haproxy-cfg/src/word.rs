//! Cutting a line into words.

use std::ops::Range;

use crate::error::Flaw;
use crate::variables::{Undefined, Value, Variables};

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

/// The whole number that the word begins with, as C's `atol()` reads it, and HAProxy with it: what follows the digits does not
/// count, and 0 is what there is without any. None where it is too large.
pub(crate) fn number<T: TryFrom<i64>>(word: Option<&Word>) -> Option<T> {
    leading_number(word?.known()?)
}

/// The same of a text.
pub(crate) fn leading_number<T: TryFrom<i64>>(text: &str) -> Option<T> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let number: i64 = match end {
        0 => 0,
        _ => text.get(..text.len() - unsigned.len() + end)?.parse().ok()?,
    };
    number.try_into().ok()
}

/// A word that variables make longer than this is not known, in bytes.
pub(crate) const LONGEST: usize = 64 << 10;

/// Which quotes are open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    /// `'`: nothing is interpreted.
    Strong,
    /// `"`: escapes and variables are.
    Weak,
}

/// HAProxy reads no more words of a line (`MAX_LINE_ARGS`).
const MOST_WORDS: usize = 64;

/// Cuts a line into words, by the rules of "Quoting and escaping" (configuration manual, 2.2) and, where that is silent, of
/// `parse_line()` in HAProxy's `tools.c`: a `#` begins a comment even within a word, and a backslash before any other character stays.
pub(crate) fn cut(line: &[u8], variables: &Variables) -> Result<Vec<Word>, Flaw> {
    let mut cutter = Cutter { line, next: 0, variables, words: Vec::new(), word: None };
    cutter.run()?;
    cutter.end_word();
    match cutter.words.get(MOST_WORDS) {
        Some(word) => Err(Flaw::new(word.bytes.start, format!("HAProxy reads at most {MOST_WORDS} words of a line"))),
        None => Ok(cutter.words),
    }
}

/// The words that count: an empty one ends the list.
pub(crate) fn that_count(words: &[Word]) -> &[Word] {
    let end = words.iter().position(|word| word.known() == Some("")).unwrap_or(words.len());
    words.get(..end).unwrap_or_default()
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
    word: Option<Unfinished>,
}

/// A word that is being read.
struct Unfinished {
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
                (b'$', Quote::Weak) => {
                    if self.variable()? {
                        quote = Quote::None;
                    }
                }
                (space, Quote::None) if is_space(space) => {
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
    fn word(&mut self) -> &mut Unfinished {
        let begin = self.next;
        self.word.get_or_insert_with(|| Unfinished { text: Vec::new(), begin, variable: false, spreads: false })
    }

    fn end_word(&mut self) {
        let end = self.next;
        let Some(Unfinished { mut text, begin, variable, spreads }) = self.word.take() else { return };
        // It is a string of C for HAProxy.
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
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

    /// `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}` (configuration manual, 2.3). Says whether it took the closing quote with
    /// it.
    fn variable(&mut self) -> Result<bool, Flaw> {
        let begin = self.next;
        let braced = self.peek(1) == Some(b'{');
        let name_begin = begin + if braced { 2 } else { 1 };
        let rest = self.line.get(name_begin..).unwrap_or_default();
        let is_name = |(at, byte): (usize, &u8)| match at {
            0 => byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'),
            _ => byte.is_ascii_alphanumeric() || *byte == b'_',
        };
        let length = rest.iter().enumerate().take_while(|letter| is_name(*letter)).count();
        if length == 0 {
            return Err(Flaw::new(name_begin, "no variable has a name like this"));
        }
        let name = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
        let (mut default, mut spreads, mut end) = (None, false, name_begin + length);
        if braced {
            let tail = rest.get(length..).unwrap_or_default();
            let close = tail.iter().position(|byte| *byte == b'}');
            let close = close.ok_or_else(|| Flaw::new(begin, "this ${ is never closed"))?;
            let inside = tail.get(..close).unwrap_or_default();
            let plain = inside.strip_prefix(b"[*]");
            spreads = plain.is_some();
            default = match plain.unwrap_or(inside) {
                [] => None,
                [b'-', default @ ..] => Some(default.to_vec()),
                _ => return Err(Flaw::new(begin, "after its name a variable has [*], a - with a default, or a }")),
            };
            end += close + 1;
        }
        let value = match (self.variables.get(&name), default) {
            (Some(Value::Text(text)), _) => Some(text.into_bytes()),
            (Some(Value::Undefined), Some(default)) => Some(default),
            (Some(Value::Undefined), None) if self.line.get(end) == Some(&b'"') => match self.variables.undefined() {
                Undefined::Empty => Some(Vec::new()),
                Undefined::Joins => {
                    let rest = self.line.get(end + 1..).unwrap_or_default();
                    let spaces = rest.iter().take_while(|byte| is_space(**byte)).count();
                    self.next = end + 1 + spaces;
                    return Ok(true);
                }
                Undefined::Unknown => {
                    spreads = true;
                    None
                }
            },
            (Some(Value::Undefined), None) => Some(Vec::new()),
            (None, _) => None,
        };
        // A few lines of `setenv` can make a value of any length, and no setting means anything by one that long.
        let before = self.word.as_ref().map_or(0, |word| word.text.len());
        let value = value.filter(|value| before + value.len() <= LONGEST);
        match value {
            None => {
                let text = self.line.get(begin..end).unwrap_or_default().to_vec();
                let word = self.word();
                word.text.extend(text);
                word.variable = true;
                word.spreads |= spreads;
            }
            Some(value) if spreads => self.spread(&value),
            Some(value) => self.word().text.extend(value),
        }
        self.next = end;
        Ok(false)
    }

    /// A value of which every run of white space, also at its ends, ends one word and begins the next.
    fn spread(&mut self, value: &[u8]) {
        let mut in_space = false;
        for byte in value {
            match is_space(*byte) {
                true if in_space => {}
                true => {
                    self.end_word();
                    self.word();
                }
                false => self.word().text.push(*byte),
            }
            in_space = is_space(*byte);
        }
    }
}

/// `isspace()` of C.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c')
}
