//! Decoders of binary formats may panic on damaged files; here such a panic becomes an error.
//!
//! The message of a caught panic must not be printed, so a panic hook is installed once around
//! the one that is there: it stays silent on a thread while that thread decodes. A program with
//! its own hook sets it before it opens a table, or asks [`is_decoding`] in it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Fault, show};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is decoding a file under protection: a panic now is caught and reported
/// as damage to the file, so a panic hook should print nothing.
pub fn is_decoding() -> bool {
    DECODING.with(Cell::get)
}

fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_decoding() {
                previous(info);
            }
        }));
    });
}

/// Resets the flag also when the closure panics.
struct Flag(bool);

impl Drop for Flag {
    fn drop(&mut self) {
        DECODING.with(|d| d.set(self.0));
    }
}

/// Runs `decode`; a panic in it becomes a fault that calls the file damaged.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    install_hook();
    let flag = Flag(DECODING.with(|d| d.replace(true)));
    let result = catch_unwind(AssertUnwindSafe(decode));
    drop(flag);
    result.unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(damaged(&text))
    })
}

/// The fault of a file whose decoder said `detail`.
pub(crate) fn damaged(detail: &str) -> Fault {
    let shown = show(detail);
    let detail = shown.trim_matches('"');
    Fault::new(format!(
        "this file is damaged, or uses a feature the decoder does not know: {detail}"
    ))
    .hint("write the file again, or convert it to CSV")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault() {
        let fault = guarded::<()>(|| panic!("offset {} out of bounds", 3)).unwrap_err();
        assert!(fault.message.contains("damaged"), "{}", fault.message);
        assert!(fault.message.contains("offset 3 out of bounds"));
        assert!(!is_decoding());
        assert!(guarded(|| Ok(is_decoding())).unwrap());
    }
}
