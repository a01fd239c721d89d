//! Variables in addresses, which HAProxy replaces once more: also without quotes, and within single ones.

use std::borrow::Cow;

use crate::server_settings::takes_a_value;
use crate::variables::{Value, Variables};
use crate::word::{LONGEST, Word};

/// The words of a line, with the variables in its addresses replaced; a word in which one is not known depends on it.
pub(crate) fn addresses<'w>(words: &'w [Word], variables: &Variables) -> Cow<'w, [Word]> {
    let mut words = Cow::Borrowed(words);
    for at in places(&words) {
        let Some(word) = words.get(at).filter(|word| !word.variable && word.text.contains('$')) else { continue };
        let value = expand(&word.text, variables);
        if let Some(word) = words.to_mut().get_mut(at) {
            word.variable = value.is_none();
            word.text = value.unwrap_or_else(|| std::mem::take(&mut word.text));
        }
    }
    words
}

/// Which words of a line are addresses.
fn places(words: &[Word]) -> Vec<usize> {
    let keyword = |at: usize| words.get(at).and_then(Word::known);
    let (mut places, settings) = match (keyword(0), keyword(1)) {
        (Some("server"), _) => (vec![2], 3),
        (Some("server-template"), _) => (vec![3], 4),
        (Some("default-server"), _) => (Vec::new(), 1),
        (Some("stats"), Some("socket")) => return vec![2],
        _ => return Vec::new(),
    };
    let mut at = settings;
    while at < words.len() {
        match keyword(at) {
            Some("addr") => places.push(at + 1),
            Some(_) => {}
            // What is a setting and what a value is not known from here on.
            None => break,
        }
        at += if keyword(at).is_some_and(takes_a_value) { 2 } else { 1 };
    }
    places
}

/// `$NAME` and `${NAME}` are what they say, and nothing where they are not set; a name is letters, digits and `_`, and there is no
/// default (`env_expand()` in HAProxy's `tools.c`, called by `str2sa_range()`). `None` where that is not known, or too long.
fn expand(text: &str, variables: &Variables) -> Option<String> {
    let mut parts = text.split('$');
    let mut expanded = parts.next()?.to_owned();
    for part in parts {
        let braced = part.strip_prefix('{');
        let name_on = braced.unwrap_or(part);
        let end = name_on.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name_on.len());
        let (name, rest) = name_on.split_at_checked(end)?;
        if !name.is_empty()
            && let Value::Text(value) = variables.get(name)?
        {
            expanded.push_str(&value);
        }
        // A brace that is never closed is none.
        expanded.push_str(braced.and(rest.strip_prefix('}')).unwrap_or(rest));
        if expanded.len() > LONGEST {
            return None;
        }
    }
    Some(expanded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::source::Environment;
    use crate::word::cut;

    fn variables() -> Variables {
        let told = [("IP", "10.0.0.1"), ("A_1", "$IP"), ("1", "one")];
        let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Variables::new(&Environment { variables: Some(told.into()), ..Environment::default() })
    }

    #[test]
    fn a_name_ends_where_haproxy_ends_it() {
        for (text, wanted) in [
            ("$IP:80", "10.0.0.1:80"),
            ("${IP}:80", "10.0.0.1:80"),
            ("${IP:80", "10.0.0.1:80"),
            ("$IP}:80", "10.0.0.1}:80"),
            ("${NOBODY}:80", ":80"),
            ("${NOBODY-10.0.0.9}:80", "-10.0.0.9}:80"),
            ("$A_1:80", "$IP:80"),
            ("$1$1", "oneone"),
            ("a$", "a"),
            ("${}b", "b"),
            ("$.IP", ".IP"),
            ("é$IPé", "é10.0.0.1é"),
        ] {
            assert_eq!(expand(text, &variables()).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(expand("$IP", &Variables::default()), None);
        assert_eq!(expand("$HAPROXY_CFGFILES", &variables()), None);
    }

    #[test]
    fn addresses_are_expanded_and_nothing_else_is() {
        let texts = |line: &str| -> Vec<Option<String>> {
            let words = cut(line.as_bytes(), &variables()).unwrap();
            addresses(&words, &variables()).iter().map(|word| word.known().map(str::to_owned)).collect()
        };
        let known = |line: &str| line.split(' ').map(|word| Some(word.to_owned())).collect::<Vec<_>>();
        for (line, wanted) in [
            ("server $IP $IP:80 cookie $IP check addr $IP", "server $IP 10.0.0.1:80 cookie $IP check addr 10.0.0.1"),
            ("server a '$IP:80' cookie addr $IP", "server a 10.0.0.1:80 cookie addr $IP"),
            ("server-template $IP 3 ${IP}:80", "server-template $IP 3 10.0.0.1:80"),
            ("default-server addr $IP", "default-server addr 10.0.0.1"),
            ("stats socket $IP:80 level $IP", "stats socket 10.0.0.1:80 level $IP"),
            ("stats uri $IP", "stats uri $IP"),
        ] {
            assert_eq!(texts(line), known(wanted), "{line}");
        }
        assert_eq!(texts("server a $HAPROXY_A:80").last(), Some(&None));
    }
}
