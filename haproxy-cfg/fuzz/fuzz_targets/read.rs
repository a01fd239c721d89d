//! Any bytes: read as one file or two, in one of several environments, and everything is asked of what comes out.

#![no_main]

use haproxy_cfg::Environment;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/walk/mod.rs"]
mod walk;

fuzz_target!(|bytes: &[u8]| {
    // The last byte chooses, so that a configuration is a seed as it is.
    let Some((choice, text)) = bytes.split_last() else { return };
    let known = |bit: u8| choice >> bit & 1 == 1;
    let variables = [("SITE", "rome"), ("EMPTY", ""), ("WORDS", " a  b ")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = Environment {
        variables: known(0).then(|| variables.into()),
        version: known(1).then_some(if known(2) { [2, 6, 12] } else { [3, 2, 26] }),
        features: known(3).then(|| ["OPENSSL".to_owned()].into()),
    };
    if known(4) {
        let middle = text.len() / 2;
        let begin_of_second = text[middle..].iter().position(|byte| *byte == b'\n').map_or(middle, |end| middle + end + 1);
        let (first, second) = text.split_at(begin_of_second);
        walk::walk(&[first, second], &environment);
    } else {
        walk::walk(&[text], &environment);
    }
});
