//! The sweep: a run is killed at each of its calls in turn, and recovered each time.
//!
//! | module | what it holds |
//! |---|---|
//! | [`tracer`] | follows a program call by call, over all its threads and without its children, and kills it at one |
//! | [`call`] | a system call in words that are the same in every run |
//! | [`point`] | where to kill: every call that acts, and first, second and last of those that ask the same |
//! | [`scenario`] | the kinds of runs that are swept |
//! | [`lane`] | a scene in which one point after the other is tried, and what must be so after each |

pub mod call;
mod known;
pub mod lane;
pub mod point;
pub mod scenario;
pub mod tracer;
