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

/// The longest text of the author's that goes into [`TEXT_ANNOTATION`], in bytes: all annotations of an object together
/// may have four times that.
pub const MAX_TEXT_BYTES: usize = 64 << 10;

/// The longest request for links, which a status repeats.
pub const MAX_REQUEST_BYTES: usize = 256;

/// The most links that one answer has: as many as fit into a status, with temporary keys in each.
pub const MAX_LINKS: usize = 6;

/// What stands between the text of a request and the symbols.
const CANDLES: &str = " candles ";

/// What is asked for in [`LINKS_ANNOTATION`]: `TEXT` for plan, record and tables, `TEXT candles 0,3` for the candles of the
/// first and the fourth symbol of the plan, which a report is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinksRequest {
    /// Any text, new for each request.
    pub text: String,
    /// The symbols of the plan whose candles are wanted, and nothing else then; at most [`MAX_LINKS`].
    pub candles: Vec<usize>,
}

impl LinksRequest {
    /// Reads an annotation. One that asks for no candles that can be read is a text as any other.
    pub fn read(annotation: &str) -> Self {
        let candles = annotation.split_once(CANDLES).and_then(|(text, list)| {
            let candles: Option<Vec<usize>> = list.split(',').map(|part| part.parse().ok()).collect();
            let candles = candles.filter(|candles| candles.len() <= MAX_LINKS)?;
            Some(Self { text: text.to_owned(), candles })
        });
        candles.unwrap_or_else(|| Self { text: annotation.to_owned(), candles: Vec::new() })
    }

    /// What the link to a symbol's candles is called in the answer.
    pub fn candles_file(symbol: usize) -> String {
        format!("candles-{symbol}")
    }
}

impl fmt::Display for LinksRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for (i, symbol) in self.candles.iter().enumerate() {
            write!(f, "{}{symbol}", if i == 0 { CANDLES } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        for (text, candles) in [("a b", vec![]), ("7f", vec![0, 31]), ("", vec![4])] {
            let request = LinksRequest { text: text.to_owned(), candles };
            assert_eq!(LinksRequest::read(&request.to_string()), request);
        }
        assert_eq!(LinksRequest { text: "a".to_owned(), candles: vec![1, 20] }.to_string(), "a candles 1,20");
    }

    #[test]
    fn what_asks_for_no_candles_is_a_text() {
        for text in ["a candles ", "a candles x", "a candles 1,,2", "a candles -1", "a candles 1,2,3,4,5,6,7"]
        {
            let read = LinksRequest::read(text);
            assert_eq!((read.text.as_str(), read.candles.len()), (text, 0));
        }
    }
}
