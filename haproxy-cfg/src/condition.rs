//! What stands after `.if` and `.elif` (configuration manual, 2.4).

use crate::source::Environment;
use crate::variables::{Value, Variables};
use crate::word::Word;

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

/// HAProxy reads no deeper either (`MAX_CFG_RECURSION`).
const DEEPEST: u32 = 1024;

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
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if let Ok(number) = name.parse::<i64>() {
            self.rest = rest.trim_start();
            return Ok(Some(number != 0));
        }
        let arguments = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((arguments, rest)) = arguments else {
            return Err(format!("\"{}\" is no condition", self.rest));
        };
        self.rest = rest.trim_start();
        let arguments: Vec<_> = arguments.split(',').map(str::trim).collect();
        self.evaluate(name, &arguments)
    }

    fn evaluate(&self, name: &str, arguments: &[&str]) -> Result<Option<bool>, String> {
        let version = |text: &str| version(text).ok_or_else(|| format!("\"{text}\" is no version"));
        Ok(match (name, arguments) {
            ("defined", [variable]) => self.variables.get(variable).map(|value| value != Value::Undefined),
            ("streq", [one, other]) => Some(one == other),
            ("strneq", [one, other]) => Some(one != other),
            ("strstr", [text, part]) => Some(text.contains(part)),
            ("version_atleast", [least]) => {
                let least = version(least)?;
                self.environment.version.map(|is| is >= least)
            }
            ("version_before", [first]) => {
                let first = version(first)?;
                self.environment.version.map(|is| is < first)
            }
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

    fn eat(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest.trim_start();
        true
    }
}

/// `2.6`, `2.6.12` or `3.0-dev5`, whose suffix does not count here.
fn version(text: &str) -> Option<[u32; 3]> {
    let numbers = text.split('-').next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?])
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
        let variables = Variables::new(environment.variables.clone());
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
            ("strneq(\"$A\", 1)", false),
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
        for text in
            ["yes", "defined(A", "(1", "1 1", "1 &&", "defined(A,B)", "unknown(A)", "version_atleast(new)", "|| 1"]
        {
            assert!(holds_here(text).is_err(), "{text}");
        }
        assert!(holds_here(&"(".repeat(5000)).is_err());
    }
}
