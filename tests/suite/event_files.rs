//! Reads the curves that the trainer leaves for TensorBoard.

use prost::Message;
use std::fs;
use std::path::Path;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Point>,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    value: f32,
}

/// Steps and values of the curve `tag`, in the order of the only event file in `folder`.
pub fn curve(folder: &Path, tag: &str) -> Vec<(i64, f32)> {
    let paths: Vec<_> = fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    let bytes = fs::read(&paths[0]).expect("read");
    let mut rest = bytes.as_slice();
    let mut points = Vec::new();
    // Length, its checksum, the message, its checksum.
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fits");
        let event = Event::decode(&after[4..4 + length]).expect("an event");
        let values = event.summary.map(|summary| summary.values).unwrap_or_default();
        points.extend(values.into_iter().filter(|point| point.tag == tag).map(|point| (event.step, point.value)));
        rest = &after[8 + length..];
    }
    points
}
