//! Classes and levels in their order.

use super::coded::{Texts, in_order};
use super::dataset::ReadOptions;
use super::feature::Levels;
use crate::roles::{canonical, short};

/// A column of texts with more levels than this, each of which occurs once, names the rows.
pub(crate) const NAMES: usize = 20;

/// Where each level goes, and the levels in their order.
pub(crate) type Sorted = (Vec<u32>, Vec<String>);

/// The levels that occur.
pub(crate) fn sorted(coded: &Texts) -> Sorted {
    let counts = coded.counts();
    let mut occurring: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] > 0).collect();
    occurring.sort_by(|&a, &b| in_order(&coded.levels()[a], &coded.levels()[b]));
    let mut order = vec![0; counts.len()];
    for (place, &i) in occurring.iter().enumerate() {
        order[i] = place as u32;
    }
    (order, occurring.into_iter().map(|i| coded.levels()[i].clone()).collect())
}

/// Where each level goes among the classes that were named; what is wrong, and a hint.
pub(crate) fn declared(coded: &Texts, named: &[String]) -> Result<Sorted, (String, &'static str)> {
    let place = |level: &String| {
        let is = |name: &String| name.trim() == level || canonical(name) == *level;
        named.iter().position(is)
    };
    let mut classes: Vec<String> = named.iter().map(|name| name.trim().to_owned()).collect();
    if classes.iter().any(String::is_empty) {
        return Err(("is said to have a class without a name".to_owned(), "write --classes a,b"));
    }
    let mut order = vec![0; coded.levels().len()];
    for (i, (level, &count)) in coded.levels().iter().zip(coded.counts()).enumerate() {
        let Some(class) = place(level) else {
            if count == 0 {
                continue;
            }
            return Err((
                format!("has the class {level}, which is not among those named"),
                "--classes names all of them",
            ));
        };
        order[i] = class as u32;
        classes[class].clone_from(level);
    }
    if let Some(twice) = (1..classes.len()).find(|&i| classes[..i].contains(&classes[i])) {
        let hint = "--classes names each of them once";
        return Err((format!("is said to have the class {} twice", classes[twice]), hint));
    }
    Ok((order, classes))
}

/// The levels of a category; what is wrong with them, and a hint.
pub(crate) fn levels(
    coded: &Texts,
    rows: usize,
    is_number: bool,
    options: &ReadOptions,
    said: Option<&str>,
) -> Result<Levels, (String, String)> {
    let counts = coded.counts();
    let has_missing = coded.has_missing();
    let (order, all) = sorted(coded);
    let mut of_level = vec![0; all.len()];
    for (i, &count) in counts.iter().enumerate() {
        if count > 0 {
            of_level[order[i] as usize] = count;
        }
    }
    if all.len() > NAMES && all.len() == rows {
        let hint = "leave it out with --drop, or name the features with --features";
        return Err((
            format!("is different in each of {rows} rows: it names them"),
            hint.to_owned(),
        ));
    }
    let reference =
        said.map(|level| if is_number { canonical(level) } else { level.trim().to_owned() });
    if let Some(reference) = &reference
        && !all.contains(reference)
    {
        return Err((
            format!("has no level {reference}"),
            format!("the levels are {}", short(&all)),
        ));
    }
    let is_rare =
        |level: &String, count: u64| count < options.min_count && reference.as_ref() != Some(level);
    let (mut own, mut rare) = (Vec::new(), Vec::new());
    for (level, count) in all.into_iter().zip(of_level) {
        if is_rare(&level, count) { rare.push(level) } else { own.push(level) }
    }
    let codes = own.len() + usize::from(!rare.is_empty()) + usize::from(has_missing);
    if codes < 2 || own.is_empty() {
        let what = match &own[..] {
            [only] => format!("is {only} in every row"),
            _ => format!("has no level of {} rows or more", options.min_count),
        };
        return Err((what, "leave it out with --drop".to_owned()));
    }
    let reference = reference.unwrap_or_else(|| own[0].clone());
    Ok(Levels { is_number, levels: own, reference, rare, has_missing })
}

/// The first row whose text is no date of ISO 8601 (`2026-11`, `2026-11-22`, `2026-11-22T08:30:00Z`), the only dates that
/// are in the order of their text; none if all are numbers.
pub(crate) fn not_a_time(texts: &[String]) -> Option<usize> {
    let is_date = |text: &String| {
        let text = text.trim().as_bytes();
        let fits = |pattern: &[u8]| {
            text.len() >= pattern.len()
                && text.iter().zip(pattern).all(|(&c, &p)| match p {
                    b'0' => c.is_ascii_digit(),
                    _ => c == p,
                })
        };
        fits(b"0000-00-00") && text.get(10).is_none_or(|c| b"T ".contains(c))
            || fits(b"0000-00") && text.len() == 7
    };
    if texts.iter().all(|text| text.trim().parse::<f64>().is_ok()) {
        return None;
    }
    texts.iter().position(|text| !is_date(text))
}

/// Places in time: equal times have equal ranks.
pub(crate) fn ranks(numbers: &[f64], texts: &[String]) -> Vec<u32> {
    if texts.is_empty() {
        let mut all = numbers.to_vec();
        all.sort_by(f64::total_cmp);
        all.dedup();
        return numbers.iter().map(|x| all.partition_point(|y| y < x) as u32).collect();
    }
    // Numbers that the file holds as texts are in the order of numbers.
    let parsed: Option<Vec<f64>> =
        texts.iter().map(|text| text.trim().parse().ok().filter(|x: &f64| !x.is_nan())).collect();
    if let Some(numbers) = parsed {
        return ranks(&numbers, &[]);
    }
    let mut all: Vec<&String> = texts.iter().collect();
    all.sort();
    all.dedup();
    texts.iter().map(|x| all.partition_point(|y| *y < x) as u32).collect()
}
