use super::*;

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Rows as columns and rows as they lie: the machine chooses, so the bits must not differ.
fn both_ways<A: Arithmetic>(odd: bool) {
    let reference = A::reference(A::default());
    let special = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e30, -1e30, 88.0, 0.0, -0.0];
    for (v, n) in (2..=4).flat_map(|v| [1, 7, 8, 33, 200, BATCH].map(|n| (v, n))) {
        let mut state = (v * n) as u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let labels: Vec<u32> = (0..n).map(|_| (next() % v as u64) as u32).collect();
        let x: Vec<A> = (0..n * v)
            .map(|_| match next() % 16 {
                i @ 0..8 if odd => A::from_f64(special[i as usize]),
                _ => A::from_f64(next() as f64 / 2_f64.powi(31) * 60.0 - 30.0),
            })
            .collect();
        let (mut flat, mut columns) = (Sums::new(), Sums::new());
        let mut terms = [vec![A::default(); n * v], vec![A::default(); n * v]];
        fill_terms(&x, &mut terms[0], &reference);
        take_own(&x, &mut terms[0], v, &labels, &mut flat);
        add_rows(&terms[0], v, &mut flat.rest[..n]);
        let (rest, own) = (&mut columns.rest[..n], &mut columns.own[..n]);
        sum_few(&x, v, &labels, &reference, None, rest, own);
        for i in 0..n {
            assert!(same(flat.rest[i], columns.rest[i]), "{v} {i}");
            assert!(same(flat.own[i], columns.own[i]), "{v} {i}");
        }
        let (rest, own) = (&mut columns.rest[..n], &mut columns.own[..n]);
        sum_few(&x, v, &labels, &reference, Some(&mut terms[1]), rest, own);
        for i in 0..n {
            assert!(same(flat.rest[i], columns.rest[i]), "{v} {i}, terms kept");
            let sum = flat.rest[i] + flat.own[i].abs();
            (flat.factor[i], flat.share[i]) = (0.25 / sum, -flat.rest[i] / sum);
        }
        let mut out = [vec![A::default(); n * v], vec![A::default(); n * v]];
        spread(&terms[0], &mut out[0], v, false, &labels, &flat);
        spread(&terms[1], &mut out[1], v, true, &labels, &flat);
        let [a, b] =
            [terms, out].map(|[a, b]| a.iter().zip(&b).all(|(a, b)| same(a.to_f64(), b.to_f64())));
        assert!(a && b, "terms {a}, gradient {b}: {n} x {v}");
    }
}

#[test]
fn columns_and_rows_have_the_same_bits() {
    for odd in [false, true] {
        both_ways::<f32>(odd);
        both_ways::<f64>(odd);
    }
}
