//! Probabilities that were checked once.

use super::error::InformationError;
use crate::exact::ExactSum;

/// A probability for each of finitely many outcomes: each in [0, 1], the sum within `1e-6` of 1.
///
/// It cannot be built invalid; what is in it is exactly what was given.
///
/// ```
/// use xent::information::Distribution;
///
/// let p = Distribution::new(&[0.9, 0.1])?;
/// assert_eq!(p.probabilities(), [0.9, 0.1]);
/// assert!(Distribution::new(&[0.9, 0.2]).is_err());
/// assert_eq!(Distribution::from_counts(&[3, 1])?.probabilities(), [0.75, 0.25]);
/// # Ok::<(), xent::information::InformationError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    probabilities: Vec<f64>,
}

impl Distribution {
    /// How far the sum may be from 1: what three probabilities written with six digits need. A sum
    /// of 0.999999 as written is accepted, though the f64 nearest to it is farther from 1.
    pub const SUM_TOLERANCE: f64 = 1e-6;

    /// Checks probabilities and keeps them as they are.
    ///
    /// # Errors
    ///
    /// [`InformationError::Empty`]; [`NotAProbability`](InformationError::NotAProbability) for the
    /// first number outside [0, 1] or NaN; [`SumNotOne`](InformationError::SumNotOne) where the sum
    /// is more than [`SUM_TOLERANCE`](Self::SUM_TOLERANCE) from 1.
    ///
    /// # Example
    ///
    /// ```
    /// use xent::information::Distribution;
    ///
    /// let error = Distribution::new(&[0.5, 0.7, -0.2]).unwrap_err();
    /// assert_eq!(error.to_string(), "probability 3 is -0.2, not between 0 and 1");
    /// ```
    pub fn new(probabilities: &[f64]) -> Result<Self, InformationError> {
        if probabilities.is_empty() {
            return Err(InformationError::Empty);
        }
        let mut sum = ExactSum::new();
        for (index, &value) in probabilities.iter().enumerate() {
            if !(0.0..=1.0).contains(&value) {
                return Err(InformationError::NotAProbability { index, value });
            }
            sum.add(value);
        }
        let sum = sum.value();
        if (sum - 1.0).abs() > Self::SUM_TOLERANCE + f64::EPSILON {
            return Err(InformationError::SumNotOne { sum });
        }
        Ok(Self { probabilities: probabilities.to_vec() })
    }

    /// Divides weights by their sum.
    ///
    /// ```text
    /// p_i = w_i / Σ w
    /// ```
    ///
    /// Domain: finite weights of at least 0, not all 0, of any size.
    ///
    /// Accuracy: 1 ulp each; the sum is exact.
    ///
    /// # Errors
    ///
    /// [`InformationError::Empty`]; [`NotAWeight`](InformationError::NotAWeight) for the first
    /// weight that is negative, infinite or NaN; [`AllZero`](InformationError::AllZero).
    ///
    /// # Example
    ///
    /// ```
    /// use xent::information::Distribution;
    ///
    /// assert_eq!(Distribution::normalized(&[2.0, 6.0])?.probabilities(), [0.25, 0.75]);
    /// # Ok::<(), xent::information::InformationError>(())
    /// ```
    pub fn normalized(weights: &[f64]) -> Result<Self, InformationError> {
        /// So small that no number of weights overflows, so large that what it underflows is 0
        /// as a probability too.
        const SCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;

        if weights.is_empty() {
            return Err(InformationError::Empty);
        }
        let mut sum = ExactSum::new();
        for (index, &value) in weights.iter().enumerate() {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(InformationError::NotAWeight { index, value });
            }
            sum.add(value);
        }
        let mut total = sum.value();
        let mut scale = 1.0;
        if total == 0.0 {
            return Err(InformationError::AllZero);
        }
        if total == f64::INFINITY {
            scale = SCALE;
            let mut sum = ExactSum::new();
            for weight in weights {
                sum.add(weight * scale);
            }
            total = sum.value();
        }
        Ok(Self { probabilities: weights.iter().map(|w| w * scale / total).collect() })
    }

    /// Divides counts by their sum: the distribution of a sample.
    ///
    /// Accuracy: 1 ulp each for counts below 2^53, 2 ulp above.
    ///
    /// # Errors
    ///
    /// [`InformationError::Empty`]; [`AllZero`](InformationError::AllZero).
    ///
    /// # Example
    ///
    /// ```
    /// use xent::information::Distribution;
    ///
    /// assert_eq!(Distribution::from_counts(&[1, 0, 1])?.probabilities(), [0.5, 0.0, 0.5]);
    /// # Ok::<(), xent::information::InformationError>(())
    /// ```
    pub fn from_counts(counts: &[u64]) -> Result<Self, InformationError> {
        if counts.is_empty() {
            return Err(InformationError::Empty);
        }
        let total: u128 = counts.iter().copied().map(u128::from).sum();
        if total == 0 {
            return Err(InformationError::AllZero);
        }
        let total = total as f64;
        Ok(Self { probabilities: counts.iter().map(|&count| count as f64 / total).collect() })
    }

    /// Gives every one of `n` outcomes the same probability.
    ///
    /// # Errors
    ///
    /// [`InformationError::Empty`] for no outcome.
    ///
    /// # Example
    ///
    /// ```
    /// use xent::information::Distribution;
    ///
    /// assert_eq!(Distribution::uniform(4)?.probabilities(), [0.25; 4]);
    /// # Ok::<(), xent::information::InformationError>(())
    /// ```
    pub fn uniform(n: usize) -> Result<Self, InformationError> {
        if n == 0 {
            return Err(InformationError::Empty);
        }
        Ok(Self { probabilities: vec![1.0 / n as f64; n] })
    }

    /// The probabilities, in the order given.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The number of outcomes, at least 1.
    // No `is_empty`: a distribution without outcomes cannot be built.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.probabilities.len()
    }
}

impl AsRef<[f64]> for Distribution {
    fn as_ref(&self) -> &[f64] {
        &self.probabilities
    }
}

impl TryFrom<&[f64]> for Distribution {
    type Error = InformationError;

    fn try_from(probabilities: &[f64]) -> Result<Self, InformationError> {
        Self::new(probabilities)
    }
}
