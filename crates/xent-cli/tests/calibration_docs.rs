//! Every command in docs/calibration.md is run and its screen compared to the letter.

use std::path::Path;

#[test]
fn every_screen_of_the_calibration_guide_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository's root");
    // A folder of its own for what the commands write. Links, so that TRYCMD=overwrite reaches the guide itself.
    let folder = tempfile::tempdir().expect("a folder");
    for (from, to) in [("docs/calibration.md", "calibration.md"), ("examples", "examples")] {
        std::os::unix::fs::symlink(root.join(from), folder.path().join(to)).expect("a link");
    }
    std::env::set_current_dir(folder.path()).expect("the folder");
    trycmd::TestCases::new()
        .register_bin("xent", Path::new(env!("CARGO_BIN_EXE_xent")))
        .case("calibration.md")
        .run();
}
