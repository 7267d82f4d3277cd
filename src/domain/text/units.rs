//! Sizes and amounts of memory as people read them.

/// The sizes of an array: `169 x 208 x 179`; 1 for a single number, which has none.
pub fn dimensions(sizes: impl AsRef<[usize]>) -> String {
    if sizes.as_ref().is_empty() {
        return "1".to_string();
    }
    sizes.as_ref().iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// Bytes of memory: `12 MB`, `1.50 GB`.
pub fn memory(bytes: u64) -> String {
    match bytes {
        u64::MAX => "more memory than can be counted".to_string(),
        // Figures of four digits at most.
        0..1_000_000_000 => format!("{} MB", bytes.div_ceil(1_000_000)),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
