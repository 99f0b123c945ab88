//! Writing a file so that it is complete or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::Error;

/// A file that appears under its name only when [`AtomicFile::commit`] succeeds.
///
/// Until then the bytes go to a temporary file in the same directory, which is removed when the
/// value is dropped; a file that was there before stays untouched. An existing file's mode bits
/// are kept, and a symbolic link is followed. Devices and pipes (`/dev/null`, a FIFO) are written
/// directly, because nothing may take their place.
#[derive(Debug)]
pub struct AtomicFile {
    /// As the user gave it, for messages.
    path: PathBuf,
    /// Behind symbolic links.
    target: PathBuf,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    Temporary(BufWriter<NamedTempFile>),
    Direct(BufWriter<File>),
}

impl AtomicFile {
    /// Starts writing the file `path`.
    ///
    /// # Errors
    ///
    /// If the directory is missing or not writable, or `path` is a directory.
    pub fn create(path: &Path) -> Result<AtomicFile, Error> {
        let failed = |e: io::Error| Error::io(path, "cannot write", &e);
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
            Err(e) => return Err(failed(e)),
        };
        let meta = fs::metadata(&target).ok();
        if let Some(meta) = &meta {
            if meta.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            if !meta.is_file() {
                let file = File::options().write(true).open(&target).map_err(failed)?;
                let sink = Sink::Direct(BufWriter::new(file));
                return Ok(AtomicFile { path: path.to_path_buf(), target, sink });
            }
            // A file that may not be written must not be replaced either.
            File::options().write(true).open(&target).map_err(failed)?;
        }
        let file = temporary(directory_of(&target), meta.as_ref()).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::new(
                path.display().to_string(),
                format!("cannot write: there is no directory {}", directory_of(&target).display()),
            ),
            _ => failed(e),
        })?;
        let sink = Sink::Temporary(BufWriter::with_capacity(1 << 16, file));
        Ok(AtomicFile { path: path.to_path_buf(), target, sink })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file appear: writes out everything to the disk, then renames it into place.
    ///
    /// # Errors
    ///
    /// If any step fails, up to the directory's own write to the disk; the text names the path.
    pub fn commit(self) -> Result<(), Error> {
        let failed = |e: io::Error| Error::io(&self.path, "cannot write", &e);
        match self.sink {
            Sink::Direct(mut writer) => writer.flush().map_err(failed),
            Sink::Temporary(writer) => {
                let file = writer.into_inner().map_err(|e| failed(e.into_error()))?;
                file.as_file().sync_all().map_err(failed)?;
                file.persist(&self.target).map_err(|e| failed(e.error))?;
                sync_directory(directory_of(&self.target)).map_err(failed)
            }
        }
    }

    fn error(&self, e: &io::Error) -> Error {
        Error::io(&self.path, "cannot write", e)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// If the operating system refuses; unlike [`Write::write_all`], the error names the path.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes).map_err(|e| self.error(&e))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Temporary(w) => w.write(buf),
            Sink::Direct(w) => w.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Temporary(w) => w.flush(),
            Sink::Direct(w) => w.flush(),
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A temporary file in `directory` with the mode bits that the target has or would get.
#[cfg(unix)]
fn temporary(directory: &Path, old: Option<&fs::Metadata>) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    // The system takes the user's mask off a new file's bits.
    builder.prefix(".xent-").suffix(".tmp").permissions(fs::Permissions::from_mode(0o666));
    let file = builder.tempfile_in(directory)?;
    if let Some(old) = old {
        let mode = old.permissions().mode() & 0o7777;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn temporary(directory: &Path, _old: Option<&fs::Metadata>) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".xent-").suffix(".tmp").tempfile_in(directory)
}

#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some file systems cannot sync a directory; the rename has happened there.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_file_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(dir.path()), ["a.txt"]);
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn mode_bits_and_links_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let link = dir.path().join("link");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = AtomicFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_directly() {
        let mut file = AtomicFile::create(Path::new("/dev/null")).unwrap();
        file.write_all(b"x").unwrap();
        file.commit().unwrap();
        let mut file = AtomicFile::create(Path::new("/dev/full")).unwrap();
        file.write_all(b"x").unwrap();
        let error = file.commit().unwrap_err();
        assert_eq!(error.to_string(), "/dev/full: cannot write: no space left on the device");
    }

    #[test]
    fn errors_name_the_path() {
        let error = AtomicFile::create(Path::new("/nowhere/at/all.csv")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nowhere/at/all.csv: cannot write: there is no directory /nowhere/at"
        );
    }
}
