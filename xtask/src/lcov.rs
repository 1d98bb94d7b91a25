//! The part of lcov's trace format that says which lines were run.

/// A source file and its lines that hold code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: String,
    /// The number of each line and how often it was run.
    pub(crate) lines: Vec<(usize, u64)>,
}

/// Reads a report; what it says about functions and branches is left out.
pub(crate) fn parse(text: &str) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for line in text.lines() {
        match (line.split_once(':'), files.last_mut()) {
            (Some(("SF", path)), _) => files.push(File { path: path.to_owned(), lines: Vec::new() }),
            (Some(("DA", data)), Some(file)) => file.lines.extend(line_data(data)),
            _ => {}
        }
    }
    files
}

/// `17,3`: line 17 was run three times. A checksum may follow.
fn line_data(data: &str) -> Option<(usize, u64)> {
    let mut parts = data.split(',');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_their_lines_are_read_and_the_rest_is_not() {
        let text = "SF:/a.rs\nFN:1,f\nFNDA:2,f\nDA:1,2\nDA:3,0,checksum\nBRDA:1,0,0,1\nLF:2\nend_of_record\n\
                    SF:/b.rs\nDA:7,18446744073709551615\nend_of_record\n";
        let a = File { path: "/a.rs".to_owned(), lines: vec![(1, 2), (3, 0)] };
        let b = File { path: "/b.rs".to_owned(), lines: vec![(7, u64::MAX)] };
        assert_eq!(parse(text), [a, b]);
    }
}
