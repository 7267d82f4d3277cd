//! Natural order of names: runs of digits compare as numbers, so that job-2 comes before job-10.

use std::cmp::Ordering;

/// Compares two names; equal only where the texts are equal.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    while let (Some(run_a), Some(run_b)) = (run(rest_a), run(rest_b)) {
        let ordering = if is_number(run_a) && is_number(run_b) {
            let (a, b) = (run_a.trim_start_matches('0'), run_b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        } else {
            run_a.cmp(run_b)
        };
        if ordering.is_ne() {
            return ordering;
        }
        (rest_a, rest_b) = (&rest_a[run_a.len()..], &rest_b[run_b.len()..]);
    }
    rest_a.len().cmp(&rest_b.len()).then_with(|| a.cmp(b))
}

/// The longest beginning that is all digits or all other characters; none of an empty text.
fn run(text: &str) -> Option<&str> {
    let digits = text.bytes().next()?.is_ascii_digit();
    let end = text.bytes().position(|byte| byte.is_ascii_digit() != digits).unwrap_or(text.len());
    Some(&text[..end])
}

fn is_number(run: &str) -> bool {
    run.starts_with(|c: char| c.is_ascii_digit())
}

/// A name that sorts in natural order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Natural(pub String);

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers_and_only_equal_texts_are_equal() {
        let sorted = [
            "", "1", "01", "2", "10", "job", "job1", "job!", "job-1", "job-2", "job-2a", "job-10", "job-010", "jobs", "é-1",
            "é-11",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                // Of equal numbers the text decides, whichever way.
                if a.replace("01", "1") == b.replace("01", "1") {
                    assert_eq!(compare(a, b).is_eq(), i == j, "{a} {b}");
                } else {
                    assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
                }
                assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} {b}");
            }
        }
        assert!(compare("9", "99999999999999999999999999").is_lt());
    }
}
