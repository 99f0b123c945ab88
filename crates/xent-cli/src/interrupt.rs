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

/// Listens for interrupts; where that is impossible they end the program as they do by default.
pub fn listen() {
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(CODE));
        }
        crate::output::say("stopping; again to leave at once");
    });
}
