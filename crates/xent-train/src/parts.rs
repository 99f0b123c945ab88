//! Passes over the rows in fixed parts, on as many threads as there are; results are merged in the order of the parts, so
//! they have the same bits for any number of threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Parts of a pass over so many chunks that sums up `len` numbers: many, so that threads end together, but not so many
/// that merging them takes long.
pub(crate) fn n_parts(chunks: usize, len: usize) -> usize {
    (800_000 / len.max(1)).clamp(8, 64).min(chunks).max(1)
}

/// The chunks of a part. Later parts are smaller, so that no thread waits long for the one that has the last.
pub(crate) fn part(i: usize, n_parts: usize, chunks: usize) -> Range<usize> {
    // Sizes are as 4, 4, 3, 3, 2, 2, 1, 1.
    let before = |i: usize| i * n_parts.div_ceil(2) - i.saturating_sub(1).pow(2) / 4;
    let from = |i: usize| chunks * before(i) / before(n_parts);
    from(i)..from(i + 1)
}

/// Results that are merged as soon as all before them are.
struct Merging<T, F> {
    merge: F,
    next: usize,
    waiting: BTreeMap<usize, T>,
}

impl<T, F: FnMut(T)> Merging<T, F> {
    fn add(&mut self, i: usize, part: T) {
        self.waiting.insert(i, part);
        while let Some(part) = self.waiting.remove(&self.next) {
            (self.merge)(part);
            self.next += 1;
        }
    }
}

/// Runs every part with a workspace of its thread, and merges the results in order.
pub(crate) fn each_part<W, T: Send>(
    n_parts: usize,
    threads: usize,
    workspace: impl Fn() -> W + Sync,
    run: impl Fn(usize, &mut W) -> T + Sync,
    mut merge: impl FnMut(T) + Send,
) {
    let threads = threads.min(n_parts);
    if threads <= 1 {
        let mut own = workspace();
        (0..n_parts).for_each(|i| merge(run(i, &mut own)));
        return;
    }
    let next = AtomicUsize::new(0);
    let merging = Mutex::new(Merging { merge, next: 0, waiting: BTreeMap::new() });
    let work = || {
        let mut own = workspace();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n_parts {
                break;
            }
            let part = run(i, &mut own);
            // A panic elsewhere is raised again below, whatever is merged until then.
            merging.lock().unwrap_or_else(PoisonError::into_inner).add(i, part);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        work();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Shows each stretch of so many numbers, with its number, to one of the threads.
pub(crate) fn each_stretch<T: Send>(
    all: &mut [T],
    len: usize,
    threads: usize,
    run: impl Fn(usize, &mut [T]) + Sync,
) {
    let threads = threads.min(all.len() / len.max(1)).max(1);
    let left = Mutex::new(all.chunks_mut(len).enumerate());
    let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some((i, stretch)) = take() {
            run(i, stretch);
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_chunks_once_and_get_smaller() {
        for n_parts in 1..=65 {
            for chunks in [n_parts, 64, 1_000, 99_991] {
                let parts: Vec<_> = (0..n_parts).map(|i| part(i, n_parts, chunks)).collect();
                assert_eq!(parts[0].start, 0);
                assert_eq!(parts[n_parts - 1].end, chunks);
                assert!(parts.windows(2).all(|two| two[0].end == two[1].start));
                assert!(parts.windows(2).all(|two| two[1].len() <= two[0].len() + 1), "{parts:?}");
            }
        }
        let sizes: Vec<usize> = (0..8).map(|i| part(i, 8, 200).len()).collect();
        assert_eq!(sizes, [40, 40, 30, 30, 20, 20, 10, 10]);
    }

    #[test]
    fn results_are_merged_in_order_and_each_once() {
        for threads in 1..=8 {
            let mut seen = Vec::new();
            let run = |i: usize, calls: &mut u64| {
                *calls += 1;
                // The first are the last to be done.
                std::thread::sleep(std::time::Duration::from_micros(200 / (i as u64 + 1)));
                i
            };
            each_part(40, threads, || 0, run, |i| seen.push(i));
            assert_eq!(seen, (0..40).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "part 7")]
    fn a_panic_of_a_part_is_raised_with_its_own_words() {
        each_part(20, 3, || (), |i, ()| assert_ne!(i, 7, "part {i}"), |()| {});
    }
}
