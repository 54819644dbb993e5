//! Where bytes come from: files, members of zip archives, memory; unpacked while they are read, within limits.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use super::ImportError;

/// A stream that can be handed to another thread.
pub(crate) type Stream = Box<dyn Read + Send>;

/// Candles as text shrink to a tenth, a constant series to a fiftieth; beyond this it is no file of candles.
const MAX_RATIO: u64 = 200;

/// The ratio is looked at beyond so many bytes.
const RATIO_FROM: u64 = 8 << 20;

const MAX_UNPACKED: u64 = 1 << 40;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZIP: [u8; 4] = *b"PK\x03\x04";
const EMPTY_ZIP: [u8; 4] = *b"PK\x05\x06";

/// One file of candles, that can be opened more than once.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// How messages name it.
    pub(crate) name: String,
    /// The name that may tell symbol and interval.
    pub(crate) file_name: String,
    base: Base,
    member: Option<Member>,
    /// Bytes of the file that were read, of all opens together.
    pub(crate) read: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
enum Base {
    File { path: PathBuf, size: u64, modified: Option<SystemTime> },
    Memory(Bytes),
}

/// Where a member of an archive lies.
#[derive(Debug, Clone)]
struct Member {
    start: u64,
    packed: u64,
    unpacked: u64,
    crc: u32,
    deflated: bool,
}

trait Seekable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Seekable for T {}

impl Source {
    /// The files of candles at a path: itself, or the members of a zip archive.
    pub(crate) fn at(path: &Path) -> Result<Vec<Self>, ImportError> {
        let name = path.display().to_string();
        let metadata = std::fs::metadata(path).map_err(|e| ImportError::io(&name, &e))?;
        if !metadata.is_file() {
            let message = "is not a file: give the files in it".to_owned();
            return Err(ImportError::NoFile { file: name, message });
        }
        let base =
            Base::File { path: path.to_owned(), size: metadata.len(), modified: metadata.modified().ok() };
        let file_name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name, file_name, base, member: None, read: Arc::default() }.members()
    }

    /// The files of candles in bytes, which are named like a file.
    pub(crate) fn of_bytes(bytes: Bytes, name: &str) -> Result<Vec<Self>, ImportError> {
        let file_name =
            Path::new(name).file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let base = Base::Memory(bytes);
        Self { name: name.to_owned(), file_name, base, member: None, read: Arc::default() }.members()
    }

    fn members(self) -> Result<Vec<Self>, ImportError> {
        let mut start = [0; 4];
        let read = self.raw()?.take(4).read(&mut start).map_err(|e| ImportError::io(&self.name, &e))?;
        if read < 4 || (start != ZIP && start != EMPTY_ZIP) {
            return Ok(vec![self]);
        }
        let damaged = |error: zip::result::ZipError| {
            let message =
                format!("the zip archive cannot be read ({error}): get the file again from its source");
            ImportError::NotCandles { file: self.name.clone(), message: format!("is damaged: {message}") }
        };
        let mut archive = ZipArchive::new(self.raw()?).map_err(damaged)?;
        let mut found = Vec::new();
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(damaged)?;
            let inner = entry.name().map_err(damaged)?.into_owned();
            let last = inner.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            let aside = inner.starts_with("__MACOSX") || last.starts_with('.') || last.ends_with(".CHECKSUM");
            if !entry.is_file() || aside {
                continue;
            }
            let name = format!("{}/{inner}", self.name);
            let unread = |why: &str| ImportError::NotCandles {
                file: name.clone(),
                message: format!("is {why} inside the zip archive: unpack it by hand"),
            };
            let deflated = match entry.compression() {
                CompressionMethod::Stored => false,
                CompressionMethod::DEFLATE => true,
                _ => return Err(unread("compressed in another way than deflate")),
            };
            if entry.encrypted() {
                return Err(unread("encrypted"));
            }
            let start = entry.data_start().ok_or_else(|| unread("without a place"))?;
            let member = Member {
                start,
                packed: entry.compressed_size(),
                unpacked: entry.size(),
                crc: entry.crc32(),
                deflated,
            };
            found.push(Self { name, file_name: last, member: Some(member), ..self.clone() });
        }
        // Most vendors put one file into an archive that bears the better name.
        if let [one] = found.as_mut_slice() {
            one.file_name.clone_from(&self.file_name);
        }
        if found.is_empty() {
            return Err(ImportError::Empty { file: self.name });
        }
        Ok(found)
    }

    fn raw(&self) -> Result<Box<dyn Seekable>, ImportError> {
        Ok(match &self.base {
            Base::File { path, .. } => {
                Box::new(File::open(path).map_err(|e| ImportError::io(&self.name, &e))?)
            }
            Base::Memory(bytes) => Box::new(Cursor::new(bytes.clone())),
        })
    }

    /// Bytes of the file itself.
    pub(crate) fn size(&self) -> u64 {
        match (&self.base, &self.member) {
            (_, Some(member)) => member.packed,
            (Base::File { size, .. }, None) => *size,
            (Base::Memory(bytes), None) => bytes.len() as u64,
        }
    }

    /// The unpacked bytes, from the beginning.
    pub(crate) fn open(&self) -> Result<Stream, ImportError> {
        let mut raw = self.raw()?;
        let counted = |inner: Stream| Counted { inner, count: Arc::default(), all: self.read.clone() };
        let mut stream: Stream = match &self.member {
            None => Box::new(counted(Box::new(raw))),
            Some(member) => {
                raw.seek(SeekFrom::Start(member.start)).map_err(|e| ImportError::io(&self.name, &e))?;
                let packed = counted(Box::new(raw.take(member.packed)));
                let count = packed.count.clone();
                let inner: Stream = if member.deflated {
                    self.limited(DeflateDecoder::new(packed), count)
                } else {
                    Box::new(packed)
                };
                Box::new(Checked {
                    inner,
                    crc: Crc::new(),
                    expected: member.clone(),
                    file: self.name.clone(),
                })
            }
        };
        let mut start = [0; 2];
        let read = read_full(&mut stream, &mut start).map_err(|e| ImportError::io(&self.name, &e))?;
        let stream = Box::new(Cursor::new(start[..read].to_vec()).chain(stream));
        if start != GZIP {
            return Ok(stream);
        }
        let packed = Counted { inner: stream, count: Arc::default(), all: Arc::default() };
        let count = packed.count.clone();
        Ok(self.limited(MultiGzDecoder::new(packed), count))
    }

    fn limited(&self, inner: impl Read + Send + 'static, packed: Arc<AtomicU64>) -> Stream {
        Box::new(Limited { inner, file: self.name.clone(), packed, unpacked: 0 })
    }

    /// An error when the file is no longer what it was when it was found.
    pub(crate) fn check_unchanged(&self) -> Result<(), ImportError> {
        let Base::File { path, size, modified } = &self.base else { return Ok(()) };
        let metadata = std::fs::metadata(path).map_err(|e| ImportError::io(&self.name, &e))?;
        let what = match metadata.len() {
            len if len > *size => "grown",
            len if len < *size => "cut off",
            _ if metadata.modified().ok() != *modified => "changed",
            _ => return Ok(()),
        };
        Err(ImportError::Changed { file: self.name.clone(), what })
    }

    /// The file as it is, when it is not packed: a format that is read from its end needs more than a stream.
    pub(crate) fn plain_file(&self) -> Option<Result<File, ImportError>> {
        match (&self.base, &self.member) {
            (Base::File { path, .. }, None) => {
                Some(File::open(path).map_err(|e| ImportError::io(&self.name, &e)))
            }
            _ => None,
        }
    }
}

/// Reads until the buffer is full or the stream ends.
pub(crate) fn read_full(stream: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts what goes through.
struct Counted {
    inner: Stream,
    count: Arc<AtomicU64>,
    all: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        self.all.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Ends the reading of a bomb.
struct Limited<R> {
    inner: R,
    file: String,
    packed: Arc<AtomicU64>,
    unpacked: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        let packed = self.packed.load(Ordering::Relaxed);
        let limit = if self.unpacked > MAX_UNPACKED {
            "more than a file of candles has"
        } else if self.unpacked > RATIO_FROM && self.unpacked / MAX_RATIO > packed {
            "more than 200 times as many, as no file of candles does"
        } else {
            return Ok(read);
        };
        let (file, unpacked) = (self.file.clone(), self.unpacked);
        Err(std::io::Error::other(ImportError::Bomb { file, unpacked, packed, limit }))
    }
}

/// Compares size and checksum with the archive's directory.
struct Checked {
    inner: Stream,
    crc: Crc,
    expected: Member,
    file: String,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        let wrong = read == 0
            && !buffer.is_empty()
            && (self.crc.sum() != self.expected.crc
                || u64::from(self.crc.amount()) != self.expected.unpacked & 0xffff_ffff);
        if wrong {
            let message = "is damaged: its checksum is not the one in the zip archive: get the file again";
            let file = self.file.clone();
            return Err(std::io::Error::other(ImportError::NotCandles { file, message: message.to_owned() }));
        }
        Ok(read)
    }
}
