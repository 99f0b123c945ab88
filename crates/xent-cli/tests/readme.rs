//! Every command in the READMEs is run and its screen compared to the letter.

#[test]
fn every_screen_in_the_readmes_is_true() {
    // The commands name files from the repository's root.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(&root).expect("the repository's root");
    trycmd::TestCases::new()
        .register_bin("xent", std::path::Path::new(env!("CARGO_BIN_EXE_xent")))
        .case("README.md")
        .case("README.zh-CN.md");
}
