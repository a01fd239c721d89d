//! What stands after `.if` and `.elif` (configuration manual, 2.4).

use std::cmp::Ordering;

use crate::source::Environment;
use crate::variables::{Value, Variables};
use crate::word::{Word, leading_number};

/// Whether a condition holds; `None` where that depends on something that is not known.
///
/// # Errors
/// It is none that HAProxy could read.
pub(crate) fn holds(words: &[Word], environment: &Environment, variables: &Variables) -> Result<Option<bool>, String> {
    // HAProxy joins the words again, too.
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    if words.iter().any(|word| word.variable) {
        return Ok(None);
    }
    let mut condition = Condition { rest: text.trim(), depth: 0, environment, variables };
    if condition.rest.is_empty() {
        return Ok(Some(false));
    }
    let holds = condition.any()?;
    if condition.rest.is_empty() { Ok(holds) } else { Err(format!("\"{}\" is left over", condition.rest)) }
}

/// HAProxy reads no deeper either (`MAX_CFG_RECURSION`, of which each pair of parentheses takes three).
const DEEPEST: u32 = 341;

struct Condition<'a> {
    rest: &'a str,
    depth: u32,
    environment: &'a Environment,
    variables: &'a Variables,
}

impl Condition<'_> {
    /// `… || …`
    fn any(&mut self) -> Result<Option<bool>, String> {
        let mut all = self.every()?;
        while self.eat("||") {
            let next = self.every()?;
            all = match (all, next) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        Ok(all)
    }

    /// `… && …`
    fn every(&mut self) -> Result<Option<bool>, String> {
        let mut all = self.term()?;
        while self.eat("&&") {
            let next = self.term()?;
            all = match (all, next) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        Ok(all)
    }

    fn term(&mut self) -> Result<Option<bool>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        let mut negated = false;
        while self.eat("!") {
            negated = !negated;
        }
        let holds = if self.eat("(") {
            let inner = self.any()?;
            if !self.eat(")") {
                return Err("a parenthesis is never closed".to_owned());
            }
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(holds.map(|holds| holds != negated))
    }

    fn predicate(&mut self) -> Result<Option<bool>, String> {
        if let Some((is_zero, rest)) = number(self.rest) {
            self.rest = rest.trim_start();
            return Ok(Some(!is_zero));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let Some((arguments, rest)) = rest.strip_prefix('(').and_then(arguments) else {
            return Err(format!("\"{}\" is no condition", self.rest));
        };
        self.rest = rest.trim_start();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.evaluate(name, &arguments)
    }

    fn evaluate(&self, name: &str, arguments: &[&str]) -> Result<Option<bool>, String> {
        Ok(match (name, arguments) {
            ("defined", [variable]) => self.variables.get(variable).map(|value| value != Value::Undefined),
            ("streq", [one, other]) => Some(one == other),
            ("strneq", [one, other]) => Some(one != other),
            ("strstr", [text, part]) => Some(text.contains(part)),
            ("version_atleast", [least]) => self.is_at_least(least),
            ("version_before", [first]) => self.is_at_least(first).map(|is| !is),
            // Of no name, 2.6 says that it has it, and 3.0 that it has not.
            ("feature", [""]) => None,
            ("feature", [feature]) => self.environment.features.as_ref().map(|all| all.contains(*feature)),
            (
                "enabled"
                | "openssl_version_atleast"
                | "openssl_version_before"
                | "ssllib_name_startswith"
                | "awslc_api_atleast"
                | "awslc_api_before",
                [_],
            ) => None,
            _ => return Err(format!("no condition is called {name} and takes {} values", arguments.len())),
        })
    }

    /// Whether HAProxy's version is not before that one; of a version, only the three numbers are told.
    fn is_at_least(&self, least: &str) -> Option<bool> {
        let (least, has_more) = version(least);
        match self.environment.version?.cmp(&least) {
            Ordering::Less => Some(false),
            Ordering::Equal if has_more => None,
            Ordering::Equal | Ordering::Greater => Some(true),
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest.trim_start();
        true
    }
}

/// A number as C's `strtol()` reads it with any base, whether it is 0, and what follows it.
fn number(text: &str) -> Option<(bool, &str)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hexadecimal = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    let (digits, base) = match hexadecimal {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => (digits, 16),
        _ if unsigned.starts_with('0') => (unsigned, 8),
        _ => (unsigned, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(base)).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    (!number.is_empty()).then(|| (number.chars().all(|digit| digit == '0'), rest))
}

/// What stands between parentheses, and what follows them. Nothing is trimmed; quotes may hide commas and parentheses
/// (`make_arg_list()` in HAProxy's `arg.c`).
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut all = vec![String::new()];
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (')', None) => return Some((all, text.get(at + 1..)?)),
            (',', None) => all.push(String::new()),
            (c, _) => all.last_mut()?.push(c),
        }
    }
    None
}

/// `2.6`, `2.6.12` or `3.0-dev5`, and whether more follows. What is no number counts as 0.
fn version(text: &str) -> ([u32; 3], bool) {
    let (numbers, suffix) = text.split_once('-').map_or((text, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let mut parts = numbers.split('.').map(|part| leading_number(part).unwrap_or(u32::MAX));
    let mut next = || parts.next().unwrap_or(0);
    let version = [next(), next(), next()];
    // What is released comes after all of its development.
    let more = parts.next().is_some() || suffix.is_some_and(|suffix| !suffix.starts_with("dev"));
    (version, more)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::word::cut;

    fn environment() -> Environment {
        Environment {
            variables: Some([("A".to_owned(), "1".to_owned())].into()),
            version: Some([2, 6, 12]),
            features: Some(["OPENSSL".to_owned()].into()),
        }
    }

    fn holds_here(text: &str) -> Result<Option<bool>, String> {
        let environment = environment();
        let variables = Variables::new(&environment);
        holds(&cut(text.as_bytes(), &variables).unwrap(), &environment, &variables)
    }

    #[test]
    fn conditions_are_decided_where_everything_is_known() {
        for (text, wanted) in [
            ("", false),
            ("0", false),
            ("1", true),
            ("-1", true),
            ("defined(A)", true),
            ("defined(B)", false),
            ("!defined(B)", true),
            ("! ! defined(A)", true),
            ("streq(\"$A\",1)", true),
            ("strneq(\"$A\",1)", false),
            ("strneq(\"$A\", 1)", true),
            ("streq('\"a,b)\"','\"a,b)\"')", true),
            ("defined( A)", false),
            ("0x10", true),
            ("0x0 || +00", false),
            ("version_atleast(new)", true),
            ("version_atleast(2.6.12-dev1)", true),
            ("version_before(2.6.13-1)", true),
            ("strstr(abc,bc)", true),
            ("version_atleast(2.6)", true),
            ("version_atleast(2.6.13)", false),
            ("version_before(3.0-dev1)", true),
            ("feature(OPENSSL)", true),
            ("feature(LUA)", false),
            ("0 && 1 || 1", true),
            ("1 || 1 && 0", true),
            ("(1 || 1) && 0", false),
            ("!(0 || defined(B))", true),
        ] {
            assert_eq!(holds_here(text), Ok(Some(wanted)), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_decides_nothing_unless_the_rest_does() {
        let nothing = Environment::default();
        let variables = Variables::default();
        let holds = |text: &str| holds(&cut(text.as_bytes(), &variables).unwrap(), &nothing, &variables).unwrap();
        for text in
            ["defined(A)", "streq(\"$A\",1)", "feature(LUA)", "version_atleast(2.4)", "!defined(A)", "enabled(POLL)"]
        {
            assert_eq!(holds(text), None, "{text}");
        }
        assert_eq!(holds("defined(A) && 0"), Some(false));
        assert_eq!(holds("defined(A) || 1"), Some(true));
        assert_eq!(holds("defined(A) || 0"), None);
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["yes", "defined(A", "(1", "1 1", "1 &&", "defined(A,B)", "unknown(A)", "08", "0x", "|| 1"] {
            assert!(holds_here(text).is_err(), "{text}");
        }
        assert!(holds_here(&"(".repeat(5000)).is_err());
        let nested = |deep| format!("{}1{}", "(".repeat(deep), ")".repeat(deep));
        assert_eq!(holds_here(&nested(340)), Ok(Some(true)));
        assert!(holds_here(&nested(341)).is_err());
    }
}
