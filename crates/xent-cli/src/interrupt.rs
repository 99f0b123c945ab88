//! Ctrl-C: the first stops the scan and cleans up, the second leaves at once. SIGTERM and SIGHUP
//! end the program as they do by default.

use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after an interrupt, as the shell has it.
pub const CODE: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether the user asked to stop.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Lets a write beyond the limit for files (`ulimit -f`) fail as one to a full disk does, so that nothing half-written is left, instead
/// of ending the program. For threads that are started later too.
#[cfg(unix)]
pub fn let_large_writes_fail() {
    use nix::sys::signal::{SigSet, Signal};
    let mut set = SigSet::empty();
    set.add(Signal::SIGXFSZ);
    let _ = set.thread_block();
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub fn let_large_writes_fail() {}

/// Listens for interrupts; where that is impossible they end the program as they do by default.
pub fn listen() {
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(CODE));
        }
        crate::output::say("stopping; again to leave at once");
    });
}
