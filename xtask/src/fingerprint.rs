//! `cargo xtask fingerprint`: whether the library gives the same bits on every machine.
//!
//! The program `xent-fingerprint` prints one hash for each family of functions. It is built for this
//! machine, for aarch64 and for WebAssembly, run at every instruction level and with the fused
//! multiply-add as an instruction and as a library's work, and every run must print the same.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cross::{self, Cross, text};

const PACKAGE: &str = "xent-fingerprint";

/// What one machine printed.
struct Print {
    machine: String,
    lines: Vec<String>,
}

impl Print {
    fn of(machine: &str, program: &mut Command) -> Result<Self> {
        let start = Instant::now();
        let text = text(program).with_context(|| format!("running on {machine}"))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            bail!("running on {machine}: it printed nothing");
        }
        println!("{machine}: {} hashes in {:.1} s", lines.len(), start.elapsed().as_secs_f64());
        Ok(Self { machine: machine.to_owned(), lines })
    }
}

pub fn fingerprint() -> Result<()> {
    println!("\n=== fingerprints");
    let start = Instant::now();
    let mut prints = here()?;
    let mut missing = None;
    match cross::find() {
        Ok(cross) => prints.extend(elsewhere(&cross)?),
        // On a developer's machine the rest is still worth knowing; CI must not pass on less than all.
        Err(error) if env::var_os("CI").is_none_or(|ci| ci != "true") => missing = Some(error),
        Err(error) => return Err(error),
    }
    compare(&prints)?;
    for line in &prints[0].lines {
        println!("  {line}");
    }
    println!(
        "=== fingerprints: {} runs alike, {:.0} s",
        prints.len(),
        start.elapsed().as_secs_f64()
    );
    if let Some(error) = missing {
        println!("=== NOT CHECKED on aarch64 and WebAssembly: {error:#}");
    }
    Ok(())
}

/// This machine, at every level and as its own compiler would have it.
fn here() -> Result<Vec<Print>> {
    let program = build(&mut crate::cargo(), "host", &[], "")?;
    let mut prints = vec![Print::of("this machine", &mut Command::new(&program))?];
    for level in ["avx2", "baseline"] {
        let mut command = Command::new(&program);
        prints.push(Print::of(&format!("XENT_SIMD={level}"), command.env("XENT_SIMD", level))?);
    }
    let program = build(&mut crate::cargo(), "native", &[], "-Ctarget-cpu=native")?;
    prints.push(Print::of("built for this processor", &mut Command::new(program))?);
    Ok(prints)
}

/// The machines that this one is not.
fn elsewhere(cross: &Cross) -> Result<Vec<Print>> {
    println!("other machines by Rust from {}", cross.origin);
    let mut prints = Vec::new();
    if cross::FOREIGN.contains(&"x86_64") {
        let mut command = Command::new(cross.qemu("x86_64")?);
        command.args(["-cpu", "qemu64"]).arg(program("host", None));
        prints.push(Print::of("x86-64 without AVX and FMA", &mut command)?);
    }
    if cross::FOREIGN.contains(&"aarch64") {
        let program = build(&mut cross.cargo(), "aarch64", &["--target", cross.aarch64], "")?;
        let mut command = Command::new(cross.qemu("aarch64")?);
        prints.push(Print::of("aarch64", command.arg(program))?);
    }
    for (machine, dir, flags) in [
        ("WebAssembly", "wasm", ""),
        ("WebAssembly with vectors", "wasm-simd", "-Ctarget-feature=+simd128"),
    ] {
        let program = build(&mut cross.cargo(), dir, &["--target", cross::WASM], flags)?;
        let mut node = Command::new("node");
        node.current_dir(crate::root()).arg("fingerprint/run.mjs").arg(program);
        prints.push(Print::of(machine, &mut node)?);
    }
    Ok(prints)
}

/// Builds the program and says where it is.
fn build(cargo: &mut Command, dir: &str, target: &[&str], flags: &str) -> Result<PathBuf> {
    cargo.args(["build", "--quiet", "--release", "--package", PACKAGE]).args(target);
    cargo.env("CARGO_TARGET_DIR", builds(dir));
    // A developer's own flags would stand in the way of those that a target needs to link.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if !flags.is_empty() {
        cargo.env("RUSTFLAGS", flags);
    }
    text(cargo).with_context(|| format!("building {PACKAGE} ({dir})"))?;
    Ok(program(dir, target.get(1).copied()))
}

/// Each kind of build has a folder: with other flags cargo would build everything anew.
fn builds(dir: &str) -> PathBuf {
    crate::target().join("fingerprint").join(dir)
}

fn program(dir: &str, target: Option<&str>) -> PathBuf {
    let wasm = target == Some(cross::WASM);
    let end = if wasm { ".wasm" } else { env::consts::EXE_SUFFIX };
    let folder = builds(dir).join(target.map_or(Path::new(""), Path::new)).join("release");
    folder.join(format!("{PACKAGE}{end}"))
}

/// Every print must be that of the first machine.
fn compare(prints: &[Print]) -> Result<()> {
    let Some((first, others)) = prints.split_first() else { return Ok(()) };
    let mut different = Vec::new();
    for other in others {
        if other.lines.len() != first.lines.len() {
            different.push(format!("{}: another number of lines", other.machine));
        }
        for (one, two) in first.lines.iter().zip(&other.lines) {
            if one != two {
                different.push(format!("{}: {two}; {}: {one}", other.machine, first.machine));
            }
        }
    }
    if !different.is_empty() {
        bail!("bits depend on the machine:\n  {}", different.join("\n  "));
    }
    Ok(())
}
