//! The sweep: a run is killed at each of its calls in turn, and recovered each time.
//!
//! | module | what it holds |
//! |---|---|
//! | [`tracer`] | follows a program call by call, over all its threads and without its children, and kills it at one |
//! | [`call`] | a system call in words that are the same in every run |
//! | [`point`] | where to kill: every call that acts, and first, second and last of those that ask the same |
//! | [`scenario`] | the kinds of runs that are swept |
//! | [`lane`] | a scene in which one point after the other is tried |
//! | [`judge`] | how an app may end, by where the run was killed |
//! | `scene` | how it ended in fact: by the balancers, the kernel, and what pitstop says |

pub mod call;
pub mod judge;
mod known;
pub mod lane;
pub mod point;
pub mod scenario;
mod scene;
pub mod tracer;
