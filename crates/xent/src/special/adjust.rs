//! p-values adjusted for how many there are.

/// Returns Holm's adjusted p-values, probabilities, in the order given.
///
/// ```text
/// p~_(k) = max over j <= k of min(1, (m - j + 1) p_(j)),   p_(1) <= ... <= p_(m)
/// ```
///
/// Rejecting where the adjusted value is at most α keeps the chance of even one false
/// rejection at most α, whatever the dependence.
///
/// Domain: probabilities; a NaN (a test that could not be made) stays NaN and does not count in
/// `m`.
///
/// Accuracy: one rounding each.
///
/// # Example
///
/// ```
/// use xent::special::holm;
///
/// assert_eq!(holm(&[0.01, 0.5, 0.02]), [0.03, 0.5, 0.04]);
/// assert!(holm(&[f64::NAN, 0.25])[0].is_nan());
/// assert_eq!(holm(&[f64::NAN, 0.25])[1], 0.25);
/// ```
///
/// Source: Holm (1979, Scandinavian Journal of Statistics 6, 65-70).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        let remaining = (order.len() - rank) as f64;
        largest = largest.max((remaining * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

/// Returns Benjamini and Hochberg's adjusted p-values, in the order given.
///
/// ```text
/// p~_(k) = min over j >= k of min(1, m p_(j) / j),   p_(1) <= ... <= p_(m)
/// ```
///
/// Rejecting where the adjusted value is at most α keeps the expected share of false ones among
/// the rejections at most α, for independent or positively dependent tests.
///
/// Domain: probabilities; a NaN stays NaN and does not count in `m`.
///
/// Accuracy: two roundings each.
///
/// # Example
///
/// ```
/// use xent::special::benjamini_hochberg;
///
/// assert_eq!(benjamini_hochberg(&[0.5, 0.01, 0.02]), [0.5, 0.03, 0.03]);
/// ```
///
/// Source: Benjamini and Hochberg (1995, doi:10.1111/j.2517-6161.1995.tb02031.x).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let order = ascending(p_values);
    let count = order.len() as f64;
    let mut adjusted = vec![f64::NAN; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        smallest = smallest.min(count * p_values[index] / (rank as f64 + 1.0));
        adjusted[index] = smallest;
    }
    adjusted
}

/// Positions of the numbers in ascending order, NaN left out.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&i| !p_values[i].is_nan()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_by_hand() {
        // Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, then never falling.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        assert_eq!(adjusted, [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[]), [] as [f64; 0]);
    }

    #[test]
    fn benjamini_hochberg_agrees_with_scipy() {
        // Source: scipy 1.17.1, stats.false_discovery_control(method="bh").
        const ABSOLUTE: f64 = 1e-16;
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005, 0.8, 0.03, 0.2]);
        let expected =
            [0.035, 0.055999999999999994, 0.0525, 0.035, 0.8, 0.0525, 0.23333333333333336];
        for (got, expected) in adjusted.iter().zip(expected) {
            assert!((got - expected).abs() <= ABSOLUTE, "{got} is not {expected}");
        }
    }

    #[test]
    fn a_test_that_could_not_be_made_does_not_count() {
        let nan = f64::NAN;
        for adjust in [holm, benjamini_hochberg] {
            let with = adjust(&[nan, 0.01, nan, 0.02]);
            let without = adjust(&[0.01, 0.02]);
            assert!(with[0].is_nan() && with[2].is_nan());
            assert_eq!([with[1], with[3]], without[..]);
            assert!(adjust(&[nan])[0].is_nan());
        }
    }
}
