//! Builders that unit tests of the trainer share.

/// A directory that goes with the value.
pub fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}
