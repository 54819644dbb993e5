//! How a command fails: what it says, and with which exit code.

use std::process::ExitCode;

use blockgrid_datasets::DatasetError;
use blockgrid_job::FieldError;
use blockgrid_planner::Refusal;

use crate::show;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input is bad: exit 2.
    Input {
        /// What was being done.
        doing: String,
        /// What is wrong, field by field.
        errors: Vec<FieldError>,
    },
    /// Something broke: exit 1.
    Failed(anyhow::Error),
    /// What was asked was done, and the answer is no: exit 1.
    No(String),
}

impl Failure {
    /// Bad fields.
    pub(crate) fn fields(doing: impl Into<String>, errors: Vec<FieldError>) -> Self {
        Self::Input { doing: doing.into(), errors }
    }

    /// One thing wrong with the input.
    pub(crate) fn input(doing: impl Into<String>, path: &str, message: impl Into<String>) -> Self {
        Self::fields(doing, vec![FieldError::new(path, message)])
    }

    /// An error of the data: the input's fault, or a disk's.
    pub(crate) fn data(path: &str, error: DatasetError) -> Self {
        if error.is_input_error() {
            Self::input("cannot use the data", path, error.to_string())
        } else {
            Self::Failed(anyhow::Error::new(error).context("failed to read candles"))
        }
    }

    /// Reports it and gives the exit code. `json` writes the errors to standard output for machines.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        match self {
            Self::Input { doing, errors } => {
                if json {
                    let list: Vec<_> = errors
                        .iter()
                        .map(|e| serde_json::json!({"field": e.path, "message": e.message}))
                        .collect();
                    show::print(&format!("{}\n", serde_json::json!({"errors": list})));
                }
                let count = errors.len();
                let plural = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
                show::note(&format!("error: {doing}: {plural}"));
                for error in errors {
                    show::note(&format!("  {error}"));
                }
                ExitCode::from(2)
            }
            Self::No(answer) => {
                show::note(&answer);
                ExitCode::from(1)
            }
            Self::Failed(error) => {
                if json {
                    let list = [serde_json::json!({"field": "", "message": format!("{error:#}")})];
                    show::print(&format!("{}\n", serde_json::json!({"errors": list})));
                }
                show::note(&format!("error: {error:#}"));
                ExitCode::from(1)
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        // A refusal of the planner is the input's fault, field by field.
        match error.into().downcast::<Refusal>() {
            Ok(Refusal::Input { doing, errors }) => Self::Input { doing, errors },
            Ok(Refusal::NotWhole(error)) => {
                Self::Input { doing: "cannot use the data".to_owned(), errors: vec![error] }
            }
            Ok(other) => Self::Failed(other.into()),
            Err(error) => Self::Failed(error),
        }
    }
}
