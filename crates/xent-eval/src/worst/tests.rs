#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use xent::rows::{Input, Rules};

use super::{FLOORS, WorstOptions, worst};
use crate::{Binding, Block, Error, Missing, Observer, Options, Progress, Roles, Source, score};

/// Numbers in [0, 1) from a counter (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A table of two models, `a_*` and `b_*`, over three classes: many equal losses, some infinite ones, some weights of 0.
fn table(seed: u64, rows: usize) -> String {
    let mut random = Random(seed);
    let mut text = "a_x,a_y,a_z,b_x,b_y,b_z,label,w,region\n".to_owned();
    for i in 0..rows {
        for _ in 0..2 {
            // Eighths, so that losses repeat.
            let first = (random.next() * 9.0).floor() / 8.0;
            let second = (random.next() * ((1.0 - first) * 8.0 + 1.0)).floor() / 8.0;
            write!(text, "{first},{second},{},", 1.0 - first - second).unwrap();
        }
        let label = ["x", "y", "z"][(random.next() * 3.0) as usize];
        let weight = (random.next() * 3.0) as usize;
        writeln!(text, "{label},{weight},r{}", i % 4).unwrap();
    }
    text
}

fn options(n: usize, floors: &[f64]) -> WorstOptions {
    WorstOptions {
        score: Options {
            roles: Roles {
                weight: Some("w".to_owned()),
                by: vec!["region".to_owned()],
                models: vec![
                    ("a".to_owned(), "a_*".to_owned()),
                    ("b".to_owned(), "b_*".to_owned()),
                ],
                ..Roles::default()
            },
            ..Options::default()
        },
        n,
        floors: floors.to_vec(),
    }
}

/// The losses of all rows that count, by row number.
#[derive(Default)]
struct Losses(Vec<(u64, [f64; 2])>);

impl Observer for Losses {
    fn progress(&mut self, _: &Progress) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }

    fn wants_rows(&self) -> bool {
        true
    }

    fn rows(&mut self, _: &Binding, first_row: u64, block: &Block) -> Result<(), Error> {
        for i in 0..block.rows {
            if block.weights.as_ref().is_none_or(|w| w[i] > 0.0) {
                let losses = [0, 1].map(|m| block.scores[m].log_loss[i]);
                self.0.push((first_row + i as u64 + 1, losses));
            }
        }
        Ok(())
    }
}

fn open(path: &std::path::Path) -> Source {
    Source::open(path.to_str().unwrap(), &xent_io::OpenOptions::default()).unwrap()
}

#[test]
fn the_rows_are_those_of_a_full_sort() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.csv");
    for (seed, rows, n) in [(1, 1, 3), (2, 40, 7), (3, 300, 20), (4, 300, 400), (5, 2000, 50)] {
        std::fs::write(&path, table(seed, rows)).unwrap();
        let mut all = Losses::default();
        let plain = options(n, &[]);
        if score(&open(&path), &plain.score, &mut all).is_err() {
            continue; // one row of weight 0
        }
        let expect = |rank: &dyn Fn([f64; 2]) -> f64| -> Vec<u64> {
            let mut ranked: Vec<(f64, u64)> =
                all.0.iter().map(|(row, l)| (rank(*l), *row)).filter(|(r, _)| *r > 0.0).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            ranked.into_iter().take(n).map(|(_, row)| row).collect()
        };
        for (threads, batch_rows) in [(1, None), (2, Some(1)), (3, Some(7)), (8, Some(64))] {
            let mut wanted = plain.clone();
            (wanted.score.threads, wanted.score.batch_rows) = (threads, batch_rows);
            let found = worst(vec![open(&path)], &wanted, &mut ()).unwrap();
            let rows =
                |rows: &[super::WorstRow]| -> Vec<u64> { rows.iter().map(|r| r.row).collect() };
            for m in 0..2 {
                assert_eq!(rows(&found.models[m].rows), expect(&|l| l[m]), "{seed} {m}");
            }
            for (contrast, rank) in
                found.contrasts.iter().zip([
                    &(|l: [f64; 2]| l[0] - l[1]) as &dyn Fn([f64; 2]) -> f64,
                    &|l: [f64; 2]| l[1] - l[0],
                ])
            {
                assert_eq!(rows(&contrast.rows), expect(rank), "{seed}");
            }
        }
    }
}

/// The loss under a floor is what `--clip` scores, bit for bit, and the rows are those that it touches.
#[test]
fn a_floor_is_a_clip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.csv");
    std::fs::write(&path, table(6, 500)).unwrap();
    let wanted = options(1, &FLOORS);
    let found = worst(vec![open(&path)], &wanted, &mut ()).unwrap();
    for (m, model) in found.models.iter().enumerate() {
        assert_eq!(model.floors.len(), FLOORS.len() + 1);
        assert_eq!((model.floors[0].floor, model.floors[0].log_loss), (None, f64::INFINITY));
        for (floor, e) in model.floors[1..].iter().zip(FLOORS) {
            let rules = Rules { clip: e, ..Rules::default() };
            let clipped = Options { rules, ..wanted.score.clone() };
            let clipped = &score(&open(&path), &clipped, &mut ()).unwrap()[m].scores;
            assert_eq!(floor.floor, Some(e));
            assert_eq!(floor.log_loss.to_bits(), clipped.log_loss.value.to_bits(), "{m} {e}");
            assert_eq!(floor.rows, clipped.notes.clipped, "{m} {e}");
            assert_eq!(floor.label_rows, model.score.scores.infinite_rows);
        }
        let least = model.floors.iter().map(|f| f.log_loss).fold(f64::INFINITY, f64::min);
        let best: Vec<_> = model.floors.iter().filter(|f| f.is_best).collect();
        assert_eq!((best.len(), best[0].log_loss), (1, least));
    }
}

/// The same rows as logits, log-probabilities and probabilities.
#[test]
fn probabilities_come_from_every_kind_of_input() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.csv");
    let third = (1.0_f64 / 3.0).ln();
    let tables = [
        (Input::Probabilities, "0.25,0.75".to_owned()),
        (Input::LogProbabilities, format!("{},{}", 0.25_f64.ln(), 0.75_f64.ln())),
        (Input::Logits, format!("{third},0")),
        (Input::Logits, "-inf,7".to_owned()),
        (Input::Logits, "0,inf".to_owned()),
    ];
    for (input, row) in tables {
        std::fs::write(&path, format!("p_a,p_b,label\n{row},a\n")).unwrap();
        let roles = Roles { input, proba: Some("p_*".to_owned()), ..Roles::default() };
        let rules = Rules { input, ..Rules::default() };
        let score = Options { roles, rules, ..Options::default() };
        let wanted = WorstOptions { score, n: 1, floors: vec![0.3] };
        let found = worst(vec![open(&path)], &wanted, &mut ()).unwrap();
        let says = &found.models[0].rows[0].models[0];
        let certain = row.contains("inf");
        let expected = if certain { (0.0, 1.0) } else { (0.25, 0.75) };
        /// A softmax of two.
        const BOUND: f64 = 4.0 * f64::EPSILON;
        assert!((says.label_probability.unwrap() - expected.0).abs() < BOUND, "{row} {says:?}");
        assert!((says.probability - expected.1).abs() < BOUND, "{row} {says:?}");
        assert_eq!((says.predicted, says.log_loss.is_infinite()), (1, certain));
        let floored = -(0.3 / (0.3 + expected.1)).ln();
        assert!((found.models[0].floors[1].log_loss - floored).abs() < BOUND, "{row}");
    }
}

#[test]
fn parts_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.csv");
    std::fs::write(&path, table(7, 700)).unwrap();
    let found = worst(vec![open(&path)], &options(5, &[]), &mut ()).unwrap();
    /// A handful of rounded products.
    const BOUND: f64 = 1e-14;
    for model in &found.models {
        assert!(model.score.scores.infinite_rows > 0 && model.shares.is_empty());
        for parts in [&model.classes, &model.slices] {
            let rows: f64 = parts.iter().map(|p| p.share_of_rows).sum();
            let loss: f64 = parts.iter().map(|p| p.share_of_loss).sum();
            assert!((rows - 1.0).abs() < BOUND && (loss - 1.0).abs() < BOUND, "{rows} {loss}");
            let infinite: u64 = parts.iter().map(|p| p.scores.infinite_rows).sum();
            assert_eq!(infinite, model.score.scores.infinite_rows);
        }
    }
}

/// Two files are what one file with both models is; the second one's classes may stand in another order.
#[test]
fn two_files_are_two_models() {
    let dir = tempfile::tempdir().unwrap();
    let text = table(8, 200);
    let path = dir.path().join("both.csv");
    std::fs::write(&path, &text).unwrap();
    let (mut a, mut b) = (String::new(), String::new());
    for line in text.lines() {
        let f: Vec<&str> = line.split(',').collect();
        writeln!(a, "{},{},{},{},{},{}", f[0], f[1], f[2], f[6], f[7], f[8]).unwrap();
        writeln!(b, "{},{},{},{}", f[5], f[3], f[4], f[6]).unwrap();
    }
    let (a, b) = (a.replacen("a_x,a_y,a_z", "p_x,p_y,p_z", 1), b.replacen("b_", "p_", 3));
    std::fs::write(dir.path().join("a.csv"), a).unwrap();
    std::fs::write(dir.path().join("b.csv"), &b).unwrap();
    let both = worst(vec![open(&path)], &options(9, &[1e-3]), &mut ()).unwrap();
    let mut wanted = options(9, &[1e-3]);
    wanted.score.roles.models.clear();
    let sources = || vec![open(&dir.path().join("a.csv")), open(&dir.path().join("b.csv"))];
    let two = worst(sources(), &wanted, &mut ()).unwrap();
    for m in 0..2 {
        assert_eq!(two.models[m].rows, both.models[m].rows);
        assert_eq!(two.models[m].floors, both.models[m].floors);
        assert_eq!(two.contrasts[m].rows, both.contrasts[m].rows);
        assert_eq!(two.models[m].score.name, both.models[m].score.name);
        assert_eq!(two.models[m].score.shape.predictions.matches(".csv").count(), 0);
    }
    // Another label in one row.
    let line = b.lines().nth(5).unwrap();
    let other = if line.ends_with('x') { 'y' } else { 'x' };
    let changed = b.replacen(line, &format!("{}{other}", &line[..line.len() - 1]), 1);
    std::fs::write(dir.path().join("b.csv"), changed).unwrap();
    wanted.score.missing = Missing::Error;
    let error = worst(sources(), &wanted, &mut ()).unwrap_err().to_string();
    assert!(error.contains("column label of ") && error.contains("in the first file"), "{error}");
}
