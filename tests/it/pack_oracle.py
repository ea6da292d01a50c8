"""Reads cases from standard input and says what Python's struct makes of them.

A case is a line: `pack FORMAT VALUE...`, `unpack FORMAT HEX`, `size FORMAT`.
The answer is a line: `ok ...`, or `error` and the kind of error. Formats and
bytes are in hexadecimal, floats as the bits of a double.
"""

import struct
import sys


def value(text):
    kind, text = text.split(":")
    if kind == "int":
        return int(text)
    if kind == "bool":
        return text == "true"
    data = bytes.fromhex(text)
    return struct.unpack(">d", data)[0] if kind == "float" else data


def show(value):
    if isinstance(value, bool):
        return f"bool:{str(value).lower()}"
    if isinstance(value, int):
        return f"int:{value}"
    if isinstance(value, float):
        return "float:" + struct.pack(">d", value).hex()
    return "bytes:" + value.hex()


def run(verb, form, *rest):
    form = bytes.fromhex(form).decode("latin-1")
    if verb == "size":
        return str(struct.calcsize(form))
    if verb == "pack":
        return struct.pack(form, *map(value, rest)).hex()
    data = bytes.fromhex(rest[0]) if rest else b""
    if verb == "unpack":
        return " ".join(map(show, struct.unpack(form, data)))
    return " ; ".join(" ".join(map(show, row)) for row in struct.iter_unpack(form, data))


# What each message of struct.error means. The order matters.
KINDS = [
    ("bad char", "unknown-code"),
    ("embedded null", "unknown-code"),
    ("can't encode", "unknown-code"),
    ("without format", "count-without-code"),
    ("too long", "too-large"),
    ("items for packing", "count"),
    ("iteratively", "empty-record"),
    ("iterative", "not-whole"),
    ("requires a buffer", "length"),
    ("not an integer", "type"),
    ("not a float", "type"),
    ("must be", "type"),
    ("bytes object", "type"),
    ("too large to pack", "range"),
    ("requires", "range"),
    ("out of range", "range"),
    ("too large", "range"),
]


def kind(error):
    text = str(error)
    for part, name in KINDS:
        if part in text:
            return name
    return f"unforeseen {type(error).__name__}: {text}"


for line in sys.stdin:
    try:
        print("ok", run(*line.split()))
    except (struct.error, OverflowError, UnicodeEncodeError, ValueError) as error:
        print("error", kind(error))
