//! The stack machine: the instructions that `torch.save` writes (protocols 2 to 5), and no others.

use std::collections::HashMap;

use super::document::{Document, Handle, Node};
use super::globals::{self, Global};

/// More values than any embedding's pickle has (real ones have about 60).
const MAX_NODES: usize = 1 << 16;
/// Longer than any name of an allowed module or class.
const MAX_NAME: usize = 128;

/// Reads a whole pickle.
///
/// # Errors
/// A sentence about the first thing that is not allowed or does not make sense.
pub(in super::super) fn read(program: &[u8]) -> Result<Document, String> {
    let document = Document { nodes: Vec::new(), root: Handle(usize::MAX) };
    let mut machine =
        Machine { rest: program, document, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while !machine.step()? {}
    Ok(machine.document)
}

struct Machine<'a> {
    rest: &'a [u8],
    document: Document,
    stack: Vec<Handle>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Handle>,
}

impl Machine<'_> {
    /// One instruction; true at the end of the program.
    fn step(&mut self) -> Result<bool, String> {
        let instruction = self.byte()?;
        match instruction {
            0x80 => match self.byte()? {
                2..=5 => {}
                other => return Err(format!("it has protocol {other}")),
            },
            // FRAME: a hint about sizes.
            0x95 => {
                self.take(8)?;
            }
            b'.' => {
                self.document.root = self.pop()?;
                return Ok(true);
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_to_mark()?;
            }
            b'N' => self.push(Node::None)?,
            0x88 | 0x89 => self.push(Node::Bool)?,
            b'J' | b'K' | b'M' | 0x8a => {
                let value = self.integer(instruction)?;
                self.push(Node::Integer(value))?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Node::Float)?;
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(instruction - 0x84))?;
                self.push(Node::Tuple(items))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'a' => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            0x8f => self.push(Node::Set)?,
            // ADDITEMS: what a set holds is of no interest.
            0x90 => {
                self.pop_to_mark()?;
            }
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Node::Global(Global::find(&module, &name)?))?;
            }
            0x93 => self.stack_global()?,
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                let storage = globals::storage(&self.document, id)?;
                self.push(Node::Storage(storage))?;
            }
            b'q' => {
                let index = u32::from(self.byte()?);
                self.remember(index)?;
            }
            b'r' => {
                let index = self.u32()?;
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let index = u32::from(self.byte()?);
                self.recall(index)?;
            }
            b'j' => {
                let index = self.u32()?;
                self.recall(index)?;
            }
            other => return Err(format!("it has the instruction 0x{other:02x}, which no embedding needs")),
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it ends in the middle")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.little_endian(4).map(|value| value as u32)
    }

    /// An unsigned integer of up to eight bytes.
    fn little_endian(&mut self, bytes: usize) -> Result<u64, String> {
        Ok(self.take(bytes)?.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn integer(&mut self, instruction: u8) -> Result<i64, String> {
        match instruction {
            b'K' => self.little_endian(1).map(|value| value as i64),
            b'M' => self.little_endian(2).map(|value| value as i64),
            b'J' => self.u32().map(|value| i64::from(value as i32)),
            _ => {
                let count = usize::from(self.byte()?);
                if count > 8 {
                    return Err(format!("it has an integer of {count} bytes"));
                }
                let value = self.little_endian(count)?;
                let unused = 64 - 8 * count as u32;
                Ok((value.checked_shl(unused).unwrap_or(0) as i64).checked_shr(unused).unwrap_or(0))
            }
        }
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), String> {
        let length = usize::try_from(self.little_endian(length_bytes)?).unwrap_or(usize::MAX);
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "it has text that is not UTF-8")?;
        let text = text.to_owned();
        self.push(Node::Text(text))
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.rest.iter().take(MAX_NAME + 1).position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or("it has a name that does not end")?)?;
        let line = String::from_utf8_lossy(line).into_owned();
        self.byte()?;
        Ok(line)
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        if self.document.nodes.len() >= MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} values"));
        }
        self.stack.push(Handle(self.document.nodes.len()));
        self.document.nodes.push(node);
        Ok(())
    }

    fn push_existing(&mut self, handle: Handle) -> Result<(), String> {
        if self.stack.len() >= MAX_NODES {
            return Err(format!("it stacks more than {MAX_NODES} values"));
        }
        self.stack.push(handle);
        Ok(())
    }

    /// Values may not be taken from under an open mark.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Handle>, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= floor);
        Ok(self.stack.split_off(start.ok_or("it takes values that are not there")?))
    }

    fn pop(&mut self) -> Result<Handle, String> {
        Ok(self.pop_many(1)?[0])
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Handle>, String> {
        let mark = self.marks.pop().ok_or("it closes a mark that is not open")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn top(&mut self) -> Result<&mut Node, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| self.stack.len() > floor);
        top.and_then(|handle| self.document.nodes.get_mut(handle.0))
            .ok_or_else(|| "it changes a value that is not there".to_owned())
    }

    fn append(&mut self, items: Vec<Handle>) -> Result<(), String> {
        match self.top()? {
            Node::List(list) => list.extend(items),
            _ => return Err("it appends to something that is not a list".to_owned()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Handle]) -> Result<(), String> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err("it sets a key without a value".to_owned());
        };
        match self.top()? {
            Node::Dict(dict) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err("it sets keys of something that is not a dictionary".to_owned()),
        }
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), String> {
        let [module, name] = self.pop_many(2)?[..] else { return Err("it lacks a name".to_owned()) };
        let text = |handle| self.document.node(handle).as_text().filter(|text| text.len() <= MAX_NAME);
        let global = match (text(module), text(name)) {
            (Some(module), Some(name)) => Global::find(module, name)?,
            _ => return Err("it looks up a name that is not text".to_owned()),
        };
        self.push(Node::Global(global))
    }

    /// REDUCE and NEWOBJ.
    fn call(&mut self) -> Result<(), String> {
        let [function, arguments] = self.pop_many(2)?[..] else {
            return Err("it lacks arguments".to_owned());
        };
        let (Node::Global(global), Node::Tuple(arguments)) =
            (self.document.node(function), self.document.node(arguments))
        else {
            return Err("it calls something that is not a name".to_owned());
        };
        match global.call(&self.document, arguments)? {
            Ok(node) => self.push(node),
            Err(existing) => self.push_existing(existing),
        }
    }

    /// BUILD: the attributes of an object; those of a dictionary (torch gives some) are of no interest.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        match self.top()? {
            Node::Object(attributes) => *attributes = Some(state),
            Node::Dict(_) => {}
            _ => return Err("it sets attributes of a plain value".to_owned()),
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<(), String> {
        self.top()?;
        let handle = self.stack.last().copied().ok_or("it remembers nothing")?;
        if self.memo.len() >= MAX_NODES {
            return Err(format!("it remembers more than {MAX_NODES} values"));
        }
        self.memo.insert(index, handle);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), String> {
        let handle = *self.memo.get(&index).ok_or("it recalls a value that it never remembered")?;
        self.push_existing(handle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refuse(program: &[u8]) -> String {
        read(program).unwrap_err()
    }

    #[test]
    fn a_call_of_the_system_is_refused_by_name() {
        let message = refuse(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
        assert!(message.contains("posix.system"), "{message}");
        let message = refuse(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.");
        assert!(message.contains("builtins.eval"), "{message}");
        let message = refuse(b"\x80\x02ctorch.hub\nload\n.");
        assert!(message.contains("torch.hub.load"), "{message}");
    }

    #[test]
    fn other_instructions_are_refused() {
        for program in [&b"\x80\x02i"[..], b"\x80\x02o", b"\x80\x02\x82\x01", b"\x80\x06.", b"Vtext\n."] {
            let message = refuse(program);
            assert!(message.contains("instruction") || message.contains("protocol"), "{message}");
        }
    }

    #[test]
    fn broken_programs_end_with_a_reason() {
        for program in
            [&b""[..], b"\x80", b"\x80\x02", b".", b"(.", b"t", b"}N s.", b"}(Nu.", b"Nb.", b"h\x07."]
        {
            assert!(!refuse(program).is_empty());
        }
        assert!(refuse(b"X\xff\xff\xff\xffabc").contains("middle"));
        assert!(refuse(b"X\x01\x00\x00\x00\xff.").contains("UTF-8"));
        assert!(refuse(b"N(0.").contains("not there"));
    }

    #[test]
    fn a_value_that_doubles_itself_stays_small() {
        // Each round makes a tuple of the last one twice: 2^60 leaves if anything were copied.
        let mut program = b"\x80\x02)q\x00".to_vec();
        for _ in 0..60 {
            program.extend(b"h\x00h\x00\x86q\x00");
        }
        program.push(b'.');
        assert!(read(&program).unwrap().nodes.len() < 100);
    }

    #[test]
    fn too_many_values_are_refused() {
        let mut program = vec![b'N'; MAX_NODES + 1];
        program.push(b'.');
        assert!(refuse(&program).contains("more than"));
        let mut program = b"N\x94".to_vec();
        program.extend(std::iter::repeat_n(*b"h\x00", MAX_NODES + 1).flatten());
        assert!(refuse(&program).contains("more than"));
    }

    #[test]
    fn integers_of_all_widths_are_read() {
        let number = |program: &[u8]| match read(program).unwrap().root() {
            Node::Integer(value) => *value,
            other => panic!("{other:?}"),
        };
        assert_eq!(number(b"K\xff."), 255);
        assert_eq!(number(b"M\x09\x01."), 265);
        assert_eq!(number(b"J\xff\xff\xff\xff."), -1);
        assert_eq!(number(b"\x8a\x00."), 0);
        assert_eq!(number(b"\x8a\x01\xff."), -1);
        assert_eq!(number(b"\x8a\x03\x00\x00\x01."), 65536);
        assert_eq!(number(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), i64::MAX);
        assert!(refuse(b"\x8a\x09aaaaaaaaa.").contains("9 bytes"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(program in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&program);
        }

        /// Random programs of known instructions go deeper than random bytes.
        #[test]
        fn arbitrary_instructions_never_panic(
            instructions in proptest::collection::vec(
                prop::sample::select(&b"(012NJKMGXtaes)]}ubcRQqrhj.\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8f\x90\x93\x94"[..]),
                0..120,
            ),
        ) {
            let _ = read(&instructions);
        }
    }
}
