//! The same rows on several threads, with the same bits.

use super::{
    BATCH, Gradient, Io, Options, Outputs, Problem, Scale, Target, Total, Wanted, check,
    check_shape, run_checked,
};
use crate::element::Element;
use crate::view::View;

/// [`cross_entropy`](super::cross_entropy) on at most `threads` threads, each with its share of the rows: the
/// same numbers, bit for bit.
///
/// A gradient whose columns are contiguous cannot be handed out by rows and is written by one thread.
///
/// # Errors
/// As [`cross_entropy`](super::cross_entropy).
///
/// # Panics
/// If a thread cannot be started.
///
/// ```
/// use xent::cross_entropy::{Options, Target, Wanted, cross_entropy, cross_entropy_parallel};
/// use xent::view::View;
///
/// let logits: Vec<f32> = (0..3000).map(|i| (i * 7 % 11) as f32).collect();
/// let labels: Vec<u32> = (0..1000).map(|i| i % 3).collect();
/// let (x, target) = (View::rows_of(&logits, 3)?, Target::Classes(&labels));
/// let one = cross_entropy(x, target, &Options::default(), Wanted::default())?;
/// let two = cross_entropy_parallel(2, x, target, &Options::default(), Wanted::default())?;
/// assert_eq!(one.mean()?, two.mean()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cross_entropy_parallel<T: Element>(
    threads: usize,
    x: View<'_, T>,
    target: Target<'_, T>,
    options: &Options<'_>,
    wanted: Wanted<'_, T>,
) -> Result<Total, Problem> {
    let n = x.n_rows();
    let scale = wanted.gradient.as_ref().map_or(Scale::All(1.0), |g| g.scale);
    if let Some(gradient) = &wanted.gradient {
        check_shape("gradient rows", gradient.into.n_rows(), n)?;
        check_shape("gradient columns", gradient.into.n_cols(), x.n_cols())?;
    }
    let Wanted { mut losses, mut log_probabilities, mut ranks, gradient } = wanted;
    let outputs = Outputs {
        losses: losses.as_deref_mut(),
        log_probabilities: log_probabilities.as_deref_mut(),
        ranks: ranks.as_deref_mut(),
        scale,
    };
    check(n, x.n_cols(), &target, options, &outputs)?;
    let share = n.div_ceil(threads.max(1)).next_multiple_of(BATCH);
    let mut rest = Part { losses, log_probabilities, ranks, gradient };
    let mut parts = Vec::new();
    let mut start = 0;
    while n - start > share {
        match rest.split(share) {
            Ok((first, second)) => {
                parts.push((start..start + share, first));
                rest = second;
                start += share;
            }
            Err(whole) => {
                rest = *whole;
                break;
            }
        }
    }
    parts.push((start..n, rest));
    let work = |rows: std::ops::Range<usize>, part: Part<'_, T>| {
        let options =
            Options { row_weights: options.row_weights.map(|w| &w[rows.clone()]), ..*options };
        let scale = match scale {
            Scale::Rows(scales) => Scale::Rows(&scales[rows.clone()]),
            all @ Scale::All(_) => all,
        };
        let outputs = Outputs {
            losses: part.losses,
            log_probabilities: part.log_probabilities,
            ranks: part.ranks,
            scale,
        };
        let io = Io::Apart { x: x.rows(rows.clone()), gradient: part.gradient.map(|g| g.into) };
        run_checked(io, target.rows(rows), &options, outputs)
    };
    let totals: Vec<(usize, Total)> = std::thread::scope(|scope| {
        let workers: Vec<_> = parts
            .into_iter()
            .map(|(rows, part)| {
                let at = rows.start;
                (at, scope.spawn(|| work(rows, part)))
            })
            .collect();
        workers
            .into_iter()
            .map(|(at, worker)| match worker.join() {
                Ok(total) => (at, total),
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    let mut all = Total { top_k_hits: vec![0; options.top_k.len()], ..Total::default() };
    for (at, total) in &totals {
        all.merge(total, *at);
    }
    Ok(all)
}

/// The first n of some places, and the rest.
fn cut<V>(slice: Option<&mut [V]>, n: usize) -> (Option<&mut [V]>, Option<&mut [V]>) {
    slice.map_or((None, None), |slice| {
        let (a, b) = slice.split_at_mut(n);
        (Some(a), Some(b))
    })
}

/// The buffers of some rows.
struct Part<'a, T> {
    losses: Option<&'a mut [f64]>,
    log_probabilities: Option<&'a mut [f64]>,
    ranks: Option<&'a mut [u32]>,
    gradient: Option<Gradient<'a, T>>,
}

impl<T: Element> Part<'_, T> {
    /// The first `n` rows and the rest, or the whole if the gradient cannot be cut.
    fn split(mut self, n: usize) -> Result<(Self, Self), Box<Self>> {
        let gradients = match self.gradient.take() {
            None => (None, None),
            Some(Gradient { into, scale }) => match into.split_at_row(n) {
                Ok((a, b)) => {
                    (Some(Gradient { into: a, scale }), Some(Gradient { into: b, scale }))
                }
                Err(into) => {
                    self.gradient = Some(Gradient { into, scale });
                    return Err(Box::new(self));
                }
            },
        };
        let losses = cut(self.losses, n);
        let logs = cut(self.log_probabilities, n);
        let ranks = cut(self.ranks, n);
        let part = |losses, log_probabilities, ranks, gradient| Part {
            losses,
            log_probabilities,
            ranks,
            gradient,
        };
        Ok((
            part(losses.0, logs.0, ranks.0, gradients.0),
            part(losses.1, logs.1, ranks.1, gradients.1),
        ))
    }
}

impl<T: Element> Target<'_, T> {
    fn rows(&self, rows: std::ops::Range<usize>) -> Self {
        match *self {
            Self::Classes(labels) => Self::Classes(&labels[rows]),
            Self::TwoClasses { first, second, share } => Self::TwoClasses {
                first: &first[rows.clone()],
                second: &second[rows.clone()],
                share: &share[rows],
            },
            Self::Distributions(t) => Self::Distributions(t.rows(rows)),
            // Offsets go on counting from the first row of all.
            Self::Sparse { offsets, classes, probabilities } => {
                Self::Sparse { offsets: &offsets[rows.start..=rows.end], classes, probabilities }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cross_entropy::cross_entropy;
    use crate::view::ViewMut;

    #[test]
    fn threads_change_no_bit() {
        let (n, v) = (1000, 7);
        let x: Vec<f32> = (0..n * v).map(|i| ((i * 7919) % 1009) as f32 / 50.0).collect();
        let labels: Vec<u32> = (0..n).map(|i| (i * 31 % v) as u32).collect();
        let weights: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
        let scales: Vec<f64> = (0..n).map(|i| 0.5 + (i % 3) as f64).collect();
        let options = Options {
            row_weights: Some(&weights),
            top_k: &[2],
            ignore: Some(3),
            ..Options::default()
        };
        let run = |threads: usize| {
            let (mut losses, mut logs) = (vec![0.0; n], vec![0.0; n]);
            let (mut ranks, mut gradient) = (vec![0; n], vec![0.0_f32; n * v]);
            let wanted = Wanted {
                losses: Some(&mut losses),
                log_probabilities: Some(&mut logs),
                ranks: Some(&mut ranks),
                gradient: Some(Gradient {
                    into: ViewMut::rows_of(&mut gradient, v).unwrap(),
                    scale: Scale::Rows(&scales),
                }),
            };
            let (x, target) = (View::rows_of(&x, v).unwrap(), Target::Classes(&labels));
            let total = if threads == 0 {
                cross_entropy(x, target, &options, wanted).unwrap()
            } else {
                cross_entropy_parallel(threads, x, target, &options, wanted).unwrap()
            };
            let bits = total.mean().unwrap().to_bits();
            (bits, total.used, total.ignored, total.top_k_hits, losses, logs, ranks, gradient)
        };
        let expected = run(0);
        for threads in [1, 2, 3, 8] {
            assert_eq!(run(threads), expected);
        }
    }

    #[test]
    fn columns_are_written_by_one_thread() {
        let (n, v) = (600, 3);
        let x: Vec<f64> = (0..n * v).map(|i| ((i * 7919) % 1009) as f64 / 50.0).collect();
        let offsets: Vec<usize> = (0..=n).collect();
        let classes: Vec<u32> = (0..n).map(|i| (i % v) as u32).collect();
        let ones = vec![1.0; n];
        let target = Target::Sparse { offsets: &offsets, classes: &classes, probabilities: &ones };
        let run = |threads| {
            let mut gradient = vec![0.0; n * v];
            let into = ViewMut::columns_of(&mut gradient, n).unwrap();
            let wanted = Wanted {
                gradient: Some(Gradient { into, scale: Scale::All(1.0) }),
                ..Wanted::default()
            };
            let x = View::columns_of(&x, n).unwrap();
            let total =
                cross_entropy_parallel(threads, x, target, &Options::default(), wanted).unwrap();
            let again =
                cross_entropy_parallel(threads, x, target, &Options::default(), Wanted::default());
            assert_eq!(again.unwrap().mean(), total.mean());
            (total.mean().unwrap(), gradient)
        };
        assert_eq!(run(3), run(1));
    }
}
