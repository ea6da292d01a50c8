//! The stack machine, with the few opcodes and names that a picture needs.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::PickleError;

/// A C-contiguous array of `uint8`.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) shape: [u32; 3],
    pub(super) data: Bytes,
}

#[derive(Clone, Debug)]
enum Value {
    Mark,
    None,
    Bool(bool),
    Int(i64),
    Text(Bytes),
    Data(Bytes),
    Name(Name),
    /// Shared, because the memo may contain it many times, and itself.
    Tuple(Arc<[Self]>),
    /// `dtype('u1')`
    Uint8,
    /// The result of `_reconstruct`, filled in by BUILD.
    Unbuilt,
    Array(Array),
}

/// The supported names.
#[derive(Clone, Copy, Debug)]
enum Name {
    Reconstruct,
    FromBuffer,
    NdArray,
    Dtype,
    Encode,
}

/// Executes a pickle up to its STOP.
pub(super) fn run(body: &Bytes) -> Result<Array, PickleError> {
    let mut machine = Machine {
        body: body.clone(),
        at: 0,
        stack: Vec::new(),
        memo: BTreeMap::new(),
    };
    for _ in 0..MAX_OPCODES {
        if let Some(array) = machine.step()? {
            return Ok(array);
        }
    }
    Err(PickleError::TooLong { limit: MAX_OPCODES })
}

struct Machine {
    body: Bytes,
    at: usize,
    stack: Vec<Value>,
    memo: BTreeMap<u32, Value>,
}

impl Machine {
    /// Executes one opcode; returns the array at STOP.
    fn step(&mut self) -> Result<Option<Array>, PickleError> {
        let at = self.at;
        let [opcode] = self.array()?;
        match opcode {
            0x80 => drop(self.array::<1>()?), // PROTO
            0x95 => drop(self.array::<8>()?), // FRAME
            b'(' => self.stack.push(Value::Mark),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' | b'M' | b'J' => {
                let number = self.integer(opcode)?;
                self.stack.push(Value::Int(number));
            }
            0x8c | b'X' => {
                let text = self.counted(opcode)?;
                self.stack.push(Value::Text(text));
            }
            b'C' | b'B' | 0x8e | 0x96 => {
                let data = self.counted(opcode)?;
                self.stack.push(Value::Data(data));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Name(named(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.text()?, self.text()?);
                self.stack.push(Value::Name(named(&module, &name)?));
            }
            0x85..=0x87 => self.tuple_of(usize::from(opcode - 0x84))?,
            b't' => self.tuple_to_mark()?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            0x94 | b'q' | b'r' => self.put(opcode)?,
            b'h' | b'j' => self.get(opcode)?,
            b'.' => return self.stop().map(Some),
            _ => return Err(PickleError::Opcode { opcode, at }),
        }
        Ok(None)
    }

    fn take(&mut self, bytes: usize) -> Result<Bytes, PickleError> {
        let end = self
            .at
            .checked_add(bytes)
            .filter(|end| *end <= self.body.len());
        let end = end.ok_or(PickleError::Truncated)?;
        let taken = self.body.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let taken = self.take(N)?;
        taken[..].try_into().map_err(|_| PickleError::Truncated)
    }

    fn integer(&mut self, opcode: u8) -> Result<i64, PickleError> {
        Ok(match opcode {
            b'K' => u8::from_le_bytes(self.array()?).into(),
            b'M' => u16::from_le_bytes(self.array()?).into(),
            _ => i32::from_le_bytes(self.array()?).into(),
        })
    }

    /// Reads a length of one, four or eight bytes, and that many bytes, if
    /// there are enough.
    fn counted(&mut self, opcode: u8) -> Result<Bytes, PickleError> {
        let length = match opcode {
            0x8c | b'C' => u64::from(u8::from_le_bytes(self.array()?)),
            b'X' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        self.take(usize::try_from(length).map_err(|_| PickleError::Truncated)?)
    }

    fn line(&mut self) -> Result<Bytes, PickleError> {
        let rest = &self.body[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or(PickleError::Truncated)?)?;
        self.at += 1;
        Ok(line)
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        self.stack.pop().ok_or(EMPTY)
    }

    fn text(&mut self) -> Result<Bytes, PickleError> {
        match self.pop()? {
            Value::Text(text) => Ok(text),
            _ => Err(PickleError::NotAPicture("a name is no text")),
        }
    }

    fn tuple_of(&mut self, items: usize) -> Result<(), PickleError> {
        let begin = self.stack.len().checked_sub(items).ok_or(EMPTY)?;
        let items = self.stack.split_off(begin);
        self.stack.push(Value::Tuple(items.into()));
        Ok(())
    }

    fn tuple_to_mark(&mut self) -> Result<(), PickleError> {
        let is_mark = |value: &Value| matches!(value, Value::Mark);
        let mark = self.stack.iter().rposition(is_mark).ok_or(EMPTY)?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        self.stack.push(Value::Tuple(items.into()));
        Ok(())
    }

    fn put(&mut self, opcode: u8) -> Result<(), PickleError> {
        let next = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
        let index = match opcode {
            b'q' => u8::from_le_bytes(self.array()?).into(),
            b'r' => u32::from_le_bytes(self.array()?),
            _ => next,
        };
        let value = self.stack.last().ok_or(EMPTY)?.clone();
        self.memo.insert(index, value);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Result<(), PickleError> {
        let index = match opcode {
            b'h' => u8::from_le_bytes(self.array()?).into(),
            _ => u32::from_le_bytes(self.array()?),
        };
        let value = self.memo.get(&index).ok_or(EMPTY)?.clone();
        self.stack.push(value);
        Ok(())
    }

    /// A call. Each name has one supported call.
    fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Name(name)) = (arguments, callable) else {
            return Err(PickleError::NotAPicture("what is called is no function"));
        };
        let made = match (name, &arguments[..]) {
            (Name::Reconstruct, [Value::Name(Name::NdArray), Value::Tuple(_), Value::Data(_)]) => {
                Value::Unbuilt
            }
            (Name::Dtype, [Value::Text(kind), Value::Bool(false), Value::Bool(true)])
                if kind == "u1" =>
            {
                Value::Uint8
            }
            (Name::Encode, [Value::Text(text), Value::Text(codec)]) if codec == "latin1" => {
                Value::Data(latin1(text)?)
            }
            (
                Name::FromBuffer,
                [
                    Value::Data(data),
                    Value::Uint8,
                    Value::Tuple(shape),
                    Value::Text(order),
                ],
            ) if order == "C" => array(shape, data)?,
            _ => return Err(PickleError::NotAPicture("a call that makes no uint8 array")),
        };
        self.stack.push(made);
        Ok(())
    }

    /// Sets the state of the object below it on the stack.
    fn build(&mut self) -> Result<(), PickleError> {
        let (state, built) = (self.pop()?, self.pop()?);
        let Value::Tuple(state) = state else {
            return Err(PickleError::NotAPicture("a state that is no tuple"));
        };
        let built = match (built, &state[..]) {
            // Version 3, no byte order, no fields, no alignment.
            (Value::Uint8, [Value::Int(3), Value::Text(order), ..]) if order == "|" => Value::Uint8,
            // Version 1, shape, type, not in Fortran's order, bytes.
            (
                Value::Unbuilt,
                [
                    Value::Int(1),
                    Value::Tuple(shape),
                    Value::Uint8,
                    Value::Bool(false),
                    Value::Data(data),
                ],
            ) => array(shape, data)?,
            _ => return Err(PickleError::NotAPicture("a state that is no uint8 array's")),
        };
        self.stack.push(built);
        Ok(())
    }

    fn stop(&mut self) -> Result<Array, PickleError> {
        match self.pop()? {
            Value::Array(array) => Ok(array),
            _ => Err(PickleError::NotAPicture("what it makes is no array")),
        }
    }
}

fn named(module: &[u8], name: &[u8]) -> Result<Name, PickleError> {
    Ok(match (module, name) {
        (b"numpy._core.multiarray" | b"numpy.core.multiarray", b"_reconstruct") => {
            Name::Reconstruct
        }
        (b"numpy._core.numeric" | b"numpy.core.numeric", b"_frombuffer") => Name::FromBuffer,
        (b"numpy", b"ndarray") => Name::NdArray,
        (b"numpy", b"dtype") => Name::Dtype,
        (b"_codecs", b"encode") => Name::Encode,
        _ => {
            let shown = |part: &[u8]| part[..part.len().min(64)].escape_ascii().to_string();
            return Err(PickleError::Name {
                name: format!("{}.{}", shown(module), shown(name)),
            });
        }
    })
}

fn array(shape: &[Value], data: &Bytes) -> Result<Value, PickleError> {
    let &[Value::Int(height), Value::Int(width), Value::Int(depth)] = shape else {
        return Err(PickleError::NotAPicture(
            "its shape has not three dimensions",
        ));
    };
    let side =
        |side| u32::try_from(side).map_err(|_| PickleError::NotAPicture("its shape is too large"));
    Ok(Value::Array(Array {
        shape: [side(height)?, side(width)?, side(depth)?],
        data: data.clone(),
    }))
}

/// Protocol 2 has no bytes type and represents each byte as a character.
fn latin1(text: &[u8]) -> Result<Bytes, PickleError> {
    let not_latin1 = PickleError::NotAPicture("its bytes are not Latin-1");
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(not_latin1);
    };
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.map(Bytes::from).map_err(|_| not_latin1)
}

/// The pickle of an array has fewer than a hundred. Also bounds the stack's
/// depth.
const MAX_OPCODES: usize = 256;

const EMPTY: PickleError = PickleError::NotAPicture("it reads an empty stack or memo");
