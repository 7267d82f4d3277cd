//! Writes a value as a pickle of protocol 2, in the opcodes and globals that `torch.load(weights_only=True)` accepts.

use super::pickle_graph::StorageKind;
use super::torch_tensor::Tensor;
use super::torch_value::Value;

/// The pickle of `value`, and its tensors in the order of their storages' keys.
///
/// # Errors
/// One clause, for a tensor whose shape and data disagree, or a text beyond 4 GiB.
pub fn dump(value: &Value) -> Result<(Vec<u8>, Vec<&Tensor>), String> {
    let mut writer = Writer { bytes: vec![0x80, 2], tensors: Vec::new() };
    writer.value(value)?;
    writer.bytes.push(b'.');
    Ok((writer.bytes, writer.tensors))
}

struct Writer<'a> {
    bytes: Vec<u8>,
    tensors: Vec<&'a Tensor>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, value: &'a Value) -> Result<(), String> {
        match value {
            Value::None => self.bytes.push(b'N'),
            Value::Bool(value) => self.bytes.push(if *value { 0x88 } else { 0x89 }),
            Value::Int(value) => self.int(*value),
            Value::Float(value) => {
                self.bytes.push(b'G');
                self.bytes.extend(value.to_be_bytes());
            }
            Value::Str(text) => self.text(text)?,
            Value::Tensor(tensor) => self.tensor(tensor)?,
            Value::List(members) => {
                self.bytes.extend(b"](");
                members.iter().try_for_each(|member| self.value(member))?;
                self.bytes.push(b'e');
            }
            Value::Tuple(members) if members.is_empty() => self.bytes.push(b')'),
            Value::Tuple(members) => {
                self.bytes.push(b'(');
                members.iter().try_for_each(|member| self.value(member))?;
                self.bytes.push(b't');
            }
            Value::Dict(pairs) => {
                self.bytes.extend(b"}(");
                for (key, value) in pairs {
                    self.value(key)?;
                    self.value(value)?;
                }
                self.bytes.push(b'u');
            }
        }
        Ok(())
    }

    fn int(&mut self, value: i64) {
        if let Ok(value) = u8::try_from(value) {
            self.bytes.extend([b'K', value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.bytes.push(b'M');
            self.bytes.extend(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.bytes.push(b'J');
            self.bytes.extend(value.to_le_bytes());
        } else {
            self.bytes.extend([0x8a, 8]);
            self.bytes.extend(value.to_le_bytes());
        }
    }

    fn size(&mut self, size: usize) -> Result<(), String> {
        self.int(i64::try_from(size).map_err(|_| format!("a tensor of size {size} cannot be written"))?);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let length = u32::try_from(text.len()).map_err(|_| "a text of more than 4 GiB cannot be written".to_string())?;
        self.bytes.push(b'X');
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(text.as_bytes());
        Ok(())
    }

    /// `_rebuild_tensor_v2((storage id), 0, shape, strides, False, OrderedDict())`.
    fn tensor(&mut self, tensor: &'a Tensor) -> Result<(), String> {
        let elements = tensor.data.len();
        if tensor.elements() != elements {
            return Err(format!("a tensor of shape {:?} with {elements} elements cannot be written", tensor.shape));
        }
        let key = self.tensors.len().to_string();
        self.tensors.push(tensor);
        self.bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage")?;
        self.bytes.extend(format!("ctorch\n{}\n", storage_name(tensor.data.kind())).as_bytes());
        self.text(&key)?;
        self.text("cpu")?;
        self.size(elements)?;
        self.bytes.extend(b"tQK\x00");
        let mut stride = 1usize;
        let mut strides = Vec::with_capacity(tensor.shape.len());
        for size in tensor.shape.iter().rev() {
            strides.push(stride);
            stride = stride.saturating_mul((*size).max(1));
        }
        strides.reverse();
        for sizes in [&tensor.shape, &strides] {
            self.bytes.push(b'(');
            sizes.iter().try_for_each(|size| self.size(*size))?;
            self.bytes.push(b't');
        }
        self.bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        Ok(())
    }
}

/// The class that PyTorch names a storage of these elements by.
const fn storage_name(kind: StorageKind) -> &'static str {
    match kind {
        StorageKind::F64 => "DoubleStorage",
        StorageKind::F32 => "FloatStorage",
        StorageKind::F16 => "HalfStorage",
        StorageKind::Bf16 => "BFloat16Storage",
        StorageKind::I64 => "LongStorage",
        StorageKind::I32 => "IntStorage",
        StorageKind::I16 => "ShortStorage",
        StorageKind::I8 => "CharStorage",
        StorageKind::U8 => "ByteStorage",
        StorageKind::Bool => "BoolStorage",
    }
}
