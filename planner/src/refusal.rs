//! Why a job is not planned.

use blockgrid_datasets::DatasetError;
use blockgrid_job::FieldError;

/// Why a job cannot run on its candles.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The input is bad, field by field.
    #[error("{doing}: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Input {
        /// What was being done.
        doing: String,
        /// What is wrong.
        errors: Vec<FieldError>,
    },
    /// The files of a data set are not what its manifest says.
    #[error("cannot use the data: {0}")]
    NotWhole(FieldError),
    /// Candles could not be read, which is not the input's fault.
    #[error("failed to read candles")]
    Data(#[source] DatasetError),
}

impl Refusal {
    /// Bad fields.
    pub(crate) fn fields(doing: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Self::Input { doing: doing.into(), errors }
    }

    /// One thing wrong with the input.
    pub(crate) fn input(doing: impl Into<String>, path: &str, message: impl Into<String>) -> Self {
        Self::fields(doing, vec![FieldError::new(path, message)])
    }

    /// An error of a data set: whose files are damaged, or the same as of any data.
    pub(crate) fn dataset(path: &str, error: DatasetError) -> Self {
        if error.is_not_whole() {
            Self::NotWhole(FieldError::new(path, error.to_string()))
        } else {
            Self::data(path, error)
        }
    }

    /// An error of the data: the input's fault, or a disk's.
    pub(crate) fn data(path: &str, error: DatasetError) -> Self {
        if error.is_input_error() {
            Self::input("cannot use the data", path, error.to_string())
        } else {
            Self::Data(error)
        }
    }
}
