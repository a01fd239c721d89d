//! The word that was probably meant.

/// More than this is no mistyped word, and comparing it would take long.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if near enough that a mistyped `word` is likely: at most one letter in three is
/// wrong, missing, too many or swapped with its neighbour.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= (length / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or else everything that would have been right.
pub(crate) fn hint(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("known here: {}", list(candidates)),
    }
}

/// `` `a`, `b`, `c` ``
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_mistyped_word_finds_the_one_meant_and_a_different_word_finds_none() {
        let keys = ["socket", "master", "config", "addresses"];
        for (word, meant) in [
            ("sokcet", Some("socket")),
            ("Socket", Some("socket")),
            ("adresses", Some("addresses")),
            ("conf", None),
            ("", None),
            ("zebra", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
        assert_eq!(nearest(&"s".repeat(1 << 20), keys), None);
    }

    #[test]
    fn without_a_near_word_all_known_ones_are_listed() {
        assert_eq!(hint("zebra", &["a1", "b1"]), "known here: `a1`, `b1`");
    }
}
