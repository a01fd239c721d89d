//! Lengths of time.

use std::str::FromStr;
use std::time;

/// Nothing here lasts longer; more is a slip of the unit.
const LONGEST: time::Duration = time::Duration::from_secs(24 * 60 * 60);
/// A shorter pause or wait would be a busy loop.
const SHORTEST: time::Duration = time::Duration::from_millis(1);

/// `"2s"`: none at all, or 1 ms to 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct Duration(time::Duration);

/// `"2s"`: 1 ms to 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct PositiveDuration(time::Duration);

impl Duration {
    pub(in crate::config) const ZERO: Self = Self(time::Duration::ZERO);

    pub(in crate::config) const fn seconds(seconds: u8) -> Self {
        Self(time::Duration::from_secs(seconds as u64))
    }

    pub(in crate::config) const fn get(self) -> time::Duration {
        self.0
    }
}

impl PositiveDuration {
    /// A default; zero does not compile.
    pub(in crate::config) const fn of_millis<const MILLISECONDS: u64>() -> Self {
        const { assert!(MILLISECONDS > 0) };
        Self(time::Duration::from_millis(MILLISECONDS))
    }

    pub(in crate::config) const fn get(self) -> time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text)
            .map_err(|_| format!("{text:?} is not a duration: write a number and a unit (ms, s, min, h)"))?;
        if duration > LONGEST {
            Err(format!("{text:?} is too long: 24h is the most"))
        } else if !duration.is_zero() && duration < SHORTEST {
            Err(format!("{text:?} is too short: 1ms is the least"))
        } else {
            Ok(Self(duration))
        }
    }
}

impl FromStr for PositiveDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Duration::ZERO => Err(format!("{text:?} is too short: 1ms is the least here")),
            Duration(duration) => Ok(Self(duration)),
        }
    }
}
