//! HAProxy's time format (configuration manual, 2.5).

use std::time::Duration;

use crate::word::Word;

/// The longest time that HAProxy takes, about 24.8 days.
const MOST_MILLISECONDS: u64 = i32::MAX as u64;

/// A whole number with one of `us`, `ms`, `s`, `m`, `h`, `d`; without, it is in milliseconds. HAProxy counts in
/// milliseconds and rounds up.
pub(crate) fn delay(word: Option<&Word>) -> Option<Duration> {
    let text = word?.known()?;
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "us" => number.div_ceil(1000),
        "" | "ms" => number,
        "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        "d" => number.checked_mul(86_400_000)?,
        _ => return None,
    };
    (milliseconds <= MOST_MILLISECONDS).then_some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn milliseconds(text: &str) -> Option<u128> {
        let words = crate::word::cut(text.as_bytes(), &crate::variables::Variables::default()).unwrap();
        delay(words.first()).map(|delay| delay.as_millis())
    }

    #[test]
    fn a_number_without_a_unit_is_in_milliseconds() {
        assert_eq!(milliseconds("1500"), Some(1500));
    }

    #[test]
    fn every_unit_is_read_and_microseconds_are_rounded_up() {
        let all = ["1500us", "7ms", "2s", "3m", "1h", "1d"].map(milliseconds);
        let wanted = [2, 7, 2000, 180_000, 3_600_000, 86_400_000];
        assert_eq!(all, wanted.map(Some));
    }

    #[test]
    fn the_longest_time_of_haproxy_is_read() {
        assert_eq!(milliseconds("2147483647"), Some(2_147_483_647));
    }

    #[test]
    fn what_is_no_time_is_unknown() {
        for text in
            ["", "s", "-1", "1.5s", "1w", "\"$T\"", "99999999999999999999", "99999999999999999d", "2147483648", "25d"]
        {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
