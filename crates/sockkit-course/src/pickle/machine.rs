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
            ) => array(shape, data, layout(order)?)?,
            (
                Name::FromBuffer,
                [
                    Value::Data(data),
                    Value::Uint8,
                    Value::Tuple(shape),
                    Value::Text(order),
                    Value::Tuple(axes),
                ],
            ) if order == "K" => array(shape, data, Layout::Axes(axes_of(axes)?))?,
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
            // Version 1, shape, type, whether in Fortran's order, bytes.
            (
                Value::Unbuilt,
                [
                    Value::Int(1),
                    Value::Tuple(shape),
                    Value::Uint8,
                    Value::Bool(fortran),
                    Value::Data(data),
                ],
            ) => {
                let layout = if *fortran { Layout::Fortran } else { Layout::C };
                array(shape, data, layout)?
            }
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

/// How an array's bytes lie.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// The last axis is the innermost.
    C,
    /// The first axis is the innermost.
    Fortran,
    /// In C's order of axes that are then put in this order.
    Axes([usize; 3]),
}

fn layout(order: &[u8]) -> Result<Layout, PickleError> {
    match order {
        b"C" => Ok(Layout::C),
        b"F" => Ok(Layout::Fortran),
        _ => Err(PickleError::NotAPicture("an order that is none of numpy's")),
    }
}

/// A permutation of the three axes.
fn axes_of(axes: &[Value]) -> Result<[usize; 3], PickleError> {
    const NONE: PickleError = PickleError::NotAPicture("its axes are not three");
    let &[Value::Int(first), Value::Int(second), Value::Int(third)] = axes else {
        return Err(NONE);
    };
    let axes = [first, second, third].map(|axis| usize::try_from(axis).unwrap_or(usize::MAX));
    match (0..3).all(|axis| axes.contains(&axis)) {
        true => Ok(axes),
        false => Err(NONE),
    }
}

fn array(shape: &[Value], data: &Bytes, layout: Layout) -> Result<Value, PickleError> {
    let &[Value::Int(first), Value::Int(second), Value::Int(third)] = shape else {
        return Err(PickleError::NotAPicture(
            "its shape has not three dimensions",
        ));
    };
    let side =
        |side| u32::try_from(side).map_err(|_| PickleError::NotAPicture("its shape is absurd"));
    let shape = [side(first)?, side(second)?, side(third)?];
    Ok(Value::Array(match layout {
        Layout::C => Array {
            shape,
            data: data.clone(),
        },
        Layout::Fortran => {
            let [first, second, third] = shape;
            in_order([third, second, first], data, [2, 1, 0])?
        }
        Layout::Axes(axes) => in_order(shape, data, axes)?,
    }))
}

/// The array in C's order, of one whose axes lie in memory in that shape and are
/// named in the order `axes`.
fn in_order(memory: [u32; 3], data: &Bytes, axes: [usize; 3]) -> Result<Array, PickleError> {
    // Else two sides as long as can be and one of zero would be walked through for years.
    if data.is_empty() {
        return Err(PickleError::NotAPicture("it is empty"));
    }
    let [first, second, third] = memory.map(|side| side as usize);
    let bytes = first
        .checked_mul(second)
        .and_then(|area| area.checked_mul(third));
    if bytes != Some(data.len()) {
        return Err(PickleError::NotAPicture("its shape does not fit its bytes"));
    }
    let steps = [second * third, third, 1];
    let (shape, steps) = (axes.map(|axis| memory[axis]), axes.map(|axis| steps[axis]));
    let mut ordered = Vec::with_capacity(data.len());
    for row in 0..shape[0] as usize {
        for column in 0..shape[1] as usize {
            let at = row * steps[0] + column * steps[1];
            ordered.extend((0..shape[2] as usize).map(|channel| data[at + channel * steps[2]]));
        }
    }
    Ok(Array {
        shape,
        data: ordered.into(),
    })
}

/// Protocol 2 knows no bytes: each is a character.
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
