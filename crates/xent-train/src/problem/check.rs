//! What must be so of data before anything is fitted to them.

use xent::exact::ExactSum;

use super::{Data, Target};
use crate::error::Error;

/// Checks targets, weights and offsets; the sum of the weights.
pub(crate) fn check(data: &Data<'_>) -> Result<f64, Error> {
    let n = data.design.n_rows();
    let length = |what, given| Error::Length { what, given, expected: n };
    if data.target.len() != n {
        return Err(length("targets", data.target.len()));
    }
    if data.n_classes < 2 {
        let value = data.n_classes.to_string();
        return Err(Error::Parameter { name: "n_classes", value, domain: "at least 2" });
    }
    match data.target {
        Target::Classes(classes) => {
            if let Some(row) = classes.iter().position(|&c| c as usize >= data.n_classes) {
                let what = format!("label {} is none of {} classes", classes[row], data.n_classes);
                return Err(Error::Row { row, what });
            }
        }
        Target::Distributions(view) => {
            if view.n_cols() != data.n_classes {
                let given = view.n_cols();
                let expected = data.n_classes;
                return Err(Error::Length { what: "classes of the targets", given, expected });
            }
            for row in 0..n {
                let p = |class| view.get(row, class);
                let sum: f64 = (0..data.n_classes).map(p).sum();
                if !(0..data.n_classes).all(|class| (0.0..=1.0).contains(&p(class)))
                    || (sum - 1.0).abs() > 1e-6
                {
                    let what =
                        format!("targets are not probabilities that sum to 1 (their sum is {sum})");
                    return Err(Error::Row { row, what });
                }
            }
        }
    }
    if let Some(offsets) = &data.offsets {
        if offsets.n_rows() != n {
            return Err(length("offsets", offsets.n_rows()));
        }
        for row in 0..n {
            if let Some(k) = (0..offsets.n_cols()).find(|&k| !offsets.get(row, k).is_finite()) {
                let what = format!("offset {} is not finite", offsets.get(row, k));
                return Err(Error::Row { row, what });
            }
        }
    }
    let Some(weights) = data.weights else {
        return if n == 0 { Err(length("rows", 0)) } else { Ok(n as f64) };
    };
    if weights.len() != n {
        return Err(length("weights", weights.len()));
    }
    if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        let what = format!("weight {} is negative or not finite", weights[row]);
        return Err(Error::Row { row, what });
    }
    // Correctly rounded: the objective, and with it the balance of loss and penalty, is divided by it.
    let total = weights.iter().copied().collect::<ExactSum>().value();
    if total > 0.0 && total.is_finite() {
        Ok(total)
    } else {
        let value = total.to_string();
        Err(Error::Parameter { name: "sum of the weights", value, domain: "positive and finite" })
    }
}
