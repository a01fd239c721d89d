//! Single values as written: each is checked while it is read, so that its error carries its place.

mod command;
mod text;
mod time;
mod url;

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer, de};

pub(super) use command::Command;
pub(super) use text::{AbsolutePath, Endpoint, HeaderText, HeaderWord, ServerName, UnitName};
pub(super) use time::{Duration, PositiveDuration};
pub(super) use url::Url;

use crate::config::settings::MinUp;

/// A value that is written as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<T: std::str::FromStr<Err: fmt::Display>> de::Visitor<'_> for Visitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor(std::marker::PhantomData))
    }
}

/// One text, or an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OneOrMore<T>(pub(super) Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T> Deserialize<'de> for OneOrMore<T>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: std::str::FromStr<Err: fmt::Display>> de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMore<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
                text.parse().map(|one| OneOrMore(vec![one])).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut texts: A) -> Result<OneOrMore<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(Text(one)) = texts.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMore(all))
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Choice<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Choice<T>, E> {
                T::deserialize(StrDeserializer::new(text)).map(Choice)
            }
        }

        deserializer.deserialize_str(Visitor(std::marker::PhantomData))
    }
}

/// A whole number in bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole<const MIN: u16, const MAX: u16>(u16);

/// A TCP port.
pub(super) type Port = Whole<1, 65535>;
/// How often or how many.
pub(super) type Count = Whole<1, 1000>;
/// A final HTTP status (RFC 9110, section 15; 1xx never ends an answer).
pub(super) type Status = Whole<200, 599>;

impl<const MIN: u16, const MAX: u16> Whole<MIN, MAX> {
    /// A default; one out of bounds does not compile.
    pub(super) const fn of<const VALUE: u16>() -> Self {
        const { assert!(MIN <= VALUE && VALUE <= MAX) };
        Self(VALUE)
    }

    pub(super) const fn get(self) -> u16 {
        self.0
    }
}

impl<'de, const MIN: u16, const MAX: u16> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: u16, const MAX: u16>;

        impl<const MIN: u16, const MAX: u16> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = Whole<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole<MIN, MAX>, E> {
                u16::try_from(number)
                    .ok()
                    .filter(|number| (MIN..=MAX).contains(number))
                    .map(Whole)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
        }

        deserializer.deserialize_i64(Visitor)
    }
}

/// `"10%"`, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percent(pub(super) u8);

impl std::str::FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix('%')
            .filter(|digits| !digits.starts_with('+'))
            .and_then(|digits| digits.parse().ok())
            .filter(|percent| *percent <= 100)
            .map(Self)
            .ok_or("expected a percentage from \"0%\" to \"100%\"")
    }
}

/// `1` or `"50%"`
impl<'de> Deserialize<'de> for MinUp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = MinUp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of servers such as 1, or a percentage such as \"50%\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<MinUp, E> {
                u32::try_from(number)
                    .map(MinUp::Servers)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MinUp, E> {
                let Percent(percent) = text.parse().map_err(E::custom)?;
                Ok(MinUp::Percent(percent))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
