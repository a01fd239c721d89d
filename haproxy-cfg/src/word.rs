//! Cutting a line into words.

use std::iter::Enumerate;
use std::str::Chars;

use crate::error::Flaw;

/// A word of a line, as HAProxy would take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// What it says, without quotes and escapes; variables as they stand.
    pub(crate) text: String,
    /// Where it begins, in characters from 1.
    pub(crate) column: usize,
    /// Whether an environment variable is part of it.
    pub(crate) variable: bool,
    /// Whether a variable may make several words, or none, of it: `"${NAME[*]}"`.
    pub(crate) spreads: bool,
}

impl Word {
    fn new(column: usize) -> Self {
        Self { text: String::new(), column, variable: false, spreads: false }
    }

    /// What it says, unless that depends on the environment.
    pub(crate) fn known(&self) -> Option<&str> {
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

/// Cuts a line into words, by the rules of "Quoting and escaping" (configuration manual, 2.2) and, where that is
/// silent, of `parse_line()` in HAProxy's `tools.c`: a `#` begins a comment even within a word, and a backslash before
/// any other character stays. A `\xNN` above 7F becomes the character with that number.
pub(crate) fn cut(line: &str) -> Result<Vec<Word>, Flaw> {
    let mut cutter = Cutter { characters: line.chars().enumerate(), words: Vec::new(), word: None };
    cutter.run()?;
    cutter.words.extend(cutter.word);
    Ok(cutter.words)
}

struct Cutter<'a> {
    characters: Enumerate<Chars<'a>>,
    words: Vec<Word>,
    word: Option<Word>,
}

impl Cutter<'_> {
    fn run(&mut self) -> Result<(), Flaw> {
        let mut quote = Quote::None;
        let mut opened = 0;
        while let Some((index, character)) = self.characters.next() {
            let column = index + 1;
            match (character, quote) {
                ('\n' | '\r' | '\0', _) | ('#', Quote::None) => break,
                ('"', Quote::None | Quote::Weak) | ('\'', Quote::None | Quote::Strong) => {
                    self.word(column);
                    opened = column;
                    quote = match (quote, character) {
                        (Quote::None, '"') => Quote::Weak,
                        (Quote::None, _) => Quote::Strong,
                        _ => Quote::None,
                    };
                }
                ('\\', Quote::None | Quote::Weak) => self.escape(column, quote)?,
                ('$', Quote::Weak) => {
                    let spreads = self.variable_spreads();
                    let word = self.word(column);
                    word.text.push('$');
                    word.variable = true;
                    word.spreads |= spreads;
                }
                (' ' | '\t' | '\x0b' | '\x0c', Quote::None) => self.words.extend(self.word.take()),
                (other, _) => self.word(column).text.push(other),
            }
        }
        match quote {
            Quote::None => Ok(()),
            Quote::Weak => Err(Flaw::new(opened, "this double quote is never closed")),
            Quote::Strong => Err(Flaw::new(opened, "this single quote is never closed")),
        }
    }

    /// The word that is being read, which may begin here.
    fn word(&mut self, column: usize) -> &mut Word {
        self.word.get_or_insert_with(|| Word::new(column))
    }

    /// What follows a backslash.
    fn escape(&mut self, column: usize, quote: Quote) -> Result<(), Flaw> {
        let rest = self.characters.clone().map(|(_, character)| character);
        let (taken, character) = match rest.clone().next() {
            Some(same @ (' ' | '\\' | '#' | '\'' | '"')) => (1, same),
            Some('$') if quote == Quote::Weak => (1, '$'),
            Some('t') => (1, '\t'),
            Some('r') => (1, '\r'),
            Some('n') => (1, '\n'),
            Some('x') => {
                let digits: String = rest.skip(1).take(2).collect();
                let all_hex = digits.len() == 2 && digits.chars().all(|c| c.is_ascii_hexdigit());
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) if all_hex => (3, char::from(byte)),
                    _ => return Err(Flaw::new(column, "\\x must be followed by two hex digits")),
                }
            }
            _ => (0, '\\'),
        };
        for _ in 0..taken {
            self.characters.next();
        }
        self.word(column).text.push(character);
        Ok(())
    }

    /// Whether the variable whose `$` was just read ends in `[*]}`.
    fn variable_spreads(&self) -> bool {
        let rest = self.characters.clone().map(|(_, character)| character);
        let name: String = rest.take_while(|c| !matches!(c, '}' | '"')).collect();
        name.starts_with('{') && name.ends_with("[*]")
    }
}
