//! Random damage to binary files: a result or an error, never a crash.
//!
//! Decoders of Parquet panic on damaged files; the command must contain that. A mutation may hit
//! bytes that nobody reads, or a digit of a number: then the command succeeds.

use super::common::tables::{
    Random, arrow_file, arrow_stream, batch, coded, f64s, parquet_with, texts, zstd_level,
};
use super::common::{Dir, run};
use arrow_array::RecordBatch;
use parquet::basic::Compression;

/// Damaged copies of each file.
const COPIES: usize = 120;

/// 200 rows: a label with a dictionary, one without, two probabilities.
fn table() -> RecordBatch {
    let mut random = Random(7);
    let p: Vec<f64> = (0..200).map(|_| random.uniform()).collect();
    let labels: Vec<&str> = p.iter().map(|p| if *p > 0.5 { "cat" } else { "dog" }).collect();
    batch(vec![
        f64s("p_cat", p.iter().copied()),
        f64s("p_dog", p.iter().map(|p| 1.0 - p)),
        coded("label", &labels),
        texts("note", labels.iter().map(|l| format!("{l}s"))),
    ])
}

/// One to four bytes anywhere, or in the last part, or a piece moved over another.
fn damage(random: &mut Random, bytes: &mut [u8]) {
    let n = bytes.len();
    match random.below(3) {
        0 => (0..=random.below(4)).for_each(|_| bytes[random.below(n)] = random.bits() as u8),
        1 => {
            let tail = n.min(600);
            (0..=random.below(4))
                .for_each(|_| bytes[n - tail + random.below(tail)] ^= 1 << random.below(8));
        }
        _ => {
            let length = 1 + random.below(40.min(n / 3));
            let (from, to) = (random.below(n - length), random.below(n - length));
            bytes.copy_within(from..from + length, to);
        }
    }
}

fn survives(seed: u64, name: &str, bytes: &[u8]) {
    let mut random = Random(seed);
    let dir = Dir::new();
    dir.write(name, bytes);
    assert_eq!(dir.xent(&format!("score {name}")).code, Some(0), "the undamaged file works");
    let (mut good, mut refused) = (0, 0);
    for copy in 0..COPIES {
        let mut bytes = bytes.to_vec();
        damage(&mut random, &mut bytes);
        dir.write(name, &bytes);
        let ran = run(&mut dir.command(["score", name, "--format", "json", "--by", "note"]));
        let place = format!("{name}, copy {copy}: {:?}\n{}", ran.code, ran.stderr);
        match ran.code {
            Some(0) => good += 1,
            Some(2) => {
                refused += 1;
                assert!(ran.stdout.is_empty(), "{place}");
                assert!(ran.stderr.starts_with("error: "), "{place}");
                assert!(ran.stderr.contains("\nhint: "), "{place}");
            }
            _ => panic!("{place}"),
        }
        for word in ["panicked", "bug in xent", "RUST_BACKTRACE"] {
            assert!(!ran.stderr.contains(word), "{place}");
        }
        assert!(!ran.stderr.contains(|c: char| c != '\n' && c.is_control()), "{place}");
    }
    assert!(good > 0 && refused > COPIES / 10, "{good} good, {refused} refused");
}

#[test]
fn damaged_parquet() {
    survives(1, "p.parquet", &parquet_with(&table(), Compression::UNCOMPRESSED));
    survives(2, "p.parquet", &parquet_with(&table(), Compression::SNAPPY));
    survives(3, "p.parquet", &parquet_with(&table(), zstd_level()));
}

#[test]
fn damaged_arrow() {
    survives(4, "p.arrow", &arrow_file(&table()));
    survives(5, "p.arrow", &arrow_stream(&table()));
}
