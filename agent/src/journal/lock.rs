//! Locks of an open file description (fcntl(2), "Open file description locks"): they go with who holds them, however that dies.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// How a file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Beside others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

/// Locks the whole file where nobody else's lock is in the way; whether it did. Never waits.
pub(crate) fn try_lock(file: &File, lock: Lock) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(lock))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// How somebody else has locked the file. Asked, not tried: trying would for a moment be in others' way.
pub(crate) fn locked(file: &File) -> io::Result<Option<Lock>> {
    let mut met = whole_file(Lock::Exclusive);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut met))?;
    Ok(match i32::from(met.l_type) {
        libc::F_UNLCK => None,
        libc::F_RDLCK => Some(Lock::Shared),
        _ => Some(Lock::Exclusive),
    })
}

fn whole_file(lock: Lock) -> libc::flock {
    let kind = match lock {
        Lock::Shared => libc::F_RDLCK,
        Lock::Exclusive => libc::F_WRLCK,
    };
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}
