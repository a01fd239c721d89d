//! File descriptors held back for the way to a safe end.
//!
//! When none are left (open(2), `EMFILE` and `ENFILE`), a run can neither ask a balancer nor start iptables, and could not undo what
//! it did. So some are taken at the very start and given back when they are needed most. They belong to the process, as its
//! table of descriptors does. Taken first, they have the lowest numbers: they help also where somebody lowers the limit meanwhile
//! (prlimit(1)), for a number below it is what the kernel asks for.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

/// Enough for a balancer's connection, iptables with its pipes, and a probe at the same time, for each of a few balancers.
const COUNT: usize = 24;

static HELD_BACK: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Takes them, before anything else is opened. May be repeated.
///
/// # Errors
/// There are not that many: then nothing should be begun.
pub fn hold_back() -> io::Result<()> {
    let mut held = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    while held.len() < COUNT {
        held.push(File::open("/dev/null")?);
    }
    Ok(())
}

/// Gives them back. May be repeated.
pub fn release() {
    HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
