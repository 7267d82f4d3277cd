//! PyTorch's zip format (`.pt`, `.pth.tar`): a pickle and the storages of its tensors, read by allow-list and written for `weights_only`.

use super::pickle_graph::{Graph, Id, Node, node};
use super::torch_tensor::Storages;
use super::torch_value::Value;
use super::{pickle, pickle_write};
use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Place;
use crate::store::fs::{atomic, decode};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Bytes of a file that are read at a time.
const BUFFER: usize = 1 << 16;

/// Bounds of the object tree: a pickle can name one object many times, so a small file can unfold to a huge tree.
const MOST_VALUES: usize = 1 << 20;
const DEEPEST: usize = 32;
/// Largest `data.pkl`; the weights are not in it.
const LARGEST_PICKLE: u64 = 64 << 20;

/// The value in the file `path`.
///
/// # Errors
/// Names the file: not such a file, cut short, a checksum that does not hold, or a pickle that names something foreign.
pub fn read(path: &Path) -> Result<Value, StoreError> {
    decode::decode(path, |file, length| read_from(BufReader::with_capacity(BUFFER, file), length))
}

/// The shape of the single tensor in the file `path`, whose elements are not read.
///
/// # Errors
/// As [`read`], and when the file holds something else; damage inside the tensor is not looked for.
pub fn shape(path: &Path) -> Result<Vec<usize>, StoreError> {
    decode::decode(path, |file, _| {
        let Graph { nodes, root } = unpack(BufReader::with_capacity(BUFFER, file))?.graph;
        match node(&nodes, root) {
            Node::Tensor(view) => Ok(view.shape.clone()),
            _ => Err("it holds something else than one tensor".to_string()),
        }
    })
}

/// As [`read`], from any source of `length` bytes. The error is one clause.
pub fn read_from(source: impl Read + Seek, length: u64) -> Result<Value, String> {
    let Pickled { archive, prefix, big_endian, graph, characters } = unpack(source)?;
    let storages = Storages::new(archive, prefix, big_endian, length);
    Unfolding { nodes: &graph.nodes, storages, values: MOST_VALUES, characters }.value(graph.root, 0)
}

/// An archive and what its pickle builds.
struct Pickled<R> {
    archive: ZipArchive<R>,
    prefix: String,
    big_endian: bool,
    graph: Graph,
    /// Most characters of text that the values may have together: a few times as many as the pickle.
    characters: usize,
}

fn unpack<R: Read + Seek>(source: R) -> Result<Pickled<R>, String> {
    let mut archive = open_archive(source)?;
    let prefix = prefix_of(&archive)?;
    let pickled = read_entry(&mut archive, &format!("{prefix}/data.pkl"), LARGEST_PICKLE)?;
    let big_endian = match archive.index_for_name(&format!("{prefix}/byteorder")) {
        None => false,
        Some(_) => match read_entry(&mut archive, &format!("{prefix}/byteorder"), 16)?.as_slice() {
            b"little" => false,
            b"big" => true,
            other => return Err(format!("its byte order is {:?}; little and big are read", String::from_utf8_lossy(other))),
        },
    };
    Ok(Pickled { archive, prefix, big_endian, graph: pickle::load(&pickled)?, characters: pickled.len().saturating_mul(4) })
}

/// What a file of PyTorch before 1.6 begins with: a number of ten bytes, pickled.
const BEFORE_ZIP: [u8; 6] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc];

/// The archive in `source`. The error is one clause.
fn open_archive<R: Read + Seek>(mut source: R) -> Result<ZipArchive<R>, String> {
    let mut start = Vec::new();
    let read = source.by_ref().take(BEFORE_ZIP.len() as u64).read_to_end(&mut start).and_then(|_| source.rewind());
    read.map_err(|e| format!("cannot be read ({e})"))?;
    ZipArchive::new(source).map_err(|e| match start == BEFORE_ZIP {
        true => "in the format of PyTorch before 1.6; make it again with a later one, or remove it and the NIfTI file is read"
            .to_string(),
        false => format!("not a file in PyTorch's zip format, or cut short ({e})"),
    })
}

/// The folder that everything in the archive lies in.
fn prefix_of<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<String, String> {
    for name in archive.file_names() {
        let name = name.map_err(|e| format!("it has an entry whose name cannot be read ({e})"))?;
        if let Some((prefix, "data.pkl")) = name.split_once('/') {
            return Ok(prefix.to_string());
        }
    }
    Err("a zip file without data.pkl, so not one of PyTorch's".to_string())
}

/// The whole entry `name`, stored, of at most `most` bytes; its checksum holds.
fn read_entry<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|e| format!("its entry {name:?} cannot be read ({e})"))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(format!("its entry {name:?} is compressed, which PyTorch never does"));
    }
    let mut bytes = Vec::new();
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|e| format!("its entry {name:?} is damaged ({e})"))?;
    if bytes.len() as u64 > most {
        return Err(format!("its entry {name:?} is larger than {most} bytes, which no such file's is"));
    }
    Ok(bytes)
}

/// Turns the graph into a tree, within bounds.
struct Unfolding<'a, R> {
    nodes: &'a [Node],
    storages: Storages<R>,
    /// How many more values and characters of text may be made.
    values: usize,
    characters: usize,
}

impl<R: Read + Seek> Unfolding<'_, R> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(format!("its pickle is nested more than {DEEPEST} deep"));
        }
        self.values =
            self.values.checked_sub(1).ok_or_else(|| format!("its pickle unfolds to more than {MOST_VALUES} objects"))?;
        let nodes = self.nodes;
        Ok(match node(nodes, id) {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Str(text) => {
                let left = self.characters.checked_sub(text.len());
                self.characters = left.ok_or("its pickle unfolds to more text than it holds")?;
                Value::Str(text.clone())
            }
            Node::Tuple(members) => Value::Tuple(self.members(members, depth)?),
            Node::List(members) => Value::List(self.members(members, depth)?),
            Node::Dict(pairs) => {
                let pair = |(key, value): &(Id, Id)| Ok((self.value(*key, depth + 1)?, self.value(*value, depth + 1)?));
                Value::Dict(pairs.iter().map(pair).collect::<Result<_, String>>()?)
            }
            Node::Tensor(view) => Value::Tensor(self.storages.tensor(view)?),
            other @ (Node::Bytes(_) | Node::Global(_) | Node::Dtype { .. } | Node::Storage(_)) => {
                let word = format!("{other:?}").chars().take(60).collect::<String>();
                return Err(format!("its pickle holds {word:?} where a value is due"));
            }
        })
    }

    fn members(&mut self, ids: &[Id], depth: usize) -> Result<Vec<Value>, String> {
        ids.iter().map(|id| self.value(*id, depth + 1)).collect()
    }
}

/// Makes `value` the whole content of `place`, as `torch.save` would: entries under `archive_name`, stored, aligned to 64 bytes.
///
/// # Errors
/// Names the file; its old content is then still whole.
pub fn write(place: &(impl Place + ?Sized), archive_name: &str, value: &Value) -> Result<(), StoreError> {
    atomic::replace_with(place, |file| {
        let mut buffered = BufWriter::with_capacity(1 << 18, file);
        write_to(&mut buffered, archive_name, value)?;
        buffered.flush()
    })
}

/// As [`write()`], to any sink.
pub fn write_to(sink: impl Write + Seek, archive_name: &str, value: &Value) -> std::io::Result<()> {
    let (pickled, tensors) = pickle_write::dump(value).map_err(std::io::Error::other)?;
    let mut archive = ZipWriter::new(sink);
    let mut entry = |name: &str, length: usize, body: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(64)
            .last_modified_time(zip::DateTime::default())
            .large_file(length > u32::MAX as usize / 2);
        archive.start_file(format!("{archive_name}/{name}"), options)?;
        body(&mut archive)
    };
    entry("data.pkl", pickled.len(), &mut |out| out.write_all(&pickled))?;
    entry("byteorder", 6, &mut |out| out.write_all(b"little"))?;
    for (key, tensor) in tensors.iter().enumerate() {
        let length = tensor.elements().saturating_mul(tensor.data.kind().size());
        entry(&format!("data/{key}"), length, &mut |out| tensor.data.write_to(out))?;
    }
    entry("version", 2, &mut |out| out.write_all(b"3\n"))?;
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
#[path = "torch_file_tests.rs"]
mod tests;
