//! Foreign text in a message: in quotation marks, so that its blanks are seen, and short.

/// Characters of a quoted text.
const LONGEST: usize = 40;

/// The text in quotation marks, what could steer a terminal written out, cut where it is long.
pub fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_is_seen_and_a_long_text_is_cut() {
        assert_eq!(quoted("diagnosis "), r#""diagnosis ""#);
        assert_eq!(quoted("\u{1b}[31m"), r#""\u{1b}[31m""#);
        assert_eq!(quoted(&"x".repeat(40)), format!("\"{}\"", "x".repeat(40)));
        assert_eq!(quoted(&"x".repeat(41)), format!("\"{}...\"", "x".repeat(40)));
    }
}
