//! The unit of information.

/// The base of the logarithm, and so the unit of information.
///
/// ```
/// use xent::information::Base;
///
/// assert_eq!(Base::Two.from_nats(std::f64::consts::LN_2), 1.0);
/// assert_eq!(Base::Ten.from_nats(std::f64::consts::LN_10), 1.0);
/// assert_eq!(Base::Two.unit(), "bits");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Base {
    /// Base 2: bits.
    #[default]
    Two,
    /// Base e: nats.
    E,
    /// Base 10: bans, also called hartleys or dits.
    Ten,
}

impl Base {
    /// Returns a number of nats in this base's unit.
    ///
    /// ```text
    /// nats / ln(base)
    /// ```
    ///
    /// Domain: any f64; infinities and NaN come back as they are.
    ///
    /// Accuracy: 1 ulp. Of ln 2, ln 4, ... ln 2^28, each rounded to an f64, it makes exactly 1, 2,
    /// ... 28 bits, and of ln 10, ... ln 10^24 exactly 1, ... 24 bans. For that, base 2 divides by
    /// the f64 nearest to ln 2 (the correctly rounded quotient of ln 8 would be 2.9999999999999996)
    /// and base 10 by ln 10 in twice the precision (where the other way fails).
    ///
    /// ```
    /// use xent::information::Base;
    ///
    /// assert_eq!(Base::E.from_nats(0.25), 0.25);
    /// assert_eq!(Base::Two.from_nats(8_f64.ln()), 3.0);
    /// ```
    // `from_*` on a value: the base is what converts, and the name is the one a reader looks for.
    #[allow(clippy::wrong_self_convention)]
    pub fn from_nats(self, nats: f64) -> f64 {
        match self {
            Self::Two => nats / core::f64::consts::LN_2,
            Self::E => nats,
            Self::Ten => {
                /// What is left of ln 10 after the nearest f64.
                const LN_10_REST: f64 = -2.170_756_223_382_249_4e-16;
                let quotient = nats / core::f64::consts::LN_10;
                let rest = (-quotient).mul_add(core::f64::consts::LN_10, nats);
                let rest = (-quotient).mul_add(LN_10_REST, rest);
                let corrected = quotient + rest / core::f64::consts::LN_10;
                if quotient.is_finite() { corrected } else { quotient }
            }
        }
    }

    /// Returns the logarithm of a number to this base, exact for powers of the base in base 2.
    ///
    /// ```
    /// assert_eq!(xent::information::Base::Two.log(0.125), -3.0);
    /// ```
    pub fn log(self, x: f64) -> f64 {
        match self {
            Self::Two => libm::log2(x),
            Self::E => libm::log(x),
            Self::Ten => libm::log10(x),
        }
    }

    /// Returns the name of the unit, in the plural.
    ///
    /// ```
    /// assert_eq!(xent::information::Base::E.unit(), "nats");
    /// ```
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Two => "bits",
            Self::E => "nats",
            Self::Ten => "bans",
        }
    }
}
