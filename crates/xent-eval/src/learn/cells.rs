//! Columns held in memory: numbers in the narrowest kind that holds them all exactly, texts as codes.

use std::collections::HashMap;

use xent_io::{MISSING, TextColumn};

/// Numbers in the narrowest of four kinds that holds each of them exactly.
///
/// The kind depends on the numbers alone, not on the file or on how it was cut into batches, so equal columns are
/// held in equal kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    /// Whole numbers from 0 to 255; booleans as 0 and 1.
    U8(Vec<u8>),
    /// Whole numbers of 32 bits.
    I32(Vec<i32>),
    /// What 32-bit floats hold exactly.
    F32(Vec<f32>),
    /// Anything.
    F64(Vec<f64>),
}

impl Default for Cells {
    fn default() -> Self {
        Self::U8(Vec::new())
    }
}

/// Which kinds hold all numbers seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fits {
    u8: bool,
    i32: bool,
    f32: bool,
}

impl Fits {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut u8, mut i32, mut f32) = (true, true, true);
        for x in values {
            u8 &= f64::from(x as u8) == x;
            i32 &= f64::from(x as i32) == x;
            f32 &= f64::from(x as f32) == x;
        }
        Self { u8, i32, f32 }
    }

    fn and(self, other: Self) -> Self {
        Self { u8: self.u8 && other.u8, i32: self.i32 && other.i32, f32: self.f32 && other.f32 }
    }
}

/// Numbers to which more are appended.
#[derive(Clone, Debug)]
pub(crate) struct Growing {
    cells: Cells,
    fits: Fits,
}

impl Default for Growing {
    fn default() -> Self {
        Self { cells: Cells::default(), fits: Fits { u8: true, i32: true, f32: true } }
    }
}

impl Growing {
    /// Numbers, none of which is NaN.
    pub fn of(values: &[f64]) -> Self {
        let fits = Fits::of(values.iter().copied());
        let mut cells = empty(fits);
        cells.push_all(values.iter().copied());
        Self { cells, fits }
    }

    /// Appends.
    pub fn append(&mut self, more: Self) {
        let fits = self.fits.and(more.fits);
        if kind(fits) != kind(self.fits) {
            let mut wider = empty(fits);
            wider.push_all(self.cells.iter());
            self.cells = wider;
        }
        self.fits = fits;
        match (&mut self.cells, more.cells) {
            (Cells::U8(mine), Cells::U8(theirs)) => mine.extend(theirs),
            (Cells::I32(mine), Cells::I32(theirs)) => mine.extend(theirs),
            (Cells::F32(mine), Cells::F32(theirs)) => mine.extend(theirs),
            (Cells::F64(mine), Cells::F64(theirs)) => mine.extend(theirs),
            (mine, theirs) => mine.push_all(theirs.iter()),
        }
    }

    /// All of them.
    pub fn finish(self) -> Cells {
        self.cells
    }
}

fn kind(fits: Fits) -> u8 {
    match fits {
        Fits { u8: true, .. } => 0,
        Fits { i32: true, .. } => 1,
        Fits { f32: true, .. } => 2,
        _ => 3,
    }
}

fn empty(fits: Fits) -> Cells {
    match kind(fits) {
        0 => Cells::U8(Vec::new()),
        1 => Cells::I32(Vec::new()),
        2 => Cells::F32(Vec::new()),
        _ => Cells::F64(Vec::new()),
    }
}

impl Cells {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(x) => x.len(),
            Self::I32(x) => x.len(),
            Self::F32(x) => x.len(),
            Self::F64(x) => x.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there is no such number.
    pub fn get(&self, i: usize) -> f64 {
        match self {
            Self::U8(x) => x[i].into(),
            Self::I32(x) => x[i].into(),
            Self::F32(x) => x[i].into(),
            Self::F64(x) => x[i],
        }
    }

    /// All in order.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The kind in one word, as in `float32`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) => "uint8",
            Self::I32(_) => "int32",
            Self::F32(_) => "float32",
            Self::F64(_) => "float64",
        }
    }

    fn push_all(&mut self, values: impl Iterator<Item = f64>) {
        match self {
            Self::U8(x) => x.extend(values.map(|v| v as u8)),
            Self::I32(x) => x.extend(values.map(|v| v as i32)),
            Self::F32(x) => x.extend(values.map(|v| v as f32)),
            Self::F64(x) => x.extend(values),
        }
    }

    /// Puts `value`, rounded to the kind, in the place `i`.
    pub(crate) fn put(&mut self, i: usize, value: f64) {
        match self {
            Self::U8(x) => x[i] = value.round() as u8,
            Self::I32(x) => x[i] = value.round() as i32,
            Self::F32(x) => x[i] = value as f32,
            Self::F64(x) => x[i] = value,
        }
    }

    /// `value` as this kind holds it.
    pub(crate) fn rounded(&self, value: f64) -> f64 {
        match self {
            Self::U8(_) | Self::I32(_) => value.round(),
            Self::F32(_) => (value as f32).into(),
            Self::F64(_) => value,
        }
    }
}

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

    fn code(&mut self, level: &str) -> u32 {
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

    /// Appends.
    pub fn append(&mut self, more: &Self) {
        let to_mine: Vec<u32> = more.levels.iter().map(|level| self.code(level)).collect();
        let code = |&c: &u32| if c == MISSING { MISSING } else { to_mine[c as usize] };
        self.codes.extend(more.codes.iter().map(code));
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

    /// How often each level occurs.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.levels.len()];
        for &code in &self.codes {
            if code != MISSING {
                counts[code as usize] += 1;
            }
        }
        counts
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
    fn the_narrowest_kind_that_is_exact() {
        for (values, kind) in [
            (vec![], "uint8"),
            (vec![0.0, 255.0], "uint8"),
            (vec![0.0, 256.0], "int32"),
            (vec![-1.0, 2_147_483_647.0], "int32"),
            (vec![0.5, 3.0], "float32"),
            (vec![4_294_967_296.0, 1.0], "float32"),
            (vec![0.1], "float64"),
            (vec![0.5, 16_777_217.0], "float64"),
            (vec![1e300], "float64"),
        ] {
            let whole = Growing::of(&values).finish();
            assert_eq!(whole.kind(), kind, "{values:?}");
            assert!(whole.iter().eq(values.iter().copied()));
            // However it is cut.
            for cut in 0..values.len() {
                let mut parts = Growing::default();
                parts.append(Growing::of(&values[..cut]));
                parts.append(Growing::of(&values[cut..]));
                assert_eq!(parts.finish(), whole, "{values:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn codes_do_not_depend_on_the_cut() {
        let texts = [Some("b"), None, Some("a "), Some("b"), Some(" "), Some("a")];
        let spell = |text: &str| text.trim().to_owned();
        let whole = Coded::of(&texts.into_iter().collect(), spell);
        assert_eq!(whole.codes, [0, MISSING, 1, 0, MISSING, 1]);
        assert_eq!(whole.levels, ["b", "a"]);
        assert_eq!(whole.counts(), [2, 2]);
        for cut in 0..=texts.len() {
            let mut parts = Coded::default();
            for part in [&texts[..cut], &texts[cut..]] {
                parts.append(&Coded::of(&part.iter().copied().collect(), spell));
            }
            assert_eq!((parts.codes, parts.levels), (whole.codes.clone(), whole.levels.clone()));
        }
    }

    #[test]
    fn levels_are_sorted_as_numbers_where_they_are() {
        let mut levels = ["10", "b", "9", "-1", "a"];
        levels.sort_by(|a, b| in_order(a, b));
        assert_eq!(levels, ["-1", "9", "10", "a", "b"]);
    }
}
