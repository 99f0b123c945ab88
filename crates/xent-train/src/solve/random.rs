//! Random numbers that are the same everywhere.

/// SplitMix64: `state += 0x9e3779b97f4a7c15`, then two rounds of shift and multiply.
///
/// Steele, Lea and Flood (2014), doi:10.1145/2660193.2660195. Solvers make a new one for each epoch from the seed and the
/// epoch's number, so that no state of it has to be kept.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    /// The generator of an epoch.
    pub fn of_epoch(seed: u64, epoch: usize) -> Self {
        let mut own = Self(seed);
        let base = own.next();
        Self(base ^ Self(epoch as u64).next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, each as likely (Lemire 2019, doi:10.1145/3230636).
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        loop {
            let wide = u128::from(self.next()) * u128::from(n);
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Shuffles (Durstenfeld 1964, doi:10.1145/364520.364540).
    pub fn shuffle(&mut self, items: &mut [u32]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for the seed 1234567, as published with the C code at prng.di.unimi.it.
    #[test]
    fn numbers_are_those_published() {
        let mut random = SplitMix64(1234567);
        let expected = [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
            4593380528125082431,
            16408922859458223821,
        ];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn draws_are_even() {
        const SIGMAS: f64 = 5.0;
        let mut random = SplitMix64::of_epoch(7, 3);
        let mut counts = [0; 6];
        (0..60_000).for_each(|_| counts[random.below(6)] += 1);
        let deviation = (60_000.0_f64 / 6.0 * 5.0 / 6.0).sqrt();
        for count in counts {
            assert!((f64::from(count) - 10_000.0).abs() < SIGMAS * deviation, "{counts:?}");
        }
        let mut items: Vec<u32> = (0..100).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
