//! The few names that a PyTorch pickle may use, and what each of them makes of its arguments.

use super::pickle_graph::{Global, Id, Node, Storage, StorageKind, View, node};

/// Bounds of what is copied out of the pickle at each call: else one large object, recalled many times, would fill the memory.
const MOST_AXES: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_NUMBER: usize = 16;

/// The global `module.name`.
///
/// # Errors
/// When it is not on the list.
pub fn find(module: &str, name: &str) -> Result<Global, String> {
    Ok(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::NumpyScalar,
        ("numpy", "dtype") => Global::NumpyDtype,
        ("_codecs", "encode") => Global::Encode,
        ("torch", "DoubleStorage") => Global::Storage(StorageKind::F64),
        ("torch", "FloatStorage") => Global::Storage(StorageKind::F32),
        ("torch", "HalfStorage") => Global::Storage(StorageKind::F16),
        ("torch", "BFloat16Storage") => Global::Storage(StorageKind::Bf16),
        ("torch", "LongStorage") => Global::Storage(StorageKind::I64),
        ("torch", "IntStorage") => Global::Storage(StorageKind::I32),
        ("torch", "ShortStorage") => Global::Storage(StorageKind::I16),
        ("torch", "CharStorage") => Global::Storage(StorageKind::I8),
        ("torch", "ByteStorage") => Global::Storage(StorageKind::U8),
        ("torch", "BoolStorage") => Global::Storage(StorageKind::Bool),
        ("torch._tensor", "_rebuild_from_type_v2") => {
            return Err("a tensor of a class of its own, such as MONAI's MetaTensor; save a plain tensor".to_string());
        }
        _ => {
            let full: String = format!("{module}.{name}").chars().take(200).collect();
            return Err(format!(
                "the pickle names {full:?}, which is not among the few that are read; nothing of it was executed"
            ));
        }
    })
}

fn tuple(nodes: &[Node], id: Id) -> Result<&[Id], String> {
    match node(nodes, id) {
        Node::Tuple(members) => Ok(members),
        _ => Err("the pickle gives arguments that are not a tuple".to_string()),
    }
}

fn size(nodes: &[Node], id: Id) -> Result<usize, String> {
    match node(nodes, id) {
        Node::Int(value) => usize::try_from(*value).map_err(|_| format!("a tensor of size, stride or offset {value}")),
        _ => Err("the pickle gives a tensor a size that is not an integer".to_string()),
    }
}

fn sizes(nodes: &[Node], id: Id) -> Result<Vec<usize>, String> {
    let members = tuple(nodes, id)?;
    if members.len() > MOST_AXES {
        return Err(format!("a tensor of {} axes; at most {MOST_AXES} are read", members.len()));
    }
    members.iter().map(|member| size(nodes, *member)).collect()
}

/// The storage that the persistent id `id` means: `("storage", type, key, location, length)`.
pub fn storage(nodes: &[Node], id: Id) -> Result<Storage, String> {
    let fail = || "the pickle's persistent id is not that of a storage".to_string();
    let [tag, kind, key, _location, length] = tuple(nodes, id)? else { return Err(fail()) };
    match (node(nodes, *tag), node(nodes, *kind), node(nodes, *key)) {
        (Node::Str(tag), Node::Global(Global::Storage(kind)), Node::Str(key)) if tag == "storage" && key.len() <= LONGEST_KEY => {
            Ok(Storage { kind: *kind, key: key.clone(), length: size(nodes, *length)? })
        }
        _ => Err(fail()),
    }
}

/// What the call of `function` with the tuple `arguments` makes.
pub fn call(nodes: &[Node], function: Id, arguments: Id) -> Result<Node, String> {
    let arguments = tuple(nodes, arguments)?;
    let Node::Global(function) = node(nodes, function) else {
        return Err("the pickle calls an object that is not a function".to_string());
    };
    match (function, arguments) {
        (Global::OrderedDict, []) => Ok(Node::Dict(Vec::new())),
        (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
            let Node::Storage(storage) = node(nodes, *storage) else {
                return Err("the pickle builds a tensor on something that is not a storage".to_string());
            };
            let (shape, strides) = (sizes(nodes, *shape)?, sizes(nodes, *strides)?);
            if shape.len() != strides.len() {
                return Err(format!("a tensor of {} sizes and {} strides", shape.len(), strides.len()));
            }
            Ok(Node::Tensor(View { storage: storage.clone(), offset: size(nodes, *offset)?, shape, strides }))
        }
        (Global::RebuildParameter, [tensor, ..]) => match node(nodes, *tensor) {
            Node::Tensor(view) => Ok(Node::Tensor(view.clone())),
            _ => Err("the pickle builds a parameter of something that is not a tensor".to_string()),
        },
        (Global::NumpyDtype, [word, ..]) => match node(nodes, *word) {
            Node::Str(word) if word.len() <= LONGEST_KEY => Ok(Node::Dtype { word: word.clone(), big_endian: false }),
            _ => Err("the pickle names a NumPy type by something that is not a short text".to_string()),
        },
        (Global::Encode, [text, codec]) => match (node(nodes, *text), node(nodes, *codec)) {
            (Node::Str(text), Node::Str(codec)) if codec == "latin1" && text.len() <= 2 * LONGEST_NUMBER => {
                latin1(text).map(Node::Bytes)
            }
            _ => Err("the pickle encodes something other than the bytes of one number".to_string()),
        },
        (Global::NumpyScalar, [dtype, bytes]) => match (node(nodes, *dtype), node(nodes, *bytes)) {
            (Node::Dtype { word, big_endian }, Node::Bytes(bytes)) => scalar(word, *big_endian, bytes),
            _ => Err("the pickle builds a NumPy number without its type or bytes".to_string()),
        },
        _ => Err(format!("the pickle calls {function:?} with {} arguments", arguments.len())),
    }
}

/// What `BUILD` does to an object: a NumPy type learns its byte order; a dictionary's attributes (`_metadata`) are of no use.
pub fn build(nodes: &mut [Node], object: Id, state: Id) -> Result<(), String> {
    let order = match node(nodes, state) {
        Node::Tuple(members) => match members.get(1).map(|id| node(nodes, *id)) {
            Some(Node::Str(order)) => order.as_str(),
            _ => "",
        },
        _ => "",
    };
    let order_is_big = match order {
        ">" => Some(true),
        "<" | "|" | "=" => Some(false),
        _ => None,
    };
    match (nodes.get_mut(object), order_is_big) {
        (Some(Node::Dtype { big_endian, .. }), Some(big)) => *big_endian = big,
        (Some(Node::Dict(_)), _) => {}
        _ => return Err("the pickle gives a state to an object that has none".to_string()),
    }
    Ok(())
}

fn latin1(text: &str) -> Result<Vec<u8>, String> {
    let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| "the pickle encodes text that is not Latin-1".to_string());
    text.chars().map(byte).collect()
}

/// The number of NumPy type `word` in `bytes`.
fn scalar(word: &str, big_endian: bool, bytes: &[u8]) -> Result<Node, String> {
    let mut ordered = bytes.to_vec();
    if big_endian {
        ordered.reverse();
    }
    let fail = || format!("a NumPy number of type {word:?} in {} bytes, which is not read", bytes.len());
    fn array<const N: usize>(bytes: &[u8], fail: impl Fn() -> String) -> Result<[u8; N], String> {
        bytes.try_into().map_err(|_| fail())
    }
    Ok(match word {
        "f8" => Node::Float(f64::from_le_bytes(array(&ordered, fail)?)),
        "f4" => Node::Float(f64::from(f32::from_le_bytes(array(&ordered, fail)?))),
        "f2" => Node::Float(f64::from(half::f16::from_le_bytes(array(&ordered, fail)?))),
        "i8" => Node::Int(i64::from_le_bytes(array(&ordered, fail)?)),
        "i4" => Node::Int(i64::from(i32::from_le_bytes(array(&ordered, fail)?))),
        "i2" => Node::Int(i64::from(i16::from_le_bytes(array(&ordered, fail)?))),
        "i1" => Node::Int(i64::from(i8::from_le_bytes(array(&ordered, fail)?))),
        "u1" => Node::Int(i64::from(u8::from_le_bytes(array(&ordered, fail)?))),
        "b1" => Node::Bool(array::<1>(&ordered, fail)? != [0]),
        _ => return Err(fail()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numpy_numbers_of_either_byte_order_are_read() {
        assert_eq!(scalar("f8", false, &0.75f64.to_le_bytes()), Ok(Node::Float(0.75)));
        assert_eq!(scalar("f8", true, &0.75f64.to_be_bytes()), Ok(Node::Float(0.75)));
        assert_eq!(scalar("i4", true, &(-3i32).to_be_bytes()), Ok(Node::Int(-3)));
        assert_eq!(scalar("b1", false, &[1]), Ok(Node::Bool(true)));
        assert!(scalar("f8", false, &[0; 4]).is_err());
        assert!(scalar("O8", false, &[0; 8]).is_err());
    }

    #[test]
    fn text_outside_latin_1_cannot_stand_for_bytes() {
        assert_eq!(latin1("\u{e8}?"), Ok(vec![0xe8, b'?']));
        assert!(latin1("\u{100}").is_err());
    }
}
