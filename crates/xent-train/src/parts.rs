//! Passes over the rows in fixed parts, on as many threads as there are; results are merged in the order of the parts, so
//! they have the same bits for any number of threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs every part with a workspace of its thread, and merges the results in order.
pub(crate) fn each_part<W, T: Send>(
    n_parts: usize,
    threads: usize,
    workspace: impl Fn() -> W + Sync,
    run: impl Fn(usize, &mut W) -> T + Sync,
    mut merge: impl FnMut(T),
) {
    let threads = threads.min(n_parts);
    if threads <= 1 {
        let mut own = workspace();
        (0..n_parts).for_each(|i| merge(run(i, &mut own)));
        return;
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut own = workspace();
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n_parts {
                break done;
            }
            done.push((i, run(i, &mut own)));
        }
    };
    let mut parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut parts = work();
        for worker in workers {
            match worker.join() {
                Ok(done) => parts.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        parts
    });
    parts.sort_by_key(|(i, _)| *i);
    parts.into_iter().for_each(|(_, part)| merge(part));
}
