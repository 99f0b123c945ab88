//! Every command in the READMEs is run and its screen compared to the letter.

use std::path::Path;

#[test]
fn every_screen_in_the_readmes_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository's root");
    for readme in ["README.md", "README.zh-CN.md"] {
        // A folder with the README and the examples only: what a command reads beside them, an earlier command of
        // the same README has written. Links, so that TRYCMD=overwrite reaches the README itself.
        let folder = tempfile::tempdir().expect("a folder");
        for name in [readme, "examples"] {
            std::os::unix::fs::symlink(root.join(name), folder.path().join(name)).expect("a link");
        }
        std::env::set_current_dir(folder.path()).expect("the folder");
        trycmd::TestCases::new()
            .register_bin("xent", Path::new(env!("CARGO_BIN_EXE_xent")))
            .case(readme)
            .run();
        std::env::set_current_dir(&root).expect("the repository's root");
    }
}
