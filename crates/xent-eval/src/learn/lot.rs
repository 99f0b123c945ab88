//! Numbers of one type, many of them: in memory, or mapped from a file.

use std::ops::Deref;

use xent_io::{Extent, Mapped, Plain, Spill};

use crate::error::Error;

/// Rows that are converted at a time on their way through a file.
const CHUNK: usize = 1 << 16;

/// Numbers that come no more.
#[derive(Clone, Debug)]
pub(crate) enum Lot<T: Plain> {
    Held(Vec<T>),
    Mapped(Mapped<T>),
}

impl<T: Plain> Deref for Lot<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Held(numbers) => numbers,
            Self::Mapped(numbers) => numbers,
        }
    }
}

impl<T: Plain> From<Vec<T>> for Lot<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self::Held(numbers)
    }
}

impl<T: Plain> Lot<T> {
    /// To be changed or appended to, which makes a copy of what is mapped.
    pub fn held(&mut self) -> &mut Vec<T> {
        if let Self::Mapped(numbers) = self {
            *self = Self::Held(numbers.to_vec());
        }
        match self {
            Self::Held(numbers) => numbers,
            Self::Mapped(_) => unreachable!("it was copied"),
        }
    }
}

/// Numbers to which more are appended, in memory or, if the reader has a spill, there.
#[derive(Debug)]
pub(crate) struct Pile<T: Plain> {
    held: Vec<T>,
    spilled: Vec<Extent>,
    len: usize,
}

impl<T: Plain> Default for Pile<T> {
    fn default() -> Self {
        Self { held: Vec::new(), spilled: Vec::new(), len: 0 }
    }
}

impl<T: Plain> Pile<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn append(&mut self, more: &[T], spill: Option<&mut Spill>) -> Result<(), Error> {
        self.len += more.len();
        match spill {
            Some(spill) if !more.is_empty() => {
                let mut extent = spill.begin()?;
                spill.push(&mut extent, more)?;
                self.spilled.push(extent);
            }
            _ => self.held.extend_from_slice(more),
        }
        Ok(())
    }

    /// All of them, each as `of` has it; the spill is that of [`Pile::append`].
    pub fn finish<U: Plain>(
        self,
        spill: Option<&mut Spill>,
        of: impl Fn(T) -> U,
    ) -> Result<Lot<U>, Error> {
        let Some(spill) = spill.filter(|_| !self.spilled.is_empty()) else {
            return Ok(Lot::Held(self.held.into_iter().map(of).collect()));
        };
        let mut whole = spill.begin()?;
        for extent in self.spilled {
            let part = spill.read::<T>(extent)?;
            for part in part.chunks(CHUNK) {
                let part: Vec<U> = part.iter().map(|&x| of(x)).collect();
                spill.push(&mut whole, &part)?;
            }
        }
        Ok(Lot::Mapped(spill.map(whole)?))
    }
}
