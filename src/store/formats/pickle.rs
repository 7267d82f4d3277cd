//! The machine that runs a PyTorch pickle: a fixed list of opcodes and of globals, and nothing of either is ever executed.

use super::pickle_globals as globals;
use super::pickle_graph::{Graph, Id, Node};
use std::collections::HashMap;

/// No pickle of tensors builds more objects than this; it bounds the memory that a hostile file can claim.
const MOST_NODES: usize = 1 << 20;

/// Runs the pickle `bytes`.
///
/// # Errors
/// One clause, for a pickle that is cut short, uses an opcode or a global that is not on the list, or misuses one that is.
pub fn load(bytes: &[u8]) -> Result<Graph, String> {
    let mut machine = Machine { rest: bytes, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    let root = machine.run()?;
    Ok(Graph { nodes: machine.nodes, root })
}

struct Machine<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => match self.byte()? {
                2 => Ok(()),
                other => Err(format!("a pickle of protocol {other}; PyTorch writes protocol 2")),
            },
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'q' => {
                let index = self.byte()?;
                self.remember(u32::from(index))
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.remember(index)
            }
            b'h' => {
                let index = self.byte()?;
                self.recall(u32::from(index))
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)
            }
            b'a' | b'e' | b's' | b'u' => self.fill(opcode),
            b'R' | b'b' | b'Q' => self.apply(opcode),
            _ => {
                let node = self.value(opcode)?;
                self.push(node)
            }
        }
    }

    /// The opcodes that make one new object.
    fn value(&mut self, opcode: u8) -> Result<Node, String> {
        Ok(match opcode {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'K' => Node::Int(i64::from(self.byte()?)),
            b'M' => Node::Int(i64::from(u16::from_le_bytes(self.array()?))),
            b'J' => Node::Int(i64::from(i32::from_le_bytes(self.array()?))),
            0x8a => Node::Int(self.long()?),
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            b'X' => Node::Str(self.text()?),
            b')' => Node::Tuple(Vec::new()),
            b']' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            0x85..=0x87 => Node::Tuple(self.pop_several(usize::from(opcode - 0x84))?),
            b't' => Node::Tuple(self.pop_to_mark()?),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Node::Global(globals::find(&module, &name)?)
            }
            other => return Err(format!("the pickle's opcode 0x{other:02x} is not one that PyTorch's files of tensors use")),
        })
    }

    /// Append, appends, setitem, setitems: the opcodes that put popped objects into the container below them.
    fn fill(&mut self, opcode: u8) -> Result<(), String> {
        let members = match opcode {
            b'a' => self.pop_several(1)?,
            b's' => self.pop_several(2)?,
            _ => self.pop_to_mark()?,
        };
        let container = self.top()?;
        match (opcode, self.nodes.get_mut(container)) {
            (b'a' | b'e', Some(Node::List(list))) => list.extend(members),
            (b's' | b'u', Some(Node::Dict(dict))) if members.len().is_multiple_of(2) => {
                dict.extend(members.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("the pickle fills an object that is neither a list nor a dictionary".to_string()),
        }
        Ok(())
    }

    /// Reduce, build and persistent id: where a real unpickler would run code.
    fn apply(&mut self, opcode: u8) -> Result<(), String> {
        if opcode == b'Q' {
            let id = self.pop()?;
            let storage = globals::storage(&self.nodes, id)?;
            return self.push(Node::Storage(storage));
        }
        let argument = self.pop()?;
        if opcode == b'b' {
            let object = self.top()?;
            return globals::build(&mut self.nodes, object, argument);
        }
        let function = self.pop()?;
        let node = globals::call(&self.nodes, function, argument)?;
        self.push(node)
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        if self.nodes.len() == MOST_NODES {
            return Err(format!("the pickle builds more than {MOST_NODES} objects"));
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "the pickle's stack is empty where an object is needed".to_string())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_several(&mut self, count: usize) -> Result<Vec<Id>, String> {
        match self.stack.len().checked_sub(count) {
            Some(at) => Ok(self.stack.split_off(at)),
            None => Err("the pickle's stack is empty where an object is needed".to_string()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err("the pickle closes a mark that it did not open".to_string()),
        }
    }

    fn remember(&mut self, index: u32) -> Result<(), String> {
        let id = self.top()?;
        self.memo.insert(index, id);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), String> {
        let id = *self.memo.get(&index).ok_or_else(|| format!("the pickle recalls object {index}, which it never stored"))?;
        self.stack.push(id);
        Ok(())
    }

    fn bytes(&mut self, count: usize) -> Result<&[u8], String> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(|| "the pickle is cut short".to_string())?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| "the pickle is cut short".to_string())?;
        self.rest = rest;
        Ok(*head)
    }

    /// An integer of up to eight bytes, little-endian, in two's complement.
    fn long(&mut self) -> Result<i64, String> {
        let length = usize::from(self.byte()?);
        if length > 8 {
            return Err(format!("the pickle holds an integer of {length} bytes; at most 8 are read"));
        }
        let bytes = self.bytes(length)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(whole))
    }

    fn text(&mut self) -> Result<String, String> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).map(str::to_string).map_err(|_| "the pickle holds a text that is not UTF-8".to_string())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.rest.iter().position(|b| *b == b'\n').ok_or_else(|| "the pickle is cut short".to_string())?;
        let bytes = self.bytes(end + 1)?;
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::formats::pickle_graph::node;

    #[test]
    fn every_cut_of_a_good_pickle_is_an_error_and_never_a_panic() {
        let good = b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x07X\x01\x00\x00\x00bG?\xf0\x00\x00\x00\x00\x00\x00X\x01\x00\x00\x00c](K\x01NeX\x01\x00\x00\x00d\x8a\x02\xff\x7fu.";
        let graph = load(good).expect("a good pickle");
        assert!(matches!(node(&graph.nodes, graph.root), Node::Dict(pairs) if pairs.len() == 4));
        for length in 0..good.len() {
            assert!(load(&good[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_foreign_global_is_refused_by_name() {
        let error = load(b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00idtR.").expect_err("refused");
        assert!(error.contains("\"os.system\""), "{error}");
    }

    #[test]
    fn integers_of_every_width_keep_their_sign() {
        let int = |bytes: &[u8]| match load(bytes) {
            Ok(graph) => node(&graph.nodes, graph.root).clone(),
            Err(error) => Node::Str(error),
        };
        assert_eq!(int(b"K\xff."), Node::Int(255));
        assert_eq!(int(b"M\xff\xff."), Node::Int(65535));
        assert_eq!(int(b"J\xff\xff\xff\xff."), Node::Int(-1));
        assert_eq!(int(b"\x8a\x00."), Node::Int(0));
        assert_eq!(int(b"\x8a\x02\x00\xff."), Node::Int(-256));
        assert_eq!(int(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), Node::Int(i64::MAX));
    }

    #[test]
    fn misused_opcodes_are_errors() {
        for bad in [
            &b"."[..],
            b"t.",
            b"a.",
            b"K\x01K\x02a.",
            b"(K\x01u.",
            b"}(K\x01u.",
            b"h\x05.",
            b"q\x00.",
            b"((0.",
            b"K\x01R.",
            b"NQ.",
        ] {
            assert!(load(bad).is_err(), "{bad:?}");
        }
    }
}
