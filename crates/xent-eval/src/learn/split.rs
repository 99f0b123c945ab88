//! Rows to fit and rows to test: by class, by group, by time.

use super::dataset::{Dataset, Targets};
use crate::error::Error;

/// How rows are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split {
    /// This share of the rows is tested, the others are trained on.
    Holdout(f64),
    /// Each of so many parts is tested by a model of the other parts; by time, of the earlier parts.
    Folds(usize),
}

/// Which rows are tested when, and which rows they are tested by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The part of each row, from 0. By time the first part is never tested.
    pub part: Vec<u32>,
    /// Parts that are tested, in order.
    pub tested: Vec<u32>,
    /// Whether a part is tested by earlier parts only.
    pub is_by_time: bool,
}

impl Assignment {
    /// Whether a row is trained on when part `part` is tested.
    pub fn trains(&self, row: usize, part: u32) -> bool {
        if self.is_by_time { self.part[row] < part } else { self.part[row] != part }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same order everywhere.
fn mix(seed: u64, i: u64) -> u64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dataset {
    /// Divides the rows: of each class the same share in every part; groups whole; or by time.
    ///
    /// # Errors
    ///
    /// A part would be empty.
    pub fn split(&self, split: Split, seed: u64) -> Result<Assignment, Error> {
        let n = self.rows;
        let (n_parts, share) = match split {
            Split::Holdout(share) => (2, share),
            Split::Folds(folds) => (folds, 1.0 / folds as f64),
        };
        let what = match split {
            Split::Holdout(share) => format!("--holdout {share}"),
            Split::Folds(folds) => format!("--folds {folds}"),
        };
        let empty = |of: &str| {
            Err(Error::new(format!(
                "{}: {what} leaves a part without rows: there are {of}",
                self.source
            ))
            .with_hint("use fewer folds, or another share"))
        };
        let (part, tested) = if let Some(time) = &self.time {
            // Folds by time need an earliest part that is only trained on.
            let parts = match split {
                Split::Holdout(_) => 2,
                Split::Folds(folds) => folds + 1,
            };
            let mut ranks = time.clone();
            ranks.sort_unstable();
            let ends: Vec<u32> = (1..parts)
                .map(|i| match split {
                    Split::Holdout(share) => n - (share * n as f64).round() as usize,
                    Split::Folds(_) => i * n / parts,
                })
                .map(|row| ranks.get(row).copied().unwrap_or(u32::MAX))
                .collect();
            let part: Vec<u32> =
                time.iter().map(|t| ends.iter().filter(|end| t >= end).count() as u32).collect();
            (part, (1..parts as u32).collect::<Vec<_>>())
        } else if let Some(group) = &self.group {
            let n_groups = group.iter().max().map_or(0, |&g| g as usize + 1);
            let mut sizes = vec![0_usize; n_groups];
            group.iter().for_each(|&g| sizes[g as usize] += 1);
            let mut order: Vec<usize> = (0..n_groups).filter(|&g| sizes[g] > 0).collect();
            order.sort_by_key(|&g| (std::cmp::Reverse(sizes[g]), mix(seed, g as u64)));
            // Each goes where most rows are lacking.
            let wanted = |part: usize| match split {
                Split::Holdout(share) => n as f64 * if part == 1 { share } else { 1.0 - share },
                Split::Folds(_) => n as f64 * share,
            };
            let mut filled = vec![0.0; n_parts];
            let mut of_group = vec![0; n_groups];
            for g in order {
                let lack = |p: usize| wanted(p) - filled[p];
                let part = (0..n_parts).fold(0, |a, b| if lack(b) > lack(a) { b } else { a });
                filled[part] += sizes[g] as f64;
                of_group[g] = part as u32;
            }
            (group.iter().map(|&g| of_group[g as usize]).collect(), tested(split))
        } else {
            let class = |row: usize| match &self.targets {
                Targets::Classes(classes) => classes[row] as usize,
                Targets::Soft(_) => (0..self.classes.len())
                    .fold(0, |a, b| if self.wanted(row, b) > self.wanted(row, a) { b } else { a }),
            };
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_cached_key(|&row| (class(row), mix(seed, row as u64)));
            let mut part = vec![0; n];
            for (i, row) in order.into_iter().enumerate() {
                part[row] = match split {
                    Split::Folds(folds) => (i % folds) as u32,
                    // Tested where the running share passes a whole number.
                    Split::Holdout(share) => {
                        u32::from(((i + 1) as f64 * share).floor() > (i as f64 * share).floor())
                    }
                };
            }
            (part, tested(split))
        };
        let all = part.iter().copied().max().map_or(0, |p| p + 1).max(n_parts as u32);
        let mut rows = vec![0_usize; all as usize];
        part.iter().for_each(|&p| rows[p as usize] += 1);
        if rows.contains(&0) || tested.iter().any(|&t| t >= all) {
            let of = match (&self.group, &self.time) {
                (_, Some(time)) => {
                    let times = time.iter().max().map_or(0, |t| t + 1);
                    format!("{n} rows of {times} different times")
                }
                (Some(group), None) => {
                    let groups = group.iter().collect::<std::collections::HashSet<_>>().len();
                    format!("{n} rows in {groups} groups")
                }
                (None, None) => format!("{n} rows"),
            };
            return empty(&of);
        }
        Ok(Assignment { part, tested, is_by_time: self.time.is_some() })
    }
}

fn tested(split: Split) -> Vec<u32> {
    match split {
        Split::Holdout(_) => vec![1],
        Split::Folds(folds) => (0..folds as u32).collect(),
    }
}
