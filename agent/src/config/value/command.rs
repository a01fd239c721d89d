//! Commands: program and arguments, never a shell line.

use serde::{Deserialize, Deserializer, de};

use super::Text;

/// Program and arguments; may be empty, for none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::config) struct Command(pub(in crate::config) Vec<String>);

/// A word of a command.
struct Word(String);

impl std::str::FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('\0') { Err("an argument can't contain NUL") } else { Ok(Self(text.to_owned())) }
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words: Vec<Text<Word>> = Deserialize::deserialize(deserializer)?;
        let words: Vec<String> = words.into_iter().map(|Text(Word(word))| word).collect();
        if let Some(program) = words.first() {
            check_program(program).map_err(de::Error::custom)?;
        }
        Ok(Self(words))
    }
}

/// A relative path would depend on the directory pitstop was called in.
fn check_program(program: &str) -> Result<(), String> {
    if program.is_empty() {
        Err("the program is empty".to_owned())
    } else if program.starts_with('/') {
        Ok(())
    } else if program.contains('/') {
        Err(format!("{program:?} is a relative path: a program is an absolute path, or a plain name found in PATH"))
    } else if program.contains(char::is_whitespace) {
        Err(format!(
            "{program:?} is not the name of a program: no shell is involved, each word is an element of its own"
        ))
    } else {
        Ok(())
    }
}
