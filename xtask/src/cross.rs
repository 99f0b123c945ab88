//! Rust for machines that this one is not: Linux on aarch64 and bare WebAssembly.
//!
//! Where they come from, the first that works:
//!
//! 1. the toolchain's own targets, if `rustup target add` has put them there;
//! 2. Debian's packages, unpacked into a folder beside the builds: nothing is installed and nobody
//!    has to be root. Debian has a Rust for each architecture; for WebAssembly its source is built,
//!    which takes half a minute, once;
//! 3. `rustup target add`.
//!
//! The compiler may so be a newer one than the project's; results must not depend on that either.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// Bare WebAssembly.
pub const WASM: &str = "wasm32-unknown-unknown";
/// Linux on aarch64, as rustup has it ready to link.
const MUSL: &str = "aarch64-unknown-linux-musl";
/// The same, as Debian has it.
const GNU: &str = "aarch64-unknown-linux-gnu";
/// GCC's start files in Debian 12, the release that these packages are taken from.
const GCC: &str = "12";
/// The machines whose Linux programs are run by QEMU. An aarch64 machine runs its own; elsewhere than
/// on Linux QEMU runs none.
pub const FOREIGN: &[&str] = if cfg!(target_arch = "aarch64") {
    &[]
} else if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    &["x86_64", "aarch64"]
} else {
    &["aarch64"]
};
/// Changed whenever the unpacked packages must be made anew.
const RECIPE: &str = "1";

/// How to build for other machines and run what was built.
pub struct Cross {
    /// The target for Linux on aarch64, linked statically.
    pub aarch64: &'static str,
    /// Where it comes from, in words.
    pub origin: &'static str,
    /// Variables for cargo.
    env: Vec<(String, OsString)>,
    /// Where QEMU may be, beside the search path.
    bin: Option<PathBuf>,
}

impl Cross {
    /// Cargo for the other machines.
    pub fn cargo(&self) -> Command {
        let mut cargo = crate::cargo();
        cargo.envs(self.env.iter().map(|(name, value)| (name, value)));
        cargo
    }

    /// QEMU's emulator of one program on a machine.
    pub fn qemu(&self, machine: &str) -> Result<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(self.bin.clone())
            .flat_map(|dir| ["-static", ""].map(|end| dir.join(format!("qemu-{machine}{end}"))))
            .find(|program| program.exists())
            .with_context(|| {
                format!("no qemu-{machine} (on Debian: apt-get install qemu-user-static)")
            })
    }
}

/// Finds or makes the means to build for other machines, and to run what is built.
pub fn find() -> Result<Cross> {
    let node =
        text(Command::new("node").arg("--version")).context("Node.js 20 or newer is needed")?;
    let major = node.trim().trim_start_matches('v').split('.').next().map(str::parse::<u32>);
    if !matches!(major, Some(Ok(20..))) {
        bail!("Node.js 20 or newer is needed, this is {}", node.trim());
    }
    let cross = rust()?;
    for machine in FOREIGN {
        cross.qemu(machine)?;
    }
    Ok(cross)
}

/// Finds or makes a Rust for other machines.
fn rust() -> Result<Cross> {
    if let Some(cross) = toolchain()? {
        return Ok(cross);
    }
    let debian = match debian() {
        Ok(cross) => return Ok(cross),
        Err(error) => error,
    };
    println!("no Rust for other machines from Debian's packages ({debian:#}), asking rustup");
    let added = quietly(Command::new("rustup").args(["target", "add", MUSL, WASM]));
    let rustup = match added.and_then(|()| toolchain()) {
        Ok(Some(cross)) => return Ok(cross),
        Ok(None) => anyhow!("it has added the targets to another toolchain"),
        Err(error) => error,
    };
    bail!(
        "no Rust for {MUSL} and {WASM}: from Debian's packages: {debian:#}; from rustup: {rustup:#}"
    )
}

/// The project's toolchain, if it has the targets.
fn toolchain() -> Result<Option<Cross>> {
    let lib = sysroot()?.join("lib").join("rustlib");
    if ![MUSL, WASM].iter().all(|target| lib.join(target).join("lib").is_dir()) {
        return Ok(None);
    }
    let env = vec![linker(MUSL, "rust-lld")];
    Ok(Some(Cross { aarch64: MUSL, origin: "the project's toolchain", env, bin: None }))
}

/// Where the project's Rust is.
fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = text(Command::new(rustc).args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(output.trim()))
}

/// Cargo's variable that names the linker of a target.
fn linker(target: &str, program: impl Into<OsString>) -> (String, OsString) {
    (format!("CARGO_TARGET_{}_LINKER", variable(target)), program.into())
}

fn variable(target: &str) -> String {
    target.to_uppercase().replace('-', "_")
}

/// Debian's Rust, unpacked.
fn debian() -> Result<Cross> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("only from x86-64 Linux");
    }
    let lld = sysroot()?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    if !lld.exists() {
        bail!("the project's toolchain comes without rust-lld ({})", lld.display());
    }
    let dir = crate::target().join("cross");
    let root = dir.join("root");
    let (rustc, ld) = (dir.join("rustc"), dir.join("aarch64-ld"));
    let stamp = dir.join("unpacked.txt");
    let wanted = format!("{RECIPE}: Rust {} or newer", env!("CARGO_PKG_RUST_VERSION"));
    if fs::read_to_string(&stamp).is_ok_and(|unpacked| unpacked == wanted) {
        // Made in an earlier run; only the paths in the scripts may have changed.
        scripts(&root, &lld, &rustc, &ld)?;
    } else {
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&root)?;
        println!("unpacking Debian's Rust for aarch64 and WebAssembly into {}", dir.display());
        Apt::new(&dir)?.unpack_all(&root)?;
        scripts(&root, &lld, &rustc, &ld)?;
        build_std(&dir, &root, &rustc)?;
        fs::write(stamp, wanted)?;
    }
    let flags = "-Clinker-flavor=ld -Ctarget-feature=+crt-static -Crelocation-model=static";
    let env = vec![
        ("RUSTC".to_owned(), rustc.into()),
        linker(WASM, lld),
        linker(GNU, ld),
        (format!("CARGO_TARGET_{}_RUSTFLAGS", variable(GNU)), flags.into()),
    ];
    let bin = Some(root.join("usr/bin"));
    Ok(Cross { aarch64: GNU, origin: "Debian's packages", env, bin })
}

/// Writes what stands for the compiler and for the linker of aarch64: they find their libraries and
/// start files in the unpacked packages.
fn scripts(root: &Path, lld: &Path, rustc: &Path, ld: &Path) -> Result<()> {
    let (root, lld) = (root.display(), lld.display());
    script(
        rustc,
        &format!(
            "LD_LIBRARY_PATH='{root}/usr/lib/x86_64-linux-gnu' exec '{root}/usr/bin/rustc' \"$@\""
        ),
    )?;
    script(
        ld,
        &format!(
            "c='{root}/usr/lib/aarch64-linux-gnu'\n\
             gcc='{root}/usr/lib/gcc/aarch64-linux-gnu/{GCC}'\n\
             exec '{lld}' -flavor gnu \"$c/crt1.o\" \"$c/crti.o\" \"$gcc/crtbeginT.o\" \"$@\" \\\n  \
             -L\"$c\" -L\"$gcc\" --start-group -lgcc -lgcc_eh -lc --end-group \"$gcc/crtend.o\" \"$c/crtn.o\""
        ),
    )
}

fn script(path: &Path, body: &str) -> Result<()> {
    let body = format!("#!/bin/sh\n{body}\n");
    if fs::read_to_string(path).is_ok_and(|old| old == body) {
        return Ok(());
    }
    fs::write(path, body)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Builds the standard library for WebAssembly, as Rust's own build does, from the unpacked source and
/// the packages that come with it.
fn build_std(dir: &Path, root: &Path, rustc: &Path) -> Result<()> {
    let source = only(&root.join("usr/src"))?.join("library");
    fs::create_dir_all(source.join(".cargo"))?;
    fs::write(
        source.join(".cargo").join("config.toml"),
        "source.crates-io.replace-with = 'vendored'\nsource.vendored.directory = 'vendor'\n",
    )?;
    let build = dir.join("std");
    quietly(
        crate::cargo()
            .current_dir(&source)
            .args(["build", "--release", "--offline", "-Zavoid-dev-deps", "--target", WASM])
            .args(["--manifest-path", "std/Cargo.toml", "--features", "panic-unwind"])
            .env("CARGO_TARGET_DIR", &build)
            .env("RUSTC", rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zforce-unstable-if-unmarked"),
    )
    .context("building Rust's standard library for WebAssembly")?;
    let lib = root.join("usr/lib/rustlib").join(WASM).join("lib");
    fs::create_dir_all(&lib)?;
    for entry in fs::read_dir(build.join(WASM).join("release").join("deps"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name()
            && path.extension().is_some_and(|extension| extension == "rlib")
        {
            fs::copy(&path, lib.join(name))?;
        }
    }
    fs::remove_dir_all(build)?;
    fs::remove_dir_all(root.join("usr/src"))?;
    Ok(())
}

/// Debian's packages, by the system's sources and keys, but with lists of our own that hold aarch64 too.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Fetches the lists.
    fn new(dir: &Path) -> Result<Self> {
        let apt = Self { dir: dir.join("apt") };
        fs::create_dir_all(apt.dir.join("lists").join("partial"))?;
        fs::create_dir_all(apt.dir.join("archives").join("partial"))?;
        quietly(apt.command("apt-get").arg("update")).context("apt-get update")?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.dir)
            .args(["-q", "-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=arm64"])
            .args(["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"])
            .args(["-o", &format!("Dir::State::Lists={}", self.dir.join("lists").display())])
            .args(["-o", &format!("Dir::Cache={}", self.dir.display())]);
        command
    }

    /// A field of a package's record.
    fn field(&self, package: &str, field: &str) -> Result<String> {
        let show =
            self.command("apt-cache").args(["show", "--no-all-versions", package]).output()?;
        let record = String::from_utf8_lossy(&show.stdout).into_owned();
        record
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(": "))
            .map(str::to_owned)
            .with_context(|| format!("there is no package {package} here; Debian 12 has it"))
    }

    /// The package with that start of a name which a package depends on.
    fn dependency(&self, package: &str, start: &str) -> Result<String> {
        let depends = self.field(package, "Depends")?;
        let names = depends.split([',', '|']).filter_map(|one| one.split_whitespace().next());
        let name = names.into_iter().find(|name| name.starts_with(start));
        name.map(str::to_owned).with_context(|| format!("{package} needs no {start}..."))
    }

    /// Unpacks all that is needed into a folder, and drops what it took to get it.
    fn unpack_all(self, root: &Path) -> Result<()> {
        let std = "libstd-rust-web-dev";
        let version = self.field(std, "Version")?;
        let minor = |version: &str| version.split('.').nth(1)?.parse::<u32>().ok();
        let wanted = env!("CARGO_PKG_RUST_VERSION");
        if minor(&version) < minor(wanted) {
            bail!("{std} is {version}, the project needs Rust {wanted}");
        }
        let compiler = self.dependency(std, "libstd-rust-")?;
        let llvm = self.dependency(&compiler, "libllvm")?;
        for (package, paths) in [
            ("rustc-web", &["./usr/bin/rustc"][..]),
            (&compiler, &["./usr/lib"]),
            (&llvm, &["./usr/lib"]),
            (std, &["./usr/lib/rustlib"]),
            ("libstd-rust-web-dev:arm64", &["./usr/lib/rustlib"]),
            ("libc6-dev:arm64", &["./usr/lib"]),
            (&format!("libgcc-{GCC}-dev:arm64"), &["./usr/lib"]),
            ("rust-web-src", &["./usr/src/*/library"]),
            (
                "qemu-user-static",
                &["./usr/bin/qemu-aarch64-static", "./usr/bin/qemu-x86_64-static"],
            ),
        ] {
            self.unpack(package, paths, root).with_context(|| format!("Debian's {package}"))?;
        }
        fs::remove_dir_all(self.dir)?;
        Ok(())
    }

    /// Unpacks some paths of a package.
    fn unpack(&self, package: &str, paths: &[&str], root: &Path) -> Result<()> {
        let dir = self.dir.join("package");
        fs::create_dir_all(&dir)?;
        quietly(self.command("apt-get").current_dir(&dir).args(["download", package]))?;
        let mut content = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(only(&dir)?)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dpkg-deb")?;
        let stdin = content.stdout.take().map_or_else(Stdio::null, Stdio::from);
        quietly(
            Command::new("tar")
                .args(["--extract", "--wildcards", "--directory"])
                .arg(root)
                .args(paths)
                .stdin(stdin),
        )?;
        if !content.wait()?.success() {
            bail!("dpkg-deb cannot read it");
        }
        fs::remove_dir_all(dir)?;
        Ok(())
    }
}

/// The one thing in a folder.
fn only(dir: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(dir)?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.path()),
        _ => bail!("{} should hold one thing", dir.display()),
    }
}

/// Runs a command that is heard of only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    text(command).map(drop)
}

/// What a command prints.
pub fn text(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
