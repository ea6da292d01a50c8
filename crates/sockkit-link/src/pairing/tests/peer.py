"""One side of a pairing, written from docs/wire/pair.md: the standard library and
the arithmetic of edwards25519.

usage: peer.py dialler|listener CODE DIALLER LISTENER BINDING SEED NAME

Speaks the messages over standard input and output; ends with 0 if it paired, and
says the peer's name on standard error, or with 1 and the reason. `vectors` instead
prints what the document lists.
"""
import hashlib
import hmac
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


# Points are affine here: slow, and short.
def add(p, q):
    (x1, y1), (x2, y2) = p, q
    k = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P
    return x, y


def multiply(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    if y >= P:
        raise ValueError("not reduced")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        raise ValueError("no point")
    if x & 1 != sign:
        x = P - x
    point = (x, y)
    if point == (0, 1) or multiply(L, point) != (0, 1):
        raise ValueError("outside the group")
    return point


def raw(text):
    """A constant: no check of the subgroup."""
    return decode(bytes.fromhex(text))


BASE = raw("5866666666666666666666666666666666666666666666666666666666666666")
M = raw("15cfd18e385952982b6a8f8c7854963b58e34388c8e6dae891db756481a02312")
N = raw("f04f2e7eb734b2a8f8b472eaf9c3c632576ac64aea650b496a8a20ff00e583c3")


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(key, info, length):
    extracted = hmac.digest(bytes(32), key, "sha256")
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(extracted, block + info + bytes([count]), "sha256")
        out, count = out + block, count + 1
    return out[:length]


def read_code(text):
    parts = text.lower().replace("-", " ").split()
    if parts[0].isdigit():
        return int(parts[0]), "-".join(parts[1:]).encode()
    return 0, "-".join(parts).encode()


class Side:
    def __init__(self, role, code, dialler, listener, binding, seed):
        self.role = role
        self.number, self.secret = read_code(code)
        number = self.number.to_bytes(2, "big")
        self.context = b"sockkit pair" + b"\x01" + number + dialler + listener + binding
        self.blind = int.from_bytes(hkdf(self.secret, b"SPAKE2 pw", 48), "big") % L
        self.scalar = int.from_bytes(seed, "little") % L
        own = M if role == b"dialler" else N
        point = add(multiply(self.scalar, BASE), multiply(self.blind, own))
        self.element = encode(point)

    def finish(self, theirs):
        point = decode(theirs)
        other = N if self.role == b"dialler" else M
        shared = multiply(self.scalar, add(point, multiply(L - self.blind, other)))
        x, y = (self.element, theirs) if self.role == b"dialler" else (theirs, self.element)
        identities = [sha256(self.context + role) for role in (b"dialler", b"listener")]
        self.key = sha256(sha256(self.secret) + b"".join(identities) + x + y + encode(shared))
        self.transcript = self.context + x + y

    def tag(self, role):
        key = hkdf(self.key, b"sockkit pair confirms " + role, 32)
        return hmac.digest(key, role + self.transcript, "sha256")


def read(length):
    data = sys.stdin.buffer.read(length)
    if len(data) != length:
        sys.exit("the peer hung up")
    return data


def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def proceed():
    status = read(1)[0]
    if status:
        sys.exit(f"refused: {status}")


def name(text):
    data = text.encode()
    return bytes([len(data)]) + data


def read_name():
    return read(read(1)[0]).decode(errors="replace")


def dial(side, own):
    write(b"SKPR\x01\x01" + side.number.to_bytes(2, "big") + side.element)
    proceed()
    side.finish(read(32))
    write(side.tag(b"dialler"))
    proceed()
    if not hmac.compare_digest(read(32), side.tag(b"listener")):
        sys.exit("the listener does not know the code")
    called = read_name()
    write(name(own))
    proceed()
    return called


def listen(side, own):
    hello = read(8)
    if hello[:6] != b"SKPR\x01\x01" or int.from_bytes(hello[6:], "big") != side.number:
        write(b"\x04")
        sys.exit("another number")
    side.finish(read(32))
    write(b"\x00" + side.element)
    if not hmac.compare_digest(read(32), side.tag(b"dialler")):
        write(b"\x05")
        sys.exit("wrong code")
    write(b"\x00" + side.tag(b"listener") + name(own))
    called = read_name()
    write(b"\x00")
    return called


def vectors():
    dialler, listener, binding = (bytes([byte]) * 32 for byte in (0xD1, 0x15, 0xB1))
    for code in ("7-coral-lamp", "coral-lamp-orbit"):
        a = Side(b"dialler", code, dialler, listener, binding, bytes([1] * 64))
        b = Side(b"listener", code, dialler, listener, binding, bytes([2] * 64))
        a.finish(b.element)
        b.finish(a.element)
        assert a.key == b.key
        for label, value in (
            ("code", code),
            ("dialler's element", a.element.hex()),
            ("listener's element", b.element.hex()),
            ("key", a.key.hex()),
            ("dialler's tag", a.tag(b"dialler").hex()),
            ("listener's tag", a.tag(b"listener").hex()),
        ):
            print(f"{label}: {value}")


if sys.argv[1] == "vectors":
    vectors()
    sys.exit()
role, code = sys.argv[1].encode(), sys.argv[2]
side = Side(role, code, *(bytes.fromhex(text) for text in sys.argv[3:7]))
called = (dial if role == b"dialler" else listen)(side, sys.argv[7])
print(called, file=sys.stderr)
