//! The reader of `haproxy-cfg` against the real HAProxy.
//!
//! | module | what it proves |
//! |---|---|
//! | `corpus` | the configurations of `haproxy-cfg/tests/corpus`, and which versions accept them |
//! | `effective` | what we read in each is what the running HAProxy does |
//! | `facts` | what HAProxy refuses we refuse, at the same line; conditions hold where HAProxy's do |
//! | `timing` | `inter`, `fall` and `rise`, and how long it takes at worst |
//! | `running` | a HAProxy that runs one of them |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod corpus;
mod effective;
mod facts;
mod running;
mod timing;
