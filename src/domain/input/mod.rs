//! How a JSON file of a person is read: positions, keys, and every fault at once.

pub mod did_you_mean;
pub mod keys;
pub mod object_reader;
pub mod positioned_json;
