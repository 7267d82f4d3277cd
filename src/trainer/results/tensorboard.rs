//! TensorBoard's event files: length-framed protocol buffers, each frame with masked checksums.

use neurosearch::store::fs::error::StoreError;
use neurosearch::store::fs::failpoint::{self, Point};
use neurosearch::store::fs::open_dir::Folder;
use neurosearch::store::fs::owned_path::Below;
use neurosearch::store::fs::{atomic, open};
use prost::Message;
use std::fs::File;
use std::io::Write;

/// `tensorflow.Event`, as far as scalars need it.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since the Unix epoch.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value` with a simple value.
#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// One point of one curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scalar {
    pub tag: &'static str,
    pub value: f64,
    pub step: u64,
    /// Seconds since the Unix epoch.
    pub wall_time: f64,
}

/// The event file of one set (`train` or `validation`), open for appending.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: Below,
}

impl EventFile {
    /// Makes `directory`, which is there, hold one event file with these scalars and no other: what an earlier attempt left is replaced.
    pub fn replace(directory: &Below, host: &str, wall_time: f64, scalars: &[Scalar]) -> Result<Self, StoreError> {
        let left = event_files(directory)?;
        let path = unused(directory, host, wall_time as u64, &left);
        let version = What::FileVersion("brain.Event:2".to_string());
        let mut bytes = frame(&Event { wall_time, step: 0, what: Some(version) });
        scalars.iter().for_each(|scalar| bytes.extend(frame(&event(*scalar))));
        atomic::replace(&path, &bytes)?;
        for old in left {
            atomic::remove(&old)?;
        }
        let file = open::append(&path)?;
        Ok(EventFile { file, path })
    }

    pub fn append(&mut self, scalars: &[Scalar]) -> Result<(), StoreError> {
        let bytes: Vec<u8> = scalars.iter().flat_map(|scalar| frame(&event(*scalar))).collect();
        let written = failpoint::pass(Point::Write, &self.path).and_then(|()| self.file.write_all(&bytes));
        written.map_err(|e| StoreError::io("append to", &self.path, e))
    }
}

/// The event files in `directory`.
fn event_files(directory: &Below) -> Result<Vec<Below>, StoreError> {
    let entries = Folder::open(directory)?.entries()?.into_iter();
    let events = entries.filter(|entry| entry.name.as_encoded_bytes().starts_with(b"events.out.tfevents."));
    Ok(events.map(|entry| directory.join(entry.name)).collect())
}

/// A name that TensorBoard reads as an event file and that is not among `taken`.
fn unused(directory: &Below, host: &str, second: u64, taken: &[Below]) -> Below {
    let name = |n: usize| directory.join(format!("events.out.tfevents.{second}.{host}.{}.{n}", std::process::id()));
    let free = (0..=taken.len()).map(name).find(|path| !taken.contains(path));
    free.unwrap_or_else(|| name(taken.len()))
}

fn event(scalar: Scalar) -> Event {
    let value = SummaryValue { tag: scalar.tag.to_string(), simple_value: Some(scalar.value as f32) };
    let step = i64::try_from(scalar.step).unwrap_or(i64::MAX);
    Event { wall_time: scalar.wall_time, step, what: Some(What::Summary(Summary { value: vec![value] })) }
}

/// Length, its checksum, the message, its checksum; numbers little-endian.
fn frame(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(message.len() + 16);
    bytes.extend(length);
    bytes.extend(masked_checksum(&length).to_le_bytes());
    bytes.extend(&message);
    bytes.extend(masked_checksum(&message).to_le_bytes());
    bytes
}

/// CRC-32C, rotated and offset, as TensorFlow's record format has it so that a checksum of checksums is none.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    /// Every event of the one file in `directory`, its frames checked.
    fn read(directory: &Below) -> Vec<Event> {
        let files = event_files(directory).expect("listed");
        assert_eq!(files.len(), 1, "{files:?}");
        let bytes = fs::read(&files[0]).expect("read");
        let mut rest = bytes.as_slice();
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes")) as usize;
            assert_eq!(rest[8..12], masked_checksum(&rest[..8]).to_le_bytes());
            let message = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_checksum(message).to_le_bytes());
            events.push(Event::decode(message).expect("an event"));
            rest = &rest[16 + length..];
        }
        events
    }

    fn scalar(step: u64) -> Scalar {
        Scalar { tag: "loss", value: 0.25, step, wall_time: 12.5 }
    }

    #[test]
    fn a_frame_is_the_bytes_that_tensorboard_writes() {
        // tensorboard.summary.writer.record_writer.RecordWriter over Event(wall_time=12.5, step=3, loss 0.25).
        let bytes = frame(&event(scalar(3)));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../../tests/fixtures/events/frame.hex").trim());
    }

    #[test]
    fn what_an_earlier_attempt_left_is_replaced_and_steps_stand_once() {
        let dir = tempdir();
        let directory = &Below::given(dir.path());
        let mut first = EventFile::replace(directory, "host", 1.0, &[]).expect("made");
        first.append(&[scalar(0), scalar(1), scalar(2)]).expect("appended");
        let mut second = EventFile::replace(directory, "host", 1.0, &[scalar(0)]).expect("made again");
        second.append(&[scalar(1)]).expect("appended");
        let events = read(directory);
        assert!(matches!(&events[0].what, Some(What::FileVersion(version)) if version == "brain.Event:2"));
        let steps: Vec<i64> = events[1..].iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 1]);
    }
}
