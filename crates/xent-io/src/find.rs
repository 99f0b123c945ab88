//! From what the user wrote to opened files: paths, patterns, directories, formats.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::array::ArrayFile;
use crate::arrow::ipc::IpcFile;
use crate::arrow::parquet::ParquetFile;
use crate::csv::Csv;
use crate::engine::Source;
use crate::error::{Error, Fault};
use crate::input::{self, Blob, PEEK, TextInput};
use crate::json::Json;
use crate::table::Format;

/// What a specification names.
pub(crate) enum Found {
    Stdin,
    /// A pipe with a name, which can be read once.
    Stream(PathBuf),
    Files {
        name: String,
        paths: Vec<PathBuf>,
    },
}

/// Resolves `spec`.
pub(crate) fn find(spec: &str) -> Result<Found, Error> {
    if spec == "-" {
        return Ok(Found::Stdin);
    }
    if spec.is_empty() {
        return Err(Error::new("", "a file name is empty"));
    }
    let path = Path::new(spec);
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => directory(path),
        Ok(meta) if meta.is_file() => {
            Ok(Found::Files { name: stem(path), paths: vec![path.to_path_buf()] })
        }
        Ok(_) => Ok(Found::Stream(path.to_path_buf())),
        Err(_) if spec.contains(['*', '?', '[']) => pattern(spec),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(not_found(spec, path)),
        Err(e) => Err(Error::io(path, "cannot open", &e)),
    }
}

fn not_found(spec: &str, path: &Path) -> Error {
    let error = Error::new(spec, "no such file");
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return error.with_hint(format!("there is no directory {}", parent.display()));
    }
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut near: Vec<(usize, String)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .take(10_000)
        .filter_map(|entry| {
            if Some(entry.file_name().as_os_str()) == path.file_name() {
                return None; // a link to nothing
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let apart = distance(&wanted, &name.to_lowercase());
            let same_stem = stem(Path::new(&name)) == stem(path);
            (apart <= 1 + wanted.chars().count() / 4 || same_stem).then_some((apart, name))
        })
        .collect();
    near.sort();
    near.truncate(3);
    if near.is_empty() {
        return error;
    }
    let names: Vec<String> = near.into_iter().map(|(_, name)| name).collect();
    error.with_hint(format!("did you mean {}?", names.join(" or ")))
}

/// Edits between two names, at most about their lengths.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(256).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn pattern(spec: &str) -> Result<Found, Error> {
    let matches = glob::glob(spec)
        .map_err(|e| Error::new(spec, format!("is no valid pattern: {}", e.msg)))?;
    let mut paths = Vec::new();
    for path in matches {
        let path = path.map_err(|e| Error::io(e.path(), "cannot read", e.error()))?;
        if path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::new(spec, "no file matches"));
    }
    paths.sort();
    let name = if paths.len() == 1 { stem(&paths[0]) } else { pattern_name(spec) };
    Ok(Found::Files { name, paths })
}

/// A name for the files of a pattern: the text before the wildcard, else the directory's name.
fn pattern_name(spec: &str) -> String {
    let file = spec.rsplit(['/', '\\']).next().unwrap_or(spec);
    let head = file.split(['*', '?', '[']).next().unwrap_or("");
    let head = head.trim_end_matches(['-', '_', '.', ' ']);
    if !head.is_empty() && head != "part" {
        return head.to_string();
    }
    let parent = Path::new(spec).parent().and_then(Path::file_name);
    parent.map_or_else(|| spec.to_string(), |p| p.to_string_lossy().into_owned())
}

fn directory(path: &Path) -> Result<Found, Error> {
    let entries = fs::read_dir(path).map_err(|e| Error::io(path, "cannot read", &e))?;
    let (mut tables, mut plain) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(path, "cannot read", &e))?;
        let file = entry.path();
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with(['.', '_']);
        if hidden || !file.is_file() {
            continue;
        }
        if format_by_name(&file).is_some() {
            tables.push(file);
        } else if file.extension().is_none() {
            plain.push(file);
        }
    }
    let mut paths = if tables.is_empty() { plain } else { tables };
    if paths.is_empty() {
        let error = Error::new(path.display().to_string(), "holds no table files");
        return Err(match extension_below(path, 4) {
            Some(extension) => error.with_hint(format!(
                "files in directories below are found by a pattern: '{}'",
                path.join("**").join(format!("*.{extension}")).display()
            )),
            None => error.with_hint(
                "table files end in .csv, .tsv, .jsonl, .parquet, .arrow, .npy, .npz or \
                        .safetensors",
            ),
        });
    }
    paths.sort();
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = absolute
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Found::Files { name, paths })
}

/// How the names of table files end in the directories below one, the first in the order of names; a few levels deep, and not
/// in more entries than a hint is worth.
fn extension_below(path: &Path, levels: usize) -> Option<String> {
    let mut below: Vec<PathBuf> = fs::read_dir(path)
        .ok()?
        .flatten()
        .take(10_000)
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.', '_']))
        .map(|entry| entry.path())
        .collect();
    below.sort();
    let is_table = |file: &&PathBuf| file.is_file() && format_by_name(file).is_some();
    if let Some(file) = below.iter().find(is_table) {
        let name = file.file_name()?.to_string_lossy().into_owned();
        return Some(name[stem(file).len()..].trim_start_matches('.').to_owned());
    }
    let mut directories = below.iter().filter(|path| path.is_dir()).take(10);
    if levels == 0 { None } else { directories.find_map(|path| extension_below(path, levels - 1)) }
}

/// The file's name without its format's and compression's extensions.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut rest = name.as_str();
    for _ in 0..2 {
        let Some((head, extension)) = rest.rsplit_once('.') else { break };
        if head.is_empty() || !(is_compression(extension) || by_extension(extension).is_some()) {
            break;
        }
        let was_format = by_extension(extension).is_some();
        rest = head;
        if was_format {
            break;
        }
    }
    rest.to_string()
}

fn is_compression(extension: &str) -> bool {
    ["gz", "zst", "zstd"].iter().any(|e| extension.eq_ignore_ascii_case(e))
}

fn by_extension(extension: &str) -> Option<Format> {
    Some(match extension.to_ascii_lowercase().as_str() {
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "jsonl" | "ndjson" | "json" => Format::JsonLines,
        "parquet" | "pq" | "parq" => Format::Parquet,
        "arrow" | "arrows" | "feather" | "ipc" => Format::ArrowIpc,
        "npy" => Format::Npy,
        "npz" => Format::Npz,
        "safetensors" => Format::Safetensors,
        "svm" | "svmlight" | "libsvm" => Format::Svmlight,
        _ => return None,
    })
}

/// The format that a file's name tells.
pub(crate) fn format_by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_string_lossy();
    let (head, extension) = name.rsplit_once('.')?;
    if is_compression(extension) {
        return by_extension(head.rsplit_once('.')?.1);
    }
    by_extension(extension)
}

/// The format of text, decompressed, by its first bytes.
fn text_format(head: &[u8]) -> Result<Format, Fault> {
    if let Some(format) = input::magic(head) {
        return Err(compressed(format));
    }
    Ok(match head.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => Format::JsonLines,
        _ => Format::Csv,
    })
}

fn compressed(format: Format) -> Fault {
    Fault::new(format!("is a compressed {} file; only text is read compressed", format.name()))
        .hint("decompress it first: gunzip, unzstd")
}

/// Refuses a binary format inside gzip or zstd.
fn refuse_compressed(head: &[u8], format: Format) -> Result<(), Fault> {
    match input::compression_of(head)? {
        input::Compression::None => Ok(()),
        _ => Err(compressed(format)),
    }
}

fn is_text(format: Format) -> bool {
    matches!(format, Format::Csv | Format::Tsv | Format::JsonLines | Format::Svmlight)
}

/// Opens a regular file; `sampled` if its first rows are wanted.
pub(crate) fn open_file(
    path: &Path,
    format: Option<Format>,
    sampled: bool,
) -> Result<(Arc<dyn Source>, Format), Error> {
    let name = path.display().to_string();
    let at = |fault: Fault| fault.at(&name, 0, 0);
    let blob = Blob::open(path).map_err(|e| Error::io(path, "cannot open", &e))?;
    let head = blob.head(PEEK).map_err(|e| Error::io(path, "cannot read", &e))?;
    let named = format.or_else(|| format_by_name(path));
    let magic = input::magic(&head);
    if let (Some(named), Some(magic)) = (named, magic)
        && is_text(named)
    {
        return Err(wrong_name(&name, named, magic));
    }
    if let Some(format) = named.or(magic).filter(|f| !is_text(*f)) {
        refuse_compressed(&head, format).map_err(at)?;
        return Ok((open_typed(format, blob, sampled).map_err(at)?, format));
    }
    let compression = input::compression_of(&head).map_err(at)?;
    let source = TextInput::file(path.to_path_buf(), compression);
    let format = match named {
        Some(format) => format,
        None => {
            let mut text = input::decompressed(blob.reader(0), compression).map_err(at)?;
            let head = input::peek(&mut text, PEEK);
            let head = head.map_err(|e| Error::io(path, "cannot read", &e))?;
            text_format(&head).map_err(at)?
        }
    };
    Ok((open_text(format, source, sampled).map_err(at)?, format))
}

fn wrong_name(file: &str, named: Format, magic: Format) -> Error {
    let content = match magic {
        Format::Npz => "a zip archive (.npz, or a spreadsheet)",
        other => other.name(),
    };
    Error::new(file, format!("is not {} but {content} by its first bytes", named.name()))
        .with_hint("rename the file, or name its format; save a spreadsheet as CSV")
}

/// Opens a pipe.
pub(crate) fn open_stream(
    name: &str,
    mut reader: Box<dyn Read + Send>,
    format: Option<Format>,
) -> Result<(Arc<dyn Source>, Format), Error> {
    let at = |fault: Fault| fault.at(name, 0, 0);
    let read = |e: std::io::Error| Error::io_named(name, "cannot read", &e);
    let head = input::peek(&mut reader, 16).map_err(read)?;
    let magic = input::magic(&head);
    if let (Some(named), Some(magic)) = (format, magic)
        && is_text(named)
    {
        return Err(wrong_name(name, named, magic));
    }
    let compression = input::compression_of(&head).map_err(at)?;
    let magic_bytes = head.clone();
    let mut reader = input::rejoined(head, reader);
    if let Some(format) = format.or(magic).filter(|f| !is_text(*f)) {
        refuse_compressed(&magic_bytes, format).map_err(at)?;
        let blob = Blob::read(reader).map_err(at)?;
        return Ok((open_typed(format, blob, true).map_err(at)?, format));
    }
    let (format, input) = if let Some(format) = format {
        (format, TextInput::stream(reader, compression))
    } else {
        reader = input::decompressed(reader, compression).map_err(at)?;
        let head = input::peek(&mut reader, 512).map_err(read)?;
        let format = text_format(&head).map_err(at)?;
        (format, TextInput::stream(input::rejoined(head, reader), input::Compression::None))
    };
    Ok((open_text(format, input, true).map_err(at)?, format))
}

fn open_text(format: Format, input: TextInput, sampled: bool) -> Result<Arc<dyn Source>, Fault> {
    Ok(match format {
        Format::Svmlight => {
            return Err(Fault::new("is an svmlight file: labelled features, not a table").hint(
                "xent train reads it; of a directory or a pipe say --input-format svmlight",
            ));
        }
        Format::JsonLines => Arc::new(Json::open(input, sampled)?),
        Format::Tsv => Arc::new(Csv::open(input, b'\t', false, sampled)?),
        _ => Arc::new(Csv::open(input, b',', true, sampled)?),
    })
}

fn open_typed(format: Format, blob: Blob, sampled: bool) -> Result<Arc<dyn Source>, Fault> {
    Ok(match format {
        Format::ArrowIpc => Arc::new(IpcFile::open(blob, sampled)?),
        Format::Npy => Arc::new(ArrayFile::open_npy(blob)?),
        Format::Npz => Arc::new(ArrayFile::open_npz(blob)?),
        Format::Safetensors => Arc::new(ArrayFile::open_safetensors(blob)?),
        _ => Arc::new(ParquetFile::open(blob, sampled)?),
    })
}

/// Opens what `spec` names as text files for a reader of their own, with their names for messages.
pub(crate) fn text_inputs(spec: &str, format: Format) -> Result<Vec<(String, TextInput)>, Error> {
    let piped = |name: String, mut reader: Box<dyn Read + Send>| {
        let head = input::peek(&mut reader, 16);
        let head = head.map_err(|e| Error::io_named(&name, "cannot read", &e))?;
        let compression = text_compression(&name, format, &head)?;
        let input = TextInput::stream(input::rejoined(head, reader), compression);
        Ok(vec![(name, input)])
    };
    match find(spec)? {
        Found::Stdin => piped("stdin".to_owned(), Box::new(std::io::stdin())),
        Found::Stream(path) => {
            let file = fs::File::open(&path).map_err(|e| Error::io(&path, "cannot open", &e))?;
            piped(path.display().to_string(), Box::new(file))
        }
        Found::Files { paths, .. } => {
            let open = |path: PathBuf| {
                let name = path.display().to_string();
                let head = Blob::open(&path).and_then(|blob| blob.head(PEEK));
                let head = head.map_err(|e| Error::io(&path, "cannot open", &e))?;
                let compression = text_compression(&name, format, &head)?;
                Ok((name, TextInput::file(path, compression)))
            };
            paths.into_iter().map(open).collect()
        }
    }
}

/// How a text of a format is compressed, by its first bytes; an error if they belong to another format.
fn text_compression(name: &str, format: Format, head: &[u8]) -> Result<input::Compression, Error> {
    match input::magic(head) {
        Some(magic) => Err(wrong_name(name, format, magic)),
        None => input::compression_of(head).map_err(|fault| fault.at(name, 0, 0)),
    }
}
