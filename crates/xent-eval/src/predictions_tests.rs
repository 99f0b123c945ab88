#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::path::Path;

use xent::rows::{Input, Rules, Sums};
use xent_io::ScanOptions;

use crate::{Block, Missing, Roles, Scorer, Source};

/// Scores a file in batches of two rows; its blocks are put together.
fn block(path: &Path, roles: &Roles, rules: &Rules, missing: Missing) -> Block {
    block_ordered(path, roles, rules, missing, |classes| classes)
}

/// The same, with the classes of the results in an order of their own.
fn block_ordered(
    path: &Path,
    roles: &Roles,
    rules: &Rules,
    missing: Missing,
    order: fn(Vec<String>) -> Vec<String>,
) -> Block {
    let source = Source::open(path.to_str().unwrap(), &xent_io::OpenOptions::default()).unwrap();
    let roles = Roles { input: rules.input, ..roles.clone() };
    let binding = roles.bind(&source.table).unwrap();
    let classes = order(binding.classes.clone());
    let scorer =
        Scorer::new(&source.table, binding, &classes, rules, missing).unwrap().with_predictions();
    let mut all = Block::default();
    let scan = ScanOptions { threads: 2, batch_rows: Some(2), backlog: None };
    source
        .table
        .scan(
            scorer.requests(),
            &scan,
            |batch| scorer.block(batch),
            |block, _| -> Result<(), crate::Error> {
                all.append(block);
                Ok(())
            },
        )
        .unwrap();
    all
}

fn safetensors(width: usize, logits: &[f64], labels: &[i64]) -> Vec<u8> {
    let n = labels.len();
    let data: Vec<u8> = logits.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
    let (middle, end) = (data.len(), data.len() + 8 * n);
    let header = format!(
        r#"{{"logits":{{"shape":[{n},{width}],"dtype":"F32","data_offsets":[0,{middle}]}},"label":{{"shape":[{n}],"dtype":"I64","data_offsets":[{middle},{end}]}}}}"#
    );
    // Elements on multiples of their size, so that they are mapped and not copied.
    let header = format!("{header}{}", " ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&data);
    bytes.extend(labels.iter().flat_map(|y| y.to_le_bytes()));
    bytes
}

/// The same logits of two classes in every form that a file can have.
#[test]
fn every_form_of_input_gives_the_same_predictions() {
    let dir = tempfile::tempdir().unwrap();
    let x = [1.5, -2.0, 0.0, 0.25, 30.0];
    let labels = [1, 0, 1, 0, 1];
    let wanted: Vec<f64> = x.iter().flat_map(|&x| [0.0, x]).collect();
    let (mut columns, mut positive, mut list) =
        ("0,1,label\n".to_owned(), "x,label\n".to_owned(), String::new());
    for (x, y) in x.iter().zip(labels) {
        writeln!(columns, "0,{x},{y}").unwrap();
        writeln!(positive, "{x},{y}").unwrap();
        writeln!(list, r#"{{"logits":[0,{x}],"label":"{y}"}}"#).unwrap();
    }
    let classes = Some(vec!["0".to_owned(), "1".to_owned()]);
    let label = Some("label".to_owned());
    let plain = Roles { label: label.clone(), ..Roles::default() };
    let listed = Roles { classes, ..plain.clone() };
    let single =
        Roles { proba: Some("x".to_owned()), positive: Some("1".to_owned()), ..plain.clone() };
    let tensor = safetensors(2, &wanted, &labels.map(i64::from));
    let rules = Rules { input: Input::Logits, ..Rules::default() };
    let forms: [(&str, &[u8], &Roles); 4] = [
        ("columns.csv", columns.as_bytes(), &plain),
        ("positive.csv", positive.as_bytes(), &single),
        ("list.jsonl", list.as_bytes(), &listed),
        ("tensor.safetensors", &tensor, &listed),
    ];
    for (name, bytes, roles) in forms {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let all = block(&path, roles, &rules, Missing::Error);
        let [predictions] = &all.predictions[..] else { panic!("{name}") };
        assert_eq!(predictions.values(), wanted, "{name}");
        assert_eq!((predictions.input(), predictions.width()), (Input::Logits, 2), "{name}");
        let taken = all.take(&[4, 1]);
        assert_eq!(*taken.predictions[0].values(), [0.0, 30.0, 0.0, -2.0], "{name}");
        // Clipped they are log-probabilities, again the same in every form.
        let clipped = Rules { clip: 0.01, ..rules.clone() };
        let all = block(&path, roles, &clipped, Missing::Error);
        let predictions = &all.predictions[0];
        assert_eq!(predictions.input(), Input::LogProbabilities, "{name}");
        for (i, &y) in labels.iter().enumerate() {
            let loss = all.scores[0].log_loss[i];
            let own = predictions.values()[2 * i + y as usize];
            assert_eq!(loss.to_bits(), (0.0 - own).to_bits(), "{name} {i}");
        }
    }
}

#[test]
fn the_classes_have_the_order_of_the_results_and_rules_are_applied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("positive.csv");
    std::fs::write(&path, "p,label\n0.25,b\n,a\n1e-300,a\n").unwrap();
    let roles = Roles {
        label: Some("label".to_owned()),
        proba: Some("p".to_owned()),
        positive: Some("b".to_owned()),
        ..Roles::default()
    };
    for is_reversed in [false, true] {
        let order = if is_reversed {
            |classes: Vec<String>| classes.into_iter().rev().collect()
        } else {
            |classes| classes
        };
        let all = block_ordered(&path, &roles, &Rules::default(), Missing::Drop, order);
        let present = all.take(&all.present().unwrap());
        let mut wanted = [[0.75, 0.25], [1.0, 1e-300]];
        if is_reversed {
            wanted.iter_mut().for_each(|row| row.reverse());
        }
        assert_eq!(*present.predictions[0].values(), *wanted.as_flattened());
    }

    let path = dir.path().join("scores.csv");
    std::fs::write(&path, "a,b,c,label\n1,2,1,b\n0,3,1,c\n").unwrap();
    let roles = Roles { proba: Some("a,b,c".to_owned()), ..Roles::default() };
    let rules = Rules { sums: Sums::Normalize, ..Rules::default() };
    let all = block(&path, &roles, &rules, Missing::Error);
    assert_eq!(*all.predictions[0].values(), [0.25, 0.5, 0.25, 0.0, 0.75, 0.25]);
}

#[test]
fn soft_targets_stand_beside_predictions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("soft.csv");
    std::fs::write(&path, "a,b,ta,tb\n0.25,0.75,0.5,0.5\n1,0,1,0\n0.5,0.5,0.1,0.9\n").unwrap();
    let roles = Roles {
        proba: Some("a,b".to_owned()),
        targets: Some("ta,tb".to_owned()),
        ..Roles::default()
    };
    let all = block(&path, &roles, &Rules::default(), Missing::Error);
    assert_eq!(*all.predictions[0].values(), [0.25, 0.75, 1.0, 0.0, 0.5, 0.5]);
    assert_eq!(all.target.width(), 2);
}
