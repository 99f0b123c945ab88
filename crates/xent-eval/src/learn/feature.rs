//! What a model knows of a feature: where it comes from, and the columns of coefficients that it has.

/// The name of the intercept among the features; no column may have it.
pub const INTERCEPT: &str = "(intercept)";
/// The name of the level that rare levels share.
pub const RARE_LEVEL: &str = "(rare)";
/// The name of the level of missing texts.
pub const MISSING_LEVEL: &str = "(missing)";

/// A column of a table that a model reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name.
    pub column: String,
    /// How it is read.
    pub kind: FeatureKind,
}

/// How a feature is read.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// A number.
    Number {
        /// Stands for a missing one, beside a column of zeros and ones that says so; `None` if none was missing.
        fill: Option<f64>,
    },
    /// True or false, as 1 or 0.
    Boolean {
        /// As of a number.
        fill: Option<f64>,
    },
    /// A list of numbers of this length, one coefficient each.
    List {
        /// Numbers in a list.
        width: usize,
    },
    /// One of several levels.
    Category(Levels),
    /// Numbers by index, of an svmlight file; those that a row does not name are 0.
    Sparse {
        /// The indices that training saw, as the file has them, ascending: a coefficient each.
        indices: Vec<u32>,
    },
}

/// The levels of a category.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// Whether the levels are numbers, so that `1.0` is `1`.
    pub is_number: bool,
    /// Levels of their own, in order, the reference among them.
    pub levels: Vec<String>,
    /// The level whose coefficient is 0.
    pub reference: String,
    /// Levels that share one coefficient.
    pub rare: Vec<String>,
    /// Whether missing texts are a level.
    pub has_missing: bool,
}

/// A column of coefficients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// As results name it: `age`, `job=clerk`, `x[3]`, `age (missing)`, `17` of an svmlight file.
    pub name: String,
    /// What it stands for.
    pub kind: TermKind,
}

/// What a column of coefficients stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// A number of every row.
    Number,
    /// A level of a category.
    Level,
    /// A number that most rows do not have, where it is 0.
    Sparse,
}

impl Levels {
    /// Codes: the levels, then the rare ones if there are any, then the missing ones.
    pub fn n_codes(&self) -> usize {
        self.levels.len() + usize::from(!self.rare.is_empty()) + usize::from(self.has_missing)
    }

    /// The code that rare levels share.
    pub fn rare_code(&self) -> Option<u32> {
        (!self.rare.is_empty()).then_some(self.levels.len() as u32)
    }

    /// The code of missing texts.
    pub fn missing_code(&self) -> Option<u32> {
        self.has_missing.then(|| self.n_codes() as u32 - 1)
    }

    /// What the level of a code is called.
    pub(crate) fn name(&self, code: usize) -> &str {
        match self.levels.get(code) {
            Some(level) => level,
            None if self.rare_code() == Some(code as u32) => RARE_LEVEL,
            None => MISSING_LEVEL,
        }
    }

    /// The code of the reference.
    pub fn reference_code(&self) -> Option<usize> {
        self.levels.iter().position(|level| *level == self.reference)
    }
}

impl Feature {
    /// Its columns of coefficients, in order.
    pub fn terms(&self) -> Vec<Term> {
        let column = &self.column;
        let term = |name: String, kind| Term { name, kind };
        match &self.kind {
            FeatureKind::Number { fill } | FeatureKind::Boolean { fill } => {
                let mut terms = vec![term(column.clone(), TermKind::Number)];
                if fill.is_some() {
                    terms.push(term(format!("{column} {MISSING_LEVEL}"), TermKind::Number));
                }
                terms
            }
            FeatureKind::List { width } => {
                (0..*width).map(|i| term(format!("{column}[{i}]"), TermKind::Number)).collect()
            }
            FeatureKind::Sparse { indices } => {
                indices.iter().map(|i| term(i.to_string(), TermKind::Sparse)).collect()
            }
            FeatureKind::Category(levels) => {
                let own = levels.levels.iter().filter(|l| **l != levels.reference);
                let rare = levels.rare_code().map(|_| RARE_LEVEL);
                let missing = levels.missing_code().map(|_| MISSING_LEVEL);
                own.map(String::as_str)
                    .chain(rare)
                    .chain(missing)
                    .map(|level| term(format!("{column}={level}"), TermKind::Level))
                    .collect()
            }
        }
    }
}
