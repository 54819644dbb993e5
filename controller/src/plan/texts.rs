//! Texts and reasons as a status has room for them.

/// Bytes of the longest line that lists show.
const LONGEST_LINE: usize = 600;

/// Bytes of the word that a cut text loses at most, rather than being cut within it.
const LONGEST_WORD: usize = 40;

/// Letters of the longest reason.
const LONGEST_REASON: usize = 100;

/// A text of at most so many bytes as JSON writes it, cut between words where one is near.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    let mut bytes = 0;
    let end = text.char_indices().find(|&(_, letter)| {
        bytes += match letter {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            letter if letter.is_control() => 6,
            letter => letter.len_utf8(),
        };
        bytes > longest
    });
    match end {
        Some((at, _)) => {
            let kept = &text[..at];
            let word = kept.rfind(char::is_whitespace).filter(|&space| at - space <= LONGEST_WORD);
            format!("{}…", kept[..word.unwrap_or(at)].trim_end())
        }
        None => text.to_owned(),
    }
}

/// A reason as an API server takes it: the node that named it may have had something else in mind.
pub(super) fn word(reason: &str) -> String {
    let letters = reason.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_');
    let word: String =
        letters.skip_while(|letter| !letter.is_ascii_alphabetic()).take(LONGEST_REASON).collect();
    if word.is_empty() { "Unknown".to_owned() } else { word }
}

/// The first line of a text, and how many more there are.
pub(super) fn first_line(text: &str) -> String {
    const SHOWN: usize = 500;
    let mut lines = text.lines();
    let line = lines.next().unwrap_or_default();
    let line = match line.char_indices().nth(SHOWN) {
        Some((end, _)) => cut(line, end),
        None => line.to_owned(),
    };
    let line = cut(&line, LONGEST_LINE);
    match lines.count() {
        0 => line,
        more => format!("{line} (and {more} more)"),
    }
}
