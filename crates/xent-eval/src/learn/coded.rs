//! Texts as codes into the distinct ones.

use std::collections::HashMap;

use xent_io::{MISSING, Spill, TextColumn};

use super::lot::Pile;
use crate::error::Error;

/// Texts as codes into the distinct ones, in the order in which they first occurred.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coded {
    /// One a row; [`MISSING`] for a missing one.
    pub codes: Vec<u32>,
    /// The distinct texts.
    pub levels: Vec<String>,
    places: HashMap<String, u32>,
}

impl Coded {
    /// The texts of a batch, each written as `spell` has it; a text that is empty then is missing.
    pub fn of(texts: &TextColumn, spell: impl Fn(&str) -> String) -> Self {
        let mut coded = Self::default();
        if let Some(dictionary) = texts.dictionary() {
            // Each distinct text is looked at once; those that no row has leave no level.
            let mut known = vec![None; dictionary.len()];
            for &code in dictionary.codes {
                let code = if code == MISSING {
                    MISSING
                } else {
                    let place = &mut known[code as usize];
                    *place.get_or_insert_with(|| coded.code(&spell(dictionary.value(code))))
                };
                coded.codes.push(code);
            }
            return coded;
        }
        let mut known: HashMap<&str, u32> = HashMap::new();
        for text in texts.iter() {
            let code = match text {
                None => MISSING,
                Some(text) => match known.get(text) {
                    Some(&code) => code,
                    None => {
                        let code = coded.code(&spell(text));
                        known.insert(text, code);
                        code
                    }
                },
            };
            coded.codes.push(code);
        }
        coded
    }

    /// The code of a level, new or known; an empty text is missing.
    pub fn code(&mut self, level: &str) -> u32 {
        if level.is_empty() {
            return MISSING;
        }
        if let Some(&code) = self.places.get(level) {
            return code;
        }
        let code = self.levels.len() as u32;
        self.levels.push(level.to_owned());
        self.places.insert(level.to_owned(), code);
        code
    }

    /// The same levels over some of the rows.
    #[must_use]
    pub fn take(mut self, keep: Option<&[usize]>) -> Self {
        if let Some(keep) = keep
            && !self.codes.is_empty()
        {
            self.codes = keep.iter().map(|&i| self.codes[i]).collect();
        }
        self
    }
}

/// Texts to which more are appended, their codes in memory or, if the reader has a spill, there.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// No codes, only levels.
    book: Coded,
    counts: Vec<u64>,
    missing: u64,
    pub codes: Pile<u32>,
}

impl Texts {
    /// Distinct texts and how often each occurs, of codes that lie elsewhere.
    pub fn counted(levels: Vec<String>, counts: Vec<u64>) -> Self {
        let book = Coded { levels, ..Coded::default() };
        Self { book, counts, ..Self::default() }
    }

    pub fn append(&mut self, mut more: Coded, spill: Option<&mut Spill>) -> Result<(), Error> {
        let to_mine: Vec<u32> = more.levels.iter().map(|level| self.book.code(level)).collect();
        self.counts.resize(self.book.levels.len(), 0);
        for code in &mut more.codes {
            if *code == MISSING {
                self.missing += 1;
            } else {
                *code = to_mine[*code as usize];
                self.counts[*code as usize] += 1;
            }
        }
        self.codes.append(&more.codes, spill)
    }

    /// The distinct texts, in the order in which they first occurred.
    pub fn levels(&self) -> &[String] {
        &self.book.levels
    }

    /// How often each level occurs.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Whether a text is missing.
    pub fn has_missing(&self) -> bool {
        self.missing > 0
    }
}

/// Whole numbers in their order, then everything else in the order of its text.
pub(crate) fn in_order(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<i64>(), b.parse::<i64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => std::cmp::Ordering::Less,
        (Err(_), Ok(_)) => std::cmp::Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn codes_do_not_depend_on_the_cut() {
        let texts = [Some("b"), None, Some("a "), Some("b"), Some(" "), Some("a")];
        let spell = |text: &str| text.trim().to_owned();
        for cut in 0..=texts.len() {
            for mut spill in [None, Some(Spill::create().unwrap())] {
                let mut all = Texts::default();
                for part in [&texts[..cut], &texts[cut..]] {
                    let coded = Coded::of(&part.iter().copied().collect(), spell);
                    all.append(coded, spill.as_mut()).unwrap();
                }
                assert_eq!(all.levels(), ["b", "a"]);
                assert_eq!(all.counts(), [2, 2]);
                assert!(all.has_missing());
                let codes = all.codes.finish(spill.as_mut(), |code| code).unwrap();
                assert_eq!(codes[..], [0, MISSING, 1, 0, MISSING, 1]);
            }
        }
    }

    #[test]
    fn levels_are_sorted_as_numbers_where_they_are() {
        let mut levels = ["10", "b", "9", "-1", "a"];
        levels.sort_by(|a, b| in_order(a, b));
        assert_eq!(levels, ["-1", "9", "10", "a", "b"]);
    }
}
