"""A second implementation of the file session, written from docs/wire/file.md.

    peer.py send PORT FOLDER       offers what is in the folder
    peer.py receive PORT FOLDER    takes what is offered, but for names that end in
                                   `.no` and `.odd`: those are refused, the second
                                   for a reason that no version knows

Both dial 127.0.0.1. Each entry is told in a line: how it ended, and its path in
hexadecimal.
"""

import array
import os
import socket
import stat
import struct
import sys

BLOCK = 4 << 20

# BLAKE3, after its specification. Many nodes are computed at once: each number holds
# the same word of all of them, in lanes of 64 bits.
IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
      0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def join(words):
    return int.from_bytes(array.array("Q", words).tobytes(), sys.byteorder)


def compress(cv, block, counters, length, flags):
    """The eight words of the chaining values of as many nodes as counters."""
    lanes = len(counters)
    every = join([1] * lanes)
    mask = 0xFFFFFFFF * every

    def rotate(x, bits):
        return (x >> bits | x << 32 - bits) & mask

    v = list(cv) + [word * every for word in IV[:4]] + [
        join([counter & 0xFFFFFFFF for counter in counters]),
        join([counter >> 32 for counter in counters]),
        length * every,
        flags * every,
    ]

    def g(a, b, c, d, x, y):
        v[a] = v[a] + v[b] + x & mask
        v[d] = rotate(v[d] ^ v[a], 16)
        v[c] = v[c] + v[d] & mask
        v[b] = rotate(v[b] ^ v[c], 12)
        v[a] = v[a] + v[b] + y & mask
        v[d] = rotate(v[d] ^ v[a], 8)
        v[c] = v[c] + v[d] & mask
        v[b] = rotate(v[b] ^ v[c], 7)

    m = list(block)
    for _ in range(7):
        g(0, 4, 8, 12, m[0], m[1])
        g(1, 5, 9, 13, m[2], m[3])
        g(2, 6, 10, 14, m[4], m[5])
        g(3, 7, 11, 15, m[6], m[7])
        g(0, 5, 10, 15, m[8], m[9])
        g(1, 6, 11, 12, m[10], m[11])
        g(2, 7, 8, 13, m[12], m[13])
        g(3, 4, 9, 14, m[14], m[15])
        m = [m[index] for index in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def split(words, lanes):
    """For each node its chaining value."""
    lists = []
    for word in words:
        lane = array.array("Q")
        lane.frombytes(word.to_bytes(8 * lanes, sys.byteorder))
        lists.append(lane)
    return [struct.pack("<8I", *node) for node in zip(*lists)]


def chunks(data, length, first, flags=0):
    """The chaining values of chunks that are all of this length."""
    count = len(data) // length if length else 1
    padded = data if length % 64 == 0 and length else data.ljust(-(-max(length, 1) // 64) * 64, b"\0")
    words = array.array("I", padded)
    if sys.byteorder == "big":
        words.byteswap()
    stride = len(words) // count
    counters = range(first, first + count)
    every = join([1] * count)
    cv = [word * every for word in IV]
    for start in range(0, stride, 16):
        block = [join(words[start + word::stride]) for word in range(16)]
        is_last = start + 16 == stride
        more = (CHUNK_START if start == 0 else 0) | (CHUNK_END | flags if is_last else 0)
        cv = compress(cv, block, counters, length - start * 4 if is_last else 64, more)
    return split(cv, count)


def parents(nodes, flags=0):
    """One level up; an odd one stays as it is."""
    pairs = [left + right for left, right in zip(nodes[::2], nodes[1::2])]
    words = array.array("I", b"".join(pairs))
    if sys.byteorder == "big":
        words.byteswap()
    every = join([1] * len(pairs))
    block = [join(words[word::16]) for word in range(16)]
    cv = compress([word * every for word in IV], block, [0] * len(pairs), 64, PARENT | flags)
    return split(cv, len(pairs)) + nodes[len(pairs) * 2:]


def join_up(nodes, flags=0):
    while len(nodes) > 2:
        nodes = parents(nodes)
    return parents(nodes, flags)[0] if len(nodes) == 2 else nodes[0]


def blake3(data):
    return subtree(data, 0, ROOT)


def subtree(data, first, flags=0):
    if len(data) <= 1024:
        return chunks(data, len(data), first, flags)[0]
    whole = len(data) // 1024 * 1024
    nodes = chunks(data[:whole], 1024, first)
    if whole < len(data):
        nodes += chunks(data[whole:], len(data) - whole, first + whole // 1024)
    return join_up(nodes, flags)


def block_digests(data):
    """The digest of each block, and of the file."""
    if len(data) <= BLOCK:
        return [blake3(data)] if data else [], blake3(data)
    digests = [subtree(data[at:at + BLOCK], at // 1024) for at in range(0, len(data), BLOCK)]
    return digests, join_up(digests, ROOT)


# The session.
HELLO, OFFER, ANSWER, DATA, END, FAILED, DONE, REPORT, WORKING, ABORT = range(1, 11)


class Peer:
    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=60)

    def say(self, kind, body=b""):
        self.stream.sendall(struct.pack(">QB", 1 + len(body), kind) + body)

    def exactly(self, count):
        parts = bytearray()
        while len(parts) < count:
            part = self.stream.recv(min(count - len(parts), 1 << 20))
            if not part:
                raise EOFError("the peer has closed")
            parts += part
        return bytes(parts)

    def hear(self, *kinds):
        """The next message that is no keep-alive."""
        while True:
            length, kind = struct.unpack(">QB", self.exactly(9))
            body = self.exactly(length - 1)
            if kind == ABORT:
                raise SystemExit("abort %d, %d, %d" % struct.unpack(">BQQ", body))
            if kind != WORKING:
                assert kind in kinds, kind
                return kind, body

    def greet(self, role):
        # An unknown extension is skipped.
        self.say(HELLO, b"SKFT" + struct.pack(">HBB", 2, role, 2) + b"py" + b"\x7f\x01\0\x03abc")
        _, body = self.hear(HELLO)
        magic, version, other, length = struct.unpack_from(">4sHBB", body)
        assert (magic, version, other) == (b"SKFT", 2, 1 - role), body
        body[8:8 + length].decode()
        extensions(body[8 + length:], ">HH")


def extensions(body, head):
    while body:
        kind, length = struct.unpack_from(head, body)
        assert kind < 0x8000, kind
        at = struct.calcsize(head)
        assert at + length <= len(body)
        body = body[at + length:]


def tell(outcome, path):
    print(outcome, path.hex())


# The sender.
def listed(folder, prefix=b""):
    for name in sorted(os.listdir(os.path.join(folder, prefix))):
        path = os.path.join(prefix, name)
        there = os.lstat(os.path.join(folder, path))
        yield path, there
        if stat.S_ISDIR(there.st_mode):
            yield from listed(folder, path)


def entry(folder, path, there):
    mode, target, size = stat.S_IMODE(there.st_mode) & 0o777, b"", 0
    private = mode & 0o044 != 0o044
    if stat.S_ISLNK(there.st_mode):
        kind, mode, private = 2, 0, False
        target = os.readlink(os.path.join(folder, path))
    elif stat.S_ISDIR(there.st_mode):
        kind = 1
    else:
        kind, size = 0, there.st_size
    seconds, nanoseconds = divmod(there.st_mtime_ns, 10**9)
    head = struct.pack(">BBHQqI", kind, private, mode, size, seconds, nanoseconds)
    return head + b"".join(struct.pack(">H", len(part)) + part for part in (path, target))


def send(port, folder):
    peer = Peer(port)
    peer.greet(0)
    entries = list(listed(folder))
    body = struct.pack(">BII", 1, 2, len(entries))
    body += b"".join(entry(folder, path, there) for path, there in entries)
    # A place for groups, which this receiver does not know.
    peer.say(OFFER, body + struct.pack(">HI", 1, 4) + b"some")
    _, body = peer.hear(ANSWER)
    assert struct.unpack_from(">I", body) == (len(entries),)
    at, refused = 4, {}
    for index, (path, there) in enumerate(entries):
        code, at = body[at], at + 1
        if code == 1:
            refused[index] = body[at]
            at += 1
            continue
        have, chain = 0, b""
        if code == 2:
            have, chain = struct.unpack_from(">Q32s", body, at)
            at += 40
        if stat.S_ISREG(there.st_mode):
            send_file(peer, index, os.path.join(folder, path), code, have, chain)
        else:
            assert code == 0, code
    extensions(body[at:], ">HI")
    peer.say(DONE)
    _, body = peer.hear(REPORT)
    for index, reason in struct.iter_unpack(">IB", body[4:]):
        refused[index] = reason
    for index, (path, _) in enumerate(entries):
        tell("refused %d" % refused[index] if index in refused else "sent", path)


def send_file(peer, index, path, code, have, chain):
    with open(path, "rb") as file:
        data = file.read()
    digests, root = block_digests(data)
    first = 0
    if code == 3:
        first = len(digests)
    elif have and blake3(b"".join(digests[:have])) == chain:
        first = have
        print("resumed %d" % have)
    for number in range(first, len(digests)):
        block = data[number * BLOCK:(number + 1) * BLOCK]
        peer.say(DATA, struct.pack(">IQ", index, number) + block + digests[number])
        peer.say(WORKING)
    peer.say(END, struct.pack(">I", index) + root)


# The receiver.
def parse_offer(body):
    integrity, left_out, count = struct.unpack_from(">BII", body)
    assert integrity == 1
    print("left out %d" % left_out)
    at, entries = 9, []
    for _ in range(count):
        kind, flags, mode, size, seconds, nanoseconds = struct.unpack_from(">BBHQqI", body, at)
        at += 24
        texts = []
        for _ in range(2):
            length, = struct.unpack_from(">H", body, at)
            texts.append(body[at + 2:at + 2 + length])
            at += 2 + length
        assert flags <= 1 and mode <= 0o777 and nanoseconds < 10**9
        if flags:
            mode &= 0o700
        entries.append((kind, mode, size, seconds * 10**9 + nanoseconds, *texts))
    extensions(body[at:], ">HI")
    return entries


def decide(folder, kind, size, path):
    """The answer, and which blocks are here."""
    if path.endswith(b".no"):
        return b"\x01\x06", None
    if path.endswith(b".odd"):
        return b"\x01\xc8", None
    assert all(part not in (b"", b".", b"..") for part in path.split(b"/"))
    place = os.path.join(folder, path)
    if kind == 0 and os.path.isfile(place):
        with open(place, "rb") as file:
            data = file.read()
        if len(data) == size:
            return b"\x03", data
        blocks = len(data) // BLOCK
        here = data[:blocks * BLOCK]
        digests = [subtree(here[at:at + BLOCK], at // 1024) for at in range(0, len(here), BLOCK)]
        return struct.pack(">BQ", 2, blocks) + blake3(b"".join(digests)), here
    return b"\0", b""


def receive(port, folder):
    peer = Peer(port)
    peer.greet(1)
    _, body = peer.hear(OFFER)
    entries = parse_offer(body)
    decided = [decide(folder, kind, size, path) for kind, _, size, _, path, _ in entries]
    answers = b"".join(answer for answer, _ in decided)
    # And an extension that the sender skips.
    peer.say(ANSWER, struct.pack(">I", len(entries)) + answers + struct.pack(">HI", 9, 1) + b"x")
    failed = {}
    for index, (kind, mode, size, modified, path, target) in enumerate(entries):
        if kind == 0 and decided[index][1] is not None:
            data = receive_file(peer, index, size, *decided[index])
            if data is None:
                failed[index] = True
                continue
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(data)
            os.chmod(place, mode)
            os.utime(place, ns=(modified, modified))
    peer.hear(DONE)
    for index, (kind, mode, _, _, path, target) in enumerate(entries):
        place = os.path.join(folder, path)
        if decided[index][1] is not None and kind == 1:
            os.makedirs(place, exist_ok=True)
            os.chmod(place, mode)
        if decided[index][1] is not None and kind == 2:
            os.symlink(target, place)
    peer.say(REPORT, struct.pack(">I", 0))
    for index, (_, _, _, _, path, _) in enumerate(entries):
        was_refused = decided[index][1] is None
        tell("refused" if was_refused else "failed" if index in failed else "received", path)


def receive_file(peer, index, size, answer, here):
    data, expected = bytearray(here), len(here) // BLOCK
    if answer == b"\x03":
        expected = None
    while True:
        kind, body = peer.hear(DATA, END, FAILED)
        if kind == FAILED:
            return None
        if kind == END:
            entry_, digest = struct.unpack(">I32s", body)
            assert entry_ == index and len(data) == size
            assert digest == block_digests(bytes(data))[1], "the file's digest"
            return bytes(data)
        entry_, number = struct.unpack_from(">IQ", body)
        if number == 0:
            data, expected = bytearray(), 0
        block, digest = body[12:-32], body[-32:]
        assert (entry_, number) == (index, expected), (entry_, number)
        assert len(block) == min(BLOCK, size - number * BLOCK)
        alone = size <= BLOCK
        assert digest == (blake3(block) if alone else subtree(block, number * BLOCK // 1024))
        data += block
        expected += 1


if __name__ == "__main__":
    {"send": send, "receive": receive}[sys.argv[1]](int(sys.argv[2]), os.fsencode(sys.argv[3]))
