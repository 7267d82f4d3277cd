//! The objects that a PyTorch pickle builds, each named by its place, and the globals among them.

/// A node's place in its [`Graph`].
pub type Id = usize;

/// What a pickle builds. Containers name their members by place, since the memo lets one object stand in several of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// A NumPy element type, as `f8`, and whether its bytes are big-endian.
    Dtype {
        word: String,
        big_endian: bool,
    },
    Storage(Storage),
    Tensor(View),
}

/// A persistent id: the archive's entry that holds a tensor's elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub kind: StorageKind,
    /// Name of the entry under `data/`.
    pub key: String,
    /// Number of elements.
    pub length: usize,
}

/// A tensor as a window on a storage; offset and strides count elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The element types that a storage can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl StorageKind {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            StorageKind::F64 | StorageKind::I64 => 8,
            StorageKind::F32 | StorageKind::I32 => 4,
            StorageKind::F16 | StorageKind::Bf16 | StorageKind::I16 => 2,
            StorageKind::I8 | StorageKind::U8 | StorageKind::Bool => 1,
        }
    }
}

/// The objects of one pickle.
#[derive(Debug)]
pub struct Graph {
    pub nodes: Vec<Node>,
    pub root: Id,
}

/// A function or class that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    RebuildTensor,
    RebuildParameter,
    OrderedDict,
    Storage(StorageKind),
    NumpyScalar,
    NumpyDtype,
    /// `_codecs.encode`, which protocol 2 uses for bytes.
    Encode,
}

/// The node `id`, which is in range because ids are only ever made by pushing.
pub fn node(nodes: &[Node], id: Id) -> &Node {
    nodes.get(id).unwrap_or(&Node::None)
}
