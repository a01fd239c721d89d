//! The system calls on files, sockets and processes, and where each says what it is about.

use nix::libc::{self, c_long};

/// Where a call says what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A path, which is this argument.
    Path(usize),
    /// A program's path, which is the first argument, and its arguments, which are the second.
    Program,
    /// An open file or socket, which is the first argument.
    Descriptor,
    /// The same; the second argument is what is written, the third how much.
    Data,
    /// The same; the second argument is a list of pieces, of which the first is looked at.
    Pieces,
    /// The same; the second argument is an address, the third its length.
    Address,
    /// A signal, which is the second argument.
    Signal,
    /// Nothing that can be told.
    Nothing,
}

/// Number, name, what it is about, and whether it acts.
type Known = (c_long, &'static str, About, bool);

macro_rules! table {
    ($name:ident: $($number:ident $about:expr, $acts:expr;)*) => {
        const $name: &[Known] = &[$((libc::$number, stringify!($number), $about, $acts),)*];
    };
}

// What is not here touches nothing outside the process: memory, waiting, clocks, signal masks, identity.
table! { CALLS:
    SYS_openat About::Path(1), false;
    SYS_openat2 About::Path(1), false;
    SYS_newfstatat About::Path(1), false;
    SYS_statx About::Path(1), false;
    SYS_faccessat About::Path(1), false;
    SYS_faccessat2 About::Path(1), false;
    SYS_readlinkat About::Path(1), false;
    SYS_mkdirat About::Path(1), true;
    SYS_mknodat About::Path(1), true;
    SYS_unlinkat About::Path(1), true;
    SYS_renameat About::Path(1), true;
    SYS_renameat2 About::Path(1), true;
    SYS_symlinkat About::Path(0), true;
    SYS_linkat About::Path(1), true;
    SYS_fchmodat About::Path(1), true;
    SYS_fchownat About::Path(1), true;
    SYS_utimensat About::Path(1), true;
    SYS_truncate About::Path(0), true;
    SYS_statfs About::Path(0), false;
    SYS_chdir About::Path(0), false;
    SYS_execve About::Program, true;
    SYS_read About::Descriptor, false;
    SYS_readv About::Descriptor, false;
    SYS_pread64 About::Descriptor, false;
    SYS_getdents64 About::Descriptor, false;
    SYS_lseek About::Descriptor, false;
    SYS_fstat About::Descriptor, false;
    SYS_fcntl About::Descriptor, false;
    SYS_dup About::Descriptor, false;
    SYS_dup3 About::Descriptor, false;
    SYS_sendfile About::Descriptor, true;
    SYS_splice About::Descriptor, true;
    SYS_copy_file_range About::Descriptor, true;
    SYS_ioctl About::Descriptor, false;
    SYS_close About::Descriptor, false;
    SYS_write About::Data, true;
    SYS_pwrite64 About::Data, true;
    SYS_writev About::Pieces, true;
    SYS_fsync About::Descriptor, true;
    SYS_fdatasync About::Descriptor, true;
    SYS_ftruncate About::Descriptor, true;
    SYS_fallocate About::Descriptor, true;
    SYS_fchmod About::Descriptor, true;
    SYS_fchown About::Descriptor, true;
    SYS_flock About::Descriptor, true;
    SYS_socket About::Nothing, false;
    SYS_socketpair About::Nothing, false;
    SYS_pipe2 About::Nothing, false;
    SYS_bind About::Address, false;
    SYS_connect About::Address, false;
    SYS_listen About::Descriptor, false;
    SYS_accept About::Descriptor, false;
    SYS_accept4 About::Descriptor, false;
    SYS_sendmmsg About::Descriptor, false;
    SYS_recvmmsg About::Descriptor, false;
    SYS_getsockname About::Descriptor, false;
    SYS_getpeername About::Descriptor, false;
    SYS_getsockopt About::Descriptor, false;
    SYS_setsockopt About::Descriptor, false;
    SYS_shutdown About::Descriptor, false;
    SYS_sendto About::Data, false;
    SYS_sendmsg About::Descriptor, false;
    SYS_recvfrom About::Descriptor, false;
    SYS_recvmsg About::Descriptor, false;
    SYS_clone About::Nothing, true;
    SYS_clone3 About::Nothing, true;
    SYS_pidfd_open About::Nothing, false;
    SYS_pidfd_send_signal About::Signal, true;
    SYS_kill About::Signal, true;
    SYS_wait4 About::Nothing, false;
    SYS_waitid About::Nothing, false;
    SYS_exit_group About::Nothing, false;
}

#[cfg(target_arch = "x86_64")]
table! { OLD_CALLS:
    SYS_open About::Path(0), false;
    SYS_creat About::Path(0), true;
    SYS_stat About::Path(0), false;
    SYS_lstat About::Path(0), false;
    SYS_access About::Path(0), false;
    SYS_readlink About::Path(0), false;
    SYS_mkdir About::Path(0), true;
    SYS_rmdir About::Path(0), true;
    SYS_unlink About::Path(0), true;
    SYS_rename About::Path(0), true;
    SYS_link About::Path(0), true;
    SYS_symlink About::Path(0), true;
    SYS_chmod About::Path(0), true;
    SYS_chown About::Path(0), true;
    SYS_getdents About::Descriptor, false;
    SYS_dup2 About::Descriptor, false;
    SYS_pipe About::Nothing, false;
    SYS_fork About::Nothing, true;
    SYS_vfork About::Nothing, true;
}

#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[Known] = &[];

/// The name of a call as in section 2 of the manual, what it is about, and whether it acts.
pub(super) fn known(number: c_long) -> Option<(&'static str, About, bool)> {
    let (_, name, about, acts) = CALLS.iter().chain(OLD_CALLS).find(|(known, ..)| *known == number)?;
    Some((name.trim_start_matches("SYS_"), *about, *acts))
}
