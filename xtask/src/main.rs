//! The project's chores, one command each: `cargo xtask test`, `cargo xtask fingerprint`,
//! `cargo xtask bench scoring`, `cargo xtask bench kernels`, `cargo xtask bench training`, `cargo xtask bench
//! calibration`, `cargo xtask golden`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cross;
mod fingerprint;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: cargo xtask <chore>

  test              everything that must pass: format, lints, tests, docs, README, fingerprints, oracles
  fingerprint       whether the library gives the same bits on x86-64, aarch64 and WebAssembly
  bench scoring     scoring against scikit-learn, DuckDB, Polars and pandas, written to docs/bench-scoring.md
  bench kernels     the kernels against PyTorch, JAX and scikit-learn, written to docs/bench-kernels.md
  bench training    fits against scikit-learn, glum, LIBLINEAR, Vowpal Wabbit, linfa and smartcore, written to
                    docs/bench-training.md; --ladders finds the peers' settings that are missing in
                    tools/bench_training_ladders.json, for an hour
  bench calibration CORP against scikit-learn and temperature scaling against SciPy, written to
                    docs/bench-calibration.md
                    any of these with --quick (few rows), and all but the last with --only PART,..., is only printed
  golden            make the golden values in tests/golden/ anew (50-digit arithmetic)";

/// The libraries' examples, each run by the tests.
const EXAMPLES: [&str; 9] = [
    "score_in_memory",
    "compare_in_memory",
    "information",
    "exact_sum",
    "cross_entropy_from_logits",
    "losses_from_logits",
    "where_the_bits_are_lost",
    "score_file",
    "compare_files",
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["test"] => test(),
        ["fingerprint"] => fingerprint::fingerprint(),
        ["bench", name @ ("scoring" | "kernels" | "training" | "calibration"), ref rest @ ..] => {
            bench(name, rest)
        }
        ["golden"] => golden(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: the folder above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command, its output passed through.
fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("\n=== {what}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{what}: cannot start {command:?}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    println!("=== {what}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn test() -> Result<()> {
    let start = Instant::now();
    run("format", cargo().args(["fmt", "--all", "--check"]))?;
    run(
        "lints",
        cargo()
            .args(["clippy", "--workspace", "--all-targets", "--features", "xent/parallel"])
            .args(["--", "--deny", "warnings"]),
    )?;
    run("lints of the Rust peers", peers("clippy").args(["--", "--deny", "warnings"]))?;
    run(
        "tests",
        cargo().args(["test", "--workspace", "--no-fail-fast", "--features", "xent/parallel"]),
    )?;
    // The tests have built them.
    for example in EXAMPLES {
        let path = target().join("debug").join("examples").join(example);
        run(&format!("example {example}"), Command::new(path).current_dir(root()))?;
    }
    run(
        "documentation",
        cargo()
            .args(["doc", "--workspace", "--no-deps", "--quiet", "--features", "xent/parallel"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    run(
        "release build",
        cargo()
            .args(["build", "--release", "--quiet", "-p", "xent-cli", "-p", "xent-bench"])
            .args(["-p", "xent-train", "--bins", "--examples"]),
    )?;
    fingerprint::fingerprint()?;
    let python = venv("test")?;
    run(
        "oracles: scikit-learn, SciPy, statsmodels, exact rationals",
        Command::new(&python)
            .current_dir(root())
            .arg("tools/oracle.py")
            .arg("--xent")
            .arg(target().join("release").join("xent")),
    )?;
    run(
        "oracles of the worst rows: mpmath, scikit-learn",
        Command::new(&python)
            .current_dir(root())
            .arg("tools/oracle_worst.py")
            .arg("--xent")
            .arg(target().join("release").join("xent")),
    )?;
    run(
        "oracles of training: optima of every solver",
        Command::new(&python)
            .current_dir(root())
            .arg("tools/oracle_training.py")
            .arg(target().join("release").join("examples").join("fit_array")),
    )?;
    run(
        "oracles of training: optima at default settings",
        Command::new(&python)
            .current_dir(root())
            .arg("tools/oracle_training_defaults.py")
            .arg("--bench")
            .arg(target().join("release").join("xent-bench")),
    )?;
    let python = venv("calibration")?;
    for (what, script) in [
        ("50-digit arithmetic", "tools/golden_calibration.py"),
        ("model-diagnostics, relplot, uncertainty-calibration", "tools/oracle_calibration.py"),
    ] {
        run(
            &format!("oracles of calibration: {what}"),
            Command::new(&python).current_dir(root()).args([script, "--check"]),
        )?;
    }
    run(
        "oracles of the parts of a score: model-diagnostics, SciPy",
        Command::new(&python)
            .current_dir(root())
            .arg("tools/oracle_decomposition.py")
            .arg("--xent")
            .arg(target().join("release").join("xent")),
    )?;
    println!("\nall passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Builds what a benchmark measures and starts it; a run in part or on few rows is only printed.
fn bench(name: &str, rest: &[&str]) -> Result<()> {
    let (environment, needs_command) = match name {
        "scoring" => ("bench", true),
        "kernels" => ("kernels", false),
        "training" => ("training-bench", true),
        _ => ("test", false),
    };
    let mut build = cargo();
    build.args(["build", "--release", "-p", "xent-bench"]);
    if needs_command {
        build.args(["-p", "xent-cli"]);
    }
    run("release build", &mut build)?;
    let release = target().join("release");
    let mut command = Command::new(venv(environment)?);
    command.current_dir(root()).arg(format!("tools/bench_{name}.py"));
    command.arg("--bench").arg(release.join("xent-bench"));
    command.arg("--data").arg(target().join("bench"));
    if needs_command {
        command.arg("--xent").arg(release.join("xent"));
    }
    if name == "training" {
        run("release build of the Rust peers", peers("build").arg("--release"))?;
        command.arg("--peers").arg(target().join("peers/release").join("xent-bench-peers"));
    }
    if !["--quick", "--only", "--ladders"].iter().any(|part| rest.contains(part)) {
        command.arg("--out").arg(format!("docs/bench-{name}.md"));
    }
    run(&format!("{name} benchmark"), command.args(rest))
}

/// Cargo on the Rust peers of the training benchmark, a workspace of their own.
fn peers(chore: &str) -> Command {
    let mut command = cargo();
    command.args([chore, "--locked", "--manifest-path", "bench/peers/Cargo.toml"]);
    command.arg("--target-dir").arg(target().join("peers"));
    command
}

fn golden() -> Result<()> {
    let python = venv("test")?;
    for script in ["tools/golden.py", "tools/fsum.py"] {
        run(script, Command::new(&python).current_dir(root()).arg(script))?;
    }
    let python = venv("calibration")?;
    for script in ["tools/golden_calibration.py", "tools/oracle_calibration.py"] {
        run(script, Command::new(&python).current_dir(root()).arg(script))?;
    }
    Ok(())
}

/// A Python environment with `tools/requirements-<kind>.txt`, made when missing or out of date.
fn venv(kind: &str) -> Result<PathBuf> {
    let requirements = root().join("tools").join(format!("requirements-{kind}.txt"));
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let dir = target().join(format!("venv-{kind}"));
    let bin = dir.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let python = bin.join("python");
    let stamp = dir.join("requirements-installed.txt");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    fs::create_dir_all(target())?;
    let base = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    run(
        &format!("Python environment for {kind}"),
        Command::new(&base).args(["-m", "venv", "--clear"]).arg(&dir),
    )
    .with_context(|| {
        format!("{base} cannot make an environment: Python 3.11 or newer with its venv module is needed (on Debian: apt-get install python3-venv)")
    })?;
    run(
        &format!("Python packages for {kind}"),
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements),
    )?;
    fs::write(stamp, wanted)?;
    Ok(python)
}
