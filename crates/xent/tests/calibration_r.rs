//! The parts of the squared error against R: `SpecsVerification::BrierDecomp` for bins, with Ferro and
//! Fricker's correction and Siegert's standard errors, and `stats::isoreg`, on which `reliabilitydiag` stands, for the
//! isotonic form. `tools/golden_calibration.R` prints these numbers; R 4.2.2.

use xent::calibration::binned::{BinnedDecomposition, Binning, decompose};
use xent::calibration::decomposition::corp;
use xent::calibration::rows::{BinaryRows, SortedRows};

/// REL, RES, UNC and their standard errors.
type Brier = ([f64; 3], [f64; 3]);
/// With or without ties; plain; corrected; isotonic: score, uncertainty, discrimination, miscalibration.
type Case = (bool, Brier, Brier, [f64; 4]);

const CASES: [Case; 2] = [
    (
        false,
        (
            [0.026_535_191_007_387_17, 0.019_153_653_461_384_555, 0.247_5],
            [0.007_038_977_430_057_246, 0.005_781_642_775_724_923, 0.002_224_859_546_128_695_3],
        ),
        (
            [0.021_878_340_267_091_054, 0.014_992_794_705_056_373, 0.247_995_991_983_967_93],
            [0.006_954_502_442_452_369, 0.005_895_919_417_050_023, 0.002_229_318_182_493_683_5],
        ),
        [
            0.255_168_587_676_354_7,
            0.247_500_000_000_000_03,
            0.020_499_356_678_095_243,
            0.028_167_944_354_449_914,
        ],
    ),
    (
        true,
        (
            [0.024_464_582_424_375_97, 0.017_824_949_918_428_91, 0.246_864],
            [0.006_751_514_428_344_124, 0.005_591_426_424_366_146, 0.002_488_638_991_898_982_3],
        ),
        (
            [0.019_792_948_232_237_574, 0.013_648_033_161_160_254, 0.247_358_717_434_869_73],
            [0.006_667_014_433_579_027, 0.005_701_408_944_216_148, 0.002_493_626_244_387_758_4],
        ),
        [
            0.253_584_770_969_660_9,
            0.246_864_000_000_000_03,
            0.018_022_253_638_253_66,
            0.024_743_024_607_914_554,
        ],
    ),
];

/// The rows that the script makes.
fn rows(ties: bool) -> SortedRows {
    let (mut p, mut y) = (Vec::new(), Vec::new());
    for i in 0..500_u32 {
        let k = i * 7919 % 998;
        let said =
            if ties { f64::from(2 * (k / 50) + 1) / 41.0 } else { f64::from(2 * k + 1) / 1996.0 };
        p.push(said);
        y.push((f64::from(i * 37 % 103) + 0.5) / 103.0 < 0.2 + 0.5 * said);
    }
    let mut rows = BinaryRows::default();
    rows.add_probabilities(&p, &y, None).expect("probabilities");
    rows.sort().expect("rows")
}

#[track_caller]
fn agree(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-12 * theirs.abs().max(0.1), "{ours} and R's {theirs}");
}

fn check(found: &BinnedDecomposition, ([rel, res, unc], errors): Brier) {
    // R's squared error is of one class; xent's is summed over both, and so are its parts.
    agree(found.parts.miscalibration, 2.0 * rel);
    agree(found.parts.discrimination, 2.0 * res);
    agree(found.parts.uncertainty, 2.0 * unc);
    let [unc, res, rel] = found.errors;
    for (ours, theirs) in [rel, res, unc].into_iter().zip(errors) {
        agree(ours, 2.0 * theirs);
    }
}

#[test]
fn parts_are_those_of_r() {
    for (ties, plain, corrected, isotonic) in CASES {
        let rows = rows(ties);
        let found = decompose(&rows, Binning::EqualWidth(10)).expect("ten bins");
        check(&found.squared, plain);
        check(&found.squared_corrected, corrected);
        let parts = corp(&rows).squared;
        let ours = [parts.score, parts.uncertainty, parts.discrimination, parts.miscalibration];
        for (ours, theirs) in ours.into_iter().zip(isotonic) {
            agree(ours, 2.0 * theirs);
        }
    }
}
