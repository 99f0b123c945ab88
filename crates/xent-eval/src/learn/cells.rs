//! Columns of numbers in the narrowest kind that holds them all exactly.

use xent_io::{Extent, Matrix, MatrixNumbers, Spill};

use super::lot::Lot;
use crate::error::Error;

/// Numbers in the narrowest of five kinds that holds each of them exactly.
///
/// The kind depends on the numbers alone, not on the file or on how it was cut into batches, so equal columns are
/// held in equal kinds.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    /// Whole numbers from 0 to 255; booleans as 0 and 1.
    U8(Lot<u8>),
    /// Whole numbers from -128 to 127.
    I8(Lot<i8>),
    /// Whole numbers of 32 bits.
    I32(Lot<i32>),
    /// What 32-bit floats hold exactly.
    F32(Lot<f32>),
    /// Anything.
    F64(Lot<f64>),
}

impl Default for Cells {
    fn default() -> Self {
        Self::U8(Lot::Held(Vec::new()))
    }
}

/// Which kinds hold all numbers seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one a kind")]
struct Fits {
    u8: bool,
    i8: bool,
    i32: bool,
    f32: bool,
}

impl Fits {
    fn of(values: &[f64]) -> Self {
        let (mut u8, mut i8, mut i32, mut f32) = (true, true, true, true);
        for some in values.chunks(64) {
            for &x in some {
                u8 &= f64::from(x as u8) == x;
                i8 &= f64::from(x as i8) == x;
                i32 &= f64::from(x as i32) == x;
                f32 &= f64::from(x as f32) == x;
            }
            // What fits into none of them is seen early.
            if !(u8 | i8 | i32 | f32) {
                break;
            }
        }
        Self { u8, i8, i32, f32 }
    }

    fn and(self, other: Self) -> Self {
        Self {
            u8: self.u8 && other.u8,
            i8: self.i8 && other.i8,
            i32: self.i32 && other.i32,
            f32: self.f32 && other.f32,
        }
    }
}

/// Numbers to which more are appended, in memory or, if the reader has a spill, there.
#[derive(Debug)]
pub(crate) struct Growing {
    cells: Cells,
    fits: Fits,
    /// Parts of the column in the spill, each in its own narrowest kind.
    spilled: Vec<(Fits, Extent)>,
    len: usize,
}

impl Default for Growing {
    fn default() -> Self {
        let fits = Fits { u8: true, i8: true, i32: true, f32: true };
        Self { cells: Cells::default(), fits, spilled: Vec::new(), len: 0 }
    }
}

impl Growing {
    /// Numbers, none of which is NaN.
    pub fn of(values: &[f64]) -> Self {
        let fits = Fits::of(values);
        let mut cells = empty(fits);
        cells.push_all(values.iter().copied());
        Self { cells, fits, spilled: Vec::new(), len: values.len() }
    }

    /// Appends what lies in memory.
    pub fn append(&mut self, more: Self, spill: Option<&mut Spill>) -> Result<(), Error> {
        self.len += more.len;
        let fits = self.fits.and(more.fits);
        if let Some(spill) = spill {
            self.fits = fits;
            let mut extent = spill.begin()?;
            match &more.cells {
                Cells::U8(x) => spill.push(&mut extent, x)?,
                Cells::I8(x) => spill.push(&mut extent, x)?,
                Cells::I32(x) => spill.push(&mut extent, x)?,
                Cells::F32(x) => spill.push(&mut extent, x)?,
                Cells::F64(x) => spill.push(&mut extent, x)?,
            }
            self.spilled.push((more.fits, extent));
            return Ok(());
        }
        if kind(fits) != kind(self.fits) {
            let mut wider = empty(fits);
            wider.push_all(self.cells.iter());
            self.cells = wider;
        }
        self.fits = fits;
        match (&mut self.cells, &more.cells) {
            (Cells::U8(mine), Cells::U8(theirs)) => mine.held().extend_from_slice(theirs),
            (Cells::I8(mine), Cells::I8(theirs)) => mine.held().extend_from_slice(theirs),
            (Cells::I32(mine), Cells::I32(theirs)) => mine.held().extend_from_slice(theirs),
            (Cells::F32(mine), Cells::F32(theirs)) => mine.held().extend_from_slice(theirs),
            (Cells::F64(mine), Cells::F64(theirs)) => mine.held().extend_from_slice(theirs),
            (mine, theirs) => mine.push_all(theirs.iter()),
        }
        Ok(())
    }

    /// All of them, those at the places `missing`, ascending, replaced by the mean of the others; and that mean.
    pub fn finish(
        self,
        spill: Option<&mut Spill>,
        missing: &[u64],
    ) -> Result<(Cells, Option<f64>), Error> {
        let is_missing = !missing.is_empty();
        let present = (self.len - missing.len()).max(1) as f64;
        let Some(spill) = spill else {
            let mut cells = self.cells;
            if !is_missing {
                return Ok((cells, None));
            }
            let mean = empty(self.fits).rounded(cells.iter().map(|x| x / present).sum());
            missing.iter().for_each(|&i| cells.put(i as usize, mean));
            return Ok((cells, Some(mean)));
        };
        let mut mean = 0.0;
        if is_missing {
            for &(fits, extent) in &self.spilled {
                mean = read(fits, extent, spill)?.iter().fold(mean, |sum, x| sum + x / present);
            }
            mean = empty(self.fits).rounded(mean);
        }
        let mut whole = spill.begin()?;
        let (mut row, mut missing) = (0, missing);
        for (fits, extent) in self.spilled {
            let part = read(fits, extent, spill)?;
            let mut cells = empty(self.fits);
            cells.push_all(part.iter());
            while let [first, rest @ ..] = missing
                && *first < row + part.len() as u64
            {
                cells.put((first - row) as usize, mean);
                missing = rest;
            }
            row += part.len() as u64;
            match &cells {
                Cells::U8(x) => spill.push(&mut whole, x)?,
                Cells::I8(x) => spill.push(&mut whole, x)?,
                Cells::I32(x) => spill.push(&mut whole, x)?,
                Cells::F32(x) => spill.push(&mut whole, x)?,
                Cells::F64(x) => spill.push(&mut whole, x)?,
            }
        }
        let cells = match empty(self.fits) {
            Cells::U8(_) => Cells::U8(Lot::Mapped(spill.map(whole)?)),
            Cells::I8(_) => Cells::I8(Lot::Mapped(spill.map(whole)?)),
            Cells::I32(_) => Cells::I32(Lot::Mapped(spill.map(whole)?)),
            Cells::F32(_) => Cells::F32(Lot::Mapped(spill.map(whole)?)),
            Cells::F64(_) => Cells::F64(Lot::Mapped(spill.map(whole)?)),
        };
        Ok((cells, is_missing.then_some(mean)))
    }
}

/// A part of a column, from the spill.
fn read(fits: Fits, extent: Extent, spill: &mut Spill) -> Result<Cells, Error> {
    Ok(match empty(fits) {
        Cells::U8(_) => Cells::U8(Lot::Mapped(spill.read(extent)?)),
        Cells::I8(_) => Cells::I8(Lot::Mapped(spill.read(extent)?)),
        Cells::I32(_) => Cells::I32(Lot::Mapped(spill.read(extent)?)),
        Cells::F32(_) => Cells::F32(Lot::Mapped(spill.read(extent)?)),
        Cells::F64(_) => Cells::F64(Lot::Mapped(spill.read(extent)?)),
    })
}

fn kind(fits: Fits) -> u8 {
    match fits {
        Fits { u8: true, .. } => 0,
        Fits { i8: true, .. } => 1,
        Fits { i32: true, .. } => 2,
        Fits { f32: true, .. } => 3,
        _ => 4,
    }
}

fn empty(fits: Fits) -> Cells {
    match kind(fits) {
        0 => Cells::U8(Lot::Held(Vec::new())),
        1 => Cells::I8(Lot::Held(Vec::new())),
        2 => Cells::I32(Lot::Held(Vec::new())),
        3 => Cells::F32(Lot::Held(Vec::new())),
        _ => Cells::F64(Lot::Held(Vec::new())),
    }
}

impl Cells {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(x) => x.len(),
            Self::I8(x) => x.len(),
            Self::I32(x) => x.len(),
            Self::F32(x) => x.len(),
            Self::F64(x) => x.len(),
        }
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there is no such number.
    pub fn get(&self, i: usize) -> f64 {
        match self {
            Self::U8(x) => x[i].into(),
            Self::I8(x) => x[i].into(),
            Self::I32(x) => x[i].into(),
            Self::F32(x) => x[i].into(),
            Self::F64(x) => x[i],
        }
    }

    /// All in order.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// A matrix where it lies.
    pub fn of_matrix(matrix: Matrix) -> Self {
        match matrix.numbers {
            MatrixNumbers::U8(x) => Self::U8(Lot::Mapped(x)),
            MatrixNumbers::I8(x) => Self::I8(Lot::Mapped(x)),
            MatrixNumbers::I32(x) => Self::I32(Lot::Mapped(x)),
            MatrixNumbers::F32(x) => Self::F32(Lot::Mapped(x)),
            MatrixNumbers::F64(x) => Self::F64(Lot::Mapped(x)),
        }
    }

    /// Whether there is neither NaN nor infinity.
    pub fn is_finite(&self) -> bool {
        // Without a branch for each number, so that vectors of them are looked at.
        fn all<T: Copy>(x: &[T], is: impl Fn(T) -> bool) -> bool {
            x.chunks(4096).all(|part| part.iter().fold(true, |all, &x| all & is(x)))
        }
        match self {
            Self::U8(_) | Self::I8(_) | Self::I32(_) => true,
            Self::F32(x) => all(x, f32::is_finite),
            Self::F64(x) => all(x, f64::is_finite),
        }
    }

    fn push_all(&mut self, values: impl Iterator<Item = f64>) {
        match self {
            Self::U8(x) => x.held().extend(values.map(|v| v as u8)),
            Self::I8(x) => x.held().extend(values.map(|v| v as i8)),
            Self::I32(x) => x.held().extend(values.map(|v| v as i32)),
            Self::F32(x) => x.held().extend(values.map(|v| v as f32)),
            Self::F64(x) => x.held().extend(values),
        }
    }

    /// Puts `value`, rounded to the kind, in the place `i`.
    pub fn put(&mut self, i: usize, value: f64) {
        match self {
            Self::U8(x) => x.held()[i] = value.round() as u8,
            Self::I8(x) => x.held()[i] = value.round() as i8,
            Self::I32(x) => x.held()[i] = value.round() as i32,
            Self::F32(x) => x.held()[i] = value as f32,
            Self::F64(x) => x.held()[i] = value,
        }
    }

    /// `value` as this kind holds it.
    pub fn rounded(&self, value: f64) -> f64 {
        match self {
            Self::U8(_) | Self::I8(_) | Self::I32(_) => value.round(),
            Self::F32(_) => (value as f32).into(),
            Self::F64(_) => value,
        }
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
            (vec![-128.0, 127.0], "int8"),
            (vec![-129.0, 127.0], "int32"),
            (vec![-1.0, 128.0], "int32"),
            (vec![-1.0, 2_147_483_647.0], "int32"),
            (vec![0.5, 3.0], "float32"),
            (vec![4_294_967_296.0, 1.0], "float32"),
            (vec![0.1], "float64"),
            (vec![0.5, 16_777_217.0], "float64"),
            (vec![1e300], "float64"),
        ] {
            let whole = cells(&[&values], None);
            assert_eq!(name(&whole), kind, "{values:?}");
            assert!(whole.iter().eq(values.iter().copied()));
            // However it is cut, and wherever it is held.
            for cut in 0..values.len() {
                let parts = [&values[..cut], &values[cut..]];
                for spill in [None, Some(&mut Spill::create().unwrap())] {
                    let again = cells(&parts, spill);
                    assert_eq!(name(&again), kind, "{values:?} cut at {cut}");
                    assert!(again.iter().eq(values.iter().copied()), "{values:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn missing_numbers_are_the_mean_of_the_others() {
        // 0 stands where a number is missing.
        for (values, missing, mean) in [
            (vec![1.0, 0.0, 3.0, 6.0, 0.0], vec![1, 4], 3.0),
            (vec![0.0, 0.1, 0.3], vec![0], 0.2),
            (vec![0.0, 300.0, 301.0, 301.0], vec![0], 301.0),
        ] {
            for cut in 0..=values.len() {
                for mut spill in [None, Some(Spill::create().unwrap())] {
                    let mut growing = Growing::default();
                    for part in [&values[..cut], &values[cut..]] {
                        growing.append(Growing::of(part), spill.as_mut()).unwrap();
                    }
                    let (cells, fill) = growing.finish(spill.as_mut(), &missing).unwrap();
                    assert_eq!(fill, Some(mean));
                    for (i, x) in values.iter().enumerate() {
                        let is_missing = missing.contains(&(i as u64));
                        assert_eq!(cells.get(i), if is_missing { mean } else { *x });
                    }
                }
            }
        }
    }

    fn cells(parts: &[&[f64]], mut spill: Option<&mut Spill>) -> Cells {
        let mut growing = Growing::default();
        for part in parts {
            growing.append(Growing::of(part), spill.as_deref_mut()).unwrap();
        }
        growing.finish(spill, &[]).unwrap().0
    }

    fn name(cells: &Cells) -> &'static str {
        match cells {
            Cells::U8(_) => "uint8",
            Cells::I8(_) => "int8",
            Cells::I32(_) => "int32",
            Cells::F32(_) => "float32",
            Cells::F64(_) => "float64",
        }
    }
}
