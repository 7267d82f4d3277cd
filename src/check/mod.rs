//! A search space against its data: files there, sizes that fit, classes and leaks.
