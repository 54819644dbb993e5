//! From the text of a location to a local path.

use std::path::PathBuf;

use crate::DatasetError;

/// The local path of `path`, `file:///path`; anything else with a scheme is refused.
pub(crate) fn local_path(location: &str) -> Result<PathBuf, DatasetError> {
    let Some((scheme, rest)) = location.split_once("://") else {
        return Ok(PathBuf::from(location));
    };
    if !scheme.eq_ignore_ascii_case("file") {
        return Err(DatasetError::UnsupportedLocation {
            location: location.to_owned(),
            scheme: scheme.to_ascii_lowercase(),
        });
    }
    let bad = || DatasetError::BadUrl { location: location.to_owned() };
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(bad());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok()).ok_or_else(bad)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map(PathBuf::from).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_urls_are_local() {
        let path = |text: &str| local_path(text).unwrap().to_str().unwrap().to_owned();
        assert_eq!(path("data/x"), "data/x");
        assert_eq!(path("file:///data/x%20y"), "/data/x y");
        assert_eq!(path("file://localhost/data"), "/data");
    }

    #[test]
    fn other_locations_are_refused() {
        let error = |text: &str| local_path(text).unwrap_err().to_string();
        assert!(error("s3://bucket/x").contains("s3:// location, which this build cannot read yet"));
        for bad in ["file://data/x", "file:///%2", "file:///%+f", "file:///%ff"] {
            assert!(error(bad).contains("not a local file url"), "{bad}");
        }
    }
}
