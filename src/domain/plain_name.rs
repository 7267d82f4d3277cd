//! Names that can stand in a path and on a terminal as they are.

/// Characters of the longest plain name.
pub const LONGEST: usize = 100;

/// What a plain name of at most `longest` characters looks like, for people.
pub fn rule(longest: usize) -> String {
    format!("one letter or digit, then at most {} letters, digits, '.', '_' or '-'", longest - 1)
}

/// Whether `name` is `[A-Za-z0-9][A-Za-z0-9._-]{0,99}`, so that it cannot lead out of its folder.
pub fn is_plain(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && name.len() <= LONGEST && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The regular expression of plain names of at most `longest` characters.
pub fn pattern(longest: usize) -> String {
    format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", longest - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_stays_in_its_folder() {
        let longest = "a".repeat(LONGEST);
        let plain = ["job-0", "0", "sub-01.a_b", longest.as_str()];
        assert!(plain.iter().all(|name| is_plain(name)));
        let too_long = "a".repeat(LONGEST + 1);
        let other = ["", ".", "..", "../x", "/etc", "-a", "_a", "a/b", "a b", "é", "a\n", "a\0", too_long.as_str()];
        assert!(other.iter().all(|name| !is_plain(name)));
        assert!(rule(LONGEST).contains("at most 99 letters"));
        assert_eq!(pattern(LONGEST), "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$");
    }
}
