//! Names that the operator and those who ask it agree on: labels, annotations, and how links are asked for.

use std::fmt;

/// Label of a user, believed only when a principal that the platform names has set it; on pods, for cost tools.
pub const USER_LABEL: &str = "grid.blockbuilders.app/user";
/// Label of what belongs to a job: its uid.
pub const UID_LABEL: &str = "grid.blockbuilders.app/job-uid";
/// Label of what belongs to a job: its name.
pub const NAME_LABEL: &str = "grid.blockbuilders.app/job-name";
/// Label of what belongs to a job: its namespace.
pub const NAMESPACE_LABEL: &str = "grid.blockbuilders.app/job-namespace";
/// Annotation by which links to results are asked for: a [`LinksRequest`], new for each request. Without it the operator
/// takes links back.
pub const LINKS_ANNOTATION: &str = "grid.blockbuilders.app/links";
/// Annotation with the manifest as its author wrote it, comments and all, for the report.
pub const TEXT_ANNOTATION: &str = "grid.blockbuilders.app/manifest";

/// Reason of `Admitted=False`: the job may cost more than the whole limit of a budget, so that no end of others' jobs helps.
pub const ABOVE_BUDGET: &str = "AboveBudget";
/// The same of a user's limit in it.
pub const ABOVE_USER_BUDGET: &str = "AboveUserBudget";

/// Reason of `Admitted=True`: the job runs, and no more money can be held for it.
pub const NO_MORE_HELD: &str = "NoMoreHeld";
/// Reason of a job that has ended as its budgets could hold no more for it.
pub const OUT_OF_BUDGET: &str = "OutOfBudget";

/// The longest text of the author's that goes into [`TEXT_ANNOTATION`], in bytes: all annotations of an object together
/// may have four times that.
pub const MAX_TEXT_BYTES: usize = 64 << 10;

/// The longest request for links, which a status repeats.
pub const MAX_REQUEST_BYTES: usize = 256;

/// The most links that one answer has. With very long temporary keys in each a status has room for fewer.
pub const MAX_LINKS: usize = 6;

/// What stands between the text of a request and the files.
const FILES: &str = " files ";

/// What the links to candles are called, before the place of their symbol.
const CANDLES: &str = "candles-";

/// What is asked for in [`LINKS_ANNOTATION`]: `TEXT` for plan, record, tables and traces, `TEXT files plan.json,candles-3`
/// for those files alone. `candles-3` are those of the fourth symbol of the plan, which a report is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinksRequest {
    /// Any text, new for each request.
    pub text: String,
    /// The files that are wanted, and nothing else then; at most [`MAX_LINKS`].
    pub files: Vec<String>,
}

impl LinksRequest {
    /// Reads an annotation. One that asks for no files that can be read is a text as any other.
    pub fn read(annotation: &str) -> Self {
        let files = annotation.split_once(FILES).and_then(|(text, list)| {
            let files: Vec<String> = list.split(',').map(str::to_owned).collect();
            let is_read = files.len() <= MAX_LINKS && files.iter().all(|file| !file.is_empty());
            is_read.then(|| Self { text: text.to_owned(), files })
        });
        files.unwrap_or_else(|| Self { text: annotation.to_owned(), files: Vec::new() })
    }

    /// What the link to a symbol's candles is called.
    pub fn candles_file(symbol: usize) -> String {
        format!("{CANDLES}{symbol}")
    }

    /// The symbol whose candles a file is.
    pub fn symbol(file: &str) -> Option<usize> {
        file.strip_prefix(CANDLES)?.parse().ok()
    }
}

impl fmt::Display for LinksRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for (i, file) in self.files.iter().enumerate() {
            write!(f, "{}{file}", if i == 0 { FILES } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        for (text, files) in
            [("a b", vec![]), ("7f", vec!["plan.json", "candles-31"]), ("", vec!["job.json"])]
        {
            let files = files.into_iter().map(str::to_owned).collect();
            let request = LinksRequest { text: text.to_owned(), files };
            assert_eq!(LinksRequest::read(&request.to_string()), request);
        }
        let files = vec!["plan.json".to_owned(), LinksRequest::candles_file(20)];
        assert_eq!(LinksRequest { text: "a".to_owned(), files }.to_string(), "a files plan.json,candles-20");
        assert_eq!(
            ["candles-20", "candles-", "candles-x", "job.json"].map(LinksRequest::symbol),
            [Some(20), None, None, None]
        );
    }

    #[test]
    fn what_asks_for_no_files_is_a_text() {
        for text in ["a files ", "a files ,", "a files 1,,2", "a files a,b,c,d,e,f,g"] {
            let read = LinksRequest::read(text);
            assert_eq!((read.text.as_str(), read.files.len()), (text, 0));
        }
    }
}
