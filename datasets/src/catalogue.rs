//! The catalogue: which data sets this machine knows by name.
//!
//! It is one file, `catalogue.json`, in a home folder (`$BLOCKGRID_HOME`, `~/.blockgrid` unless set). The candles lie
//! wherever their location says; what the catalogue tells of them is a copy taken when they were registered, so that
//! listing reads no candles and a change since then is seen. The sample needs no entry: every build carries it.

mod entry;
mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use entry::{CatalogueEntry, CatalogueSeries};

use crate::error::iso;
use crate::location::local_path;
use crate::{DatasetError, Manifest};

/// Name of the catalogue's file in its home.
pub const CATALOGUE: &str = "catalogue.json";

/// The name of the data set that every build carries; nothing else can have it.
pub const SAMPLE: &str = "sample";

const LONGEST_NAME: usize = 100;

/// The data sets that are registered under a home folder, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    home: PathBuf,
    entries: Vec<CatalogueEntry>,
}

impl Catalogue {
    /// The home folder, absolute: `$BLOCKGRID_HOME`, or `.blockgrid` in the user's own folder. It need not exist.
    ///
    /// # Errors
    /// When neither is known.
    pub fn home() -> Result<PathBuf, DatasetError> {
        let given = std::env::var_os("BLOCKGRID_HOME").filter(|home| !home.is_empty());
        let home = given.map(PathBuf::from).or_else(|| {
            std::env::home_dir()
                .filter(|home| !home.as_os_str().is_empty())
                .map(|home| home.join(".blockgrid"))
        });
        home.and_then(|home| std::path::absolute(home).ok()).ok_or_else(|| DatasetError::Unwritable {
            message: "there is no home folder for the catalogue: set BLOCKGRID_HOME to a folder".to_owned(),
        })
    }

    /// Reads the catalogue; one that was never written is empty.
    ///
    /// # Errors
    /// When the file cannot be read or understood. It is then left as it is.
    pub fn open(home: &Path) -> Result<Self, DatasetError> {
        Ok(Self { home: home.to_owned(), entries: file::read(&home.join(CATALOGUE))? })
    }

    /// The entry of a name.
    pub fn find(&self, name: &str) -> Option<&CatalogueEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The entries by name; the sample is not among them.
    pub fn entries(&self) -> &[CatalogueEntry] {
        &self.entries
    }

    /// The names that are known, the sample first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(SAMPLE).chain(self.entries.iter().map(|entry| entry.name.as_str()))
    }

    /// The folder where a data set of a name is made unless another is asked for.
    pub fn folder_of(&self, name: &str) -> PathBuf {
        self.home.join("datasets").join(name)
    }

    /// Whether a data set can be registered under a name: letters, digits, `-` and `_`, because it is also the name of
    /// a folder and must not look like a file or a path.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_name(name: &str) -> Result<(), DatasetError> {
        let error = |what: String| Err(DatasetError::Unwritable { message: what });
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name == SAMPLE {
            return error(format!("`{SAMPLE}` is the data set inside the program: give another name"));
        }
        if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('-') || !name.chars().all(plain) {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            return error(format!(
                "`{shown}` cannot name a data set: use 1 to {LONGEST_NAME} letters, digits, `-` and `_`, as in binance-spot"
            ));
        }
        Ok(())
    }

    /// How a location is registered: a local one as an absolute path, another scheme as it is.
    ///
    /// # Errors
    /// When a `file://` URL is none, or the path is not UTF-8.
    pub fn absolute(location: &str) -> Result<String, DatasetError> {
        let path = match local_path(location) {
            Ok(path) => path,
            Err(DatasetError::UnsupportedLocation { .. }) => return Ok(location.to_owned()),
            Err(error) => return Err(error),
        };
        let path = std::path::absolute(&path).map_err(|e| DatasetError::io(location, &e))?;
        path.into_os_string().into_string().map_err(|path| DatasetError::Unwritable {
            message: format!(
                "`{}` is not UTF-8: move the data set to a path that is",
                path.to_string_lossy()
            ),
        })
    }

    /// Enters a data set, or replaces what stands under its name. Local paths are made absolute.
    ///
    /// Several programs may register at once: each waits for the other, and whoever reads meanwhile sees the catalogue
    /// before or after.
    ///
    /// # Errors
    /// When the name or the location is none, the catalogue is damaged, or the home cannot be written. The catalogue
    /// is then as it was.
    pub fn register(
        home: &Path,
        name: &str,
        location: &str,
        manifest: &Manifest,
    ) -> Result<(), DatasetError> {
        let entry = CatalogueEntry::new(name, Self::absolute(location)?, manifest);
        Self::put(home, entry)
    }

    /// [`Catalogue::register`] for a location that this build cannot read: nothing but the place is known.
    ///
    /// # Errors
    /// As [`Catalogue::register`].
    pub fn register_unread(home: &Path, name: &str, location: &str) -> Result<(), DatasetError> {
        Self::put(home, CatalogueEntry::unread(name, location.to_owned()))
    }

    fn put(home: &Path, entry: CatalogueEntry) -> Result<(), DatasetError> {
        Self::check_name(&entry.name)?;
        file::change(home, |entries| {
            entries.retain(|other| other.name != entry.name);
            entries.push(entry);
            Ok(())
        })
    }

    /// Forgets a data set; its files stay.
    ///
    /// # Errors
    /// When the name is not registered, and as [`Catalogue::register`].
    pub fn remove(home: &Path, name: &str) -> Result<(), DatasetError> {
        if name == SAMPLE {
            return Err(DatasetError::Unwritable {
                message: format!("`{SAMPLE}` lies inside the program and cannot be removed"),
            });
        }
        file::change(home, |entries| {
            let before = entries.len();
            entries.retain(|entry| entry.name != name);
            if entries.len() == before {
                return Err(DatasetError::NotRegistered { name: name.to_owned() });
            }
            Ok(())
        })
    }
}

/// `first to last` as a message shows it.
fn span(first: i64, last: i64) -> String {
    format!("{} to {}", iso(first), iso(last))
}
