"""A second implementation of sealed datagrams, written from docs/wire/seal.md.

Lines of input, in hexadecimal, and what is answered:

    open  SECRET SENDER DIRECTION DATAGRAM   the checksum and the shard, or "refused"
    seal  SECRET SENDER DIRECTION POSITION SUITE HEADER CHECKSUM SHARD   the datagram

HEADER is that of the datagram in the clear. Slow, and not in constant time: it is
for tests alone.
"""

import hashlib
import hmac
import struct
import sys

SEALED, CHACHA = 1, 2
LABELS = {0: b'sockkit seal 1 AES-128-GCM', 1: b'sockkit seal 1 ChaCha20-Poly1305'}


def hkdf(secret, info, length):
    """RFC 5869 with SHA-256 and no salt."""
    key = hmac.digest(bytes(32), secret, 'sha256')
    return hmac.digest(key, info + b'\x01', 'sha256')[:length]


def derive(secret, suite, stream, position, sender, direction):
    epoch = position >> 23
    info = LABELS[suite] + stream + struct.pack('>Q', epoch) + sender + bytes([direction])
    return hkdf(secret, info, 32 if suite else 16)


# ChaCha20-Poly1305, RFC 8439.

def chacha_block(key, counter, nonce):
    state = list(struct.unpack('<16I', b'expand 32-byte k' + key + struct.pack('<I', counter) + nonce))
    work = state[:]

    def quarter(a, b, c, d):
        for x, y, z, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            work[x] = work[x] + work[y] & 0xFFFFFFFF
            mixed = work[z] ^ work[x]
            work[z] = (mixed << left | mixed >> 32 - left) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack('<16I', *(a + b & 0xFFFFFFFF for a, b in zip(work, state)))


def chacha(key, nonce, text):
    stream = b''.join(chacha_block(key, 1 + i, nonce) for i in range(-(-len(text) // 64)))
    return bytes(a ^ b for a, b in zip(text, stream))


def padded(data):
    return data + bytes(-len(data) % 16)


def poly1305_tag(key, nonce, ad, ciphertext):
    once = chacha_block(key, 0, nonce)
    r = int.from_bytes(once[:16], 'little') & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(once[16:32], 'little')
    data = padded(ad) + padded(ciphertext) + struct.pack('<QQ', len(ad), len(ciphertext))
    total = 0
    for i in range(0, len(data), 16):
        total = (total + int.from_bytes(data[i:i + 16] + b'\x01', 'little')) * r % (2 ** 130 - 5)
    return ((total + s) % 2 ** 128).to_bytes(16, 'little')


# AES-128-GCM, FIPS 197 and NIST SP 800-38D.

def double(a):
    return a << 1 ^ (0x11B if a >> 7 else 0)


def make_sbox():
    sbox, p, q = [0] * 256, 1, 1
    while True:
        p ^= double(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        x = q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4)
        sbox[p] = x & 0xFF ^ 0x63
        if p == 1:
            break
    sbox[0] = 0x63
    return sbox


SBOX = make_sbox()


def expand(key):
    words, constant = [list(key[i:i + 4]) for i in range(0, 16, 4)], 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = [SBOX[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = double(constant)
        words.append([a ^ b for a, b in zip(words[-4], word)])
    return [sum(words[i:i + 4], []) for i in range(0, 44, 4)]


def aes_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number, key in enumerate(keys[1:], 1):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 10:
            mixed = []
            for i in range(0, 16, 4):
                a = state[i:i + 4]
                mixed += [double(a[j]) ^ double(a[(j + 1) % 4]) ^ a[(j + 1) % 4]
                          ^ a[(j + 2) % 4] ^ a[(j + 3) % 4] for j in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(state)


def aes_ctr(key, nonce, text):
    keys = expand(key)
    blocks = range(-(-len(text) // 16))
    stream = b''.join(aes_block(keys, nonce + struct.pack('>I', 2 + i)) for i in blocks)
    return bytes(a ^ b for a, b in zip(text, stream))


def ghash_times(x, y):
    z = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            z ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return z


def ghash_tag(key, nonce, ad, ciphertext):
    keys = expand(key)
    h = int.from_bytes(aes_block(keys, bytes(16)), 'big')
    data = padded(ad) + padded(ciphertext) + struct.pack('>QQ', 8 * len(ad), 8 * len(ciphertext))
    total = 0
    for i in range(0, len(data), 16):
        total = ghash_times(total ^ int.from_bytes(data[i:i + 16], 'big'), h)
    mask = int.from_bytes(aes_block(keys, nonce + b'\0\0\0\x01'), 'big')
    return (total ^ mask).to_bytes(16, 'big')


CIPHERS = {0: (aes_ctr, ghash_tag), 1: (chacha, poly1305_tag)}


def open_(secret, sender, direction, datagram):
    header, position, sealed = datagram[:36], datagram[36:44], datagram[44:]
    ciphertext, tag = sealed[:-16], sealed[-16:]
    flags, = struct.unpack('>H', header[34:])
    if header[:3] != b'SK\x01' or flags & ~(SEALED | CHACHA) or not flags & SEALED:
        return 'refused'
    suite = flags >> 1
    number, = struct.unpack('>Q', position)
    key = derive(secret, suite, header[4:12], number, sender, direction)
    crypt, tag_of = CIPHERS[suite]
    nonce = bytes(4) + position
    if tag_of(key, nonce, header, ciphertext) != tag:
        return 'refused'
    clear = crypt(key, nonce, ciphertext)
    return clear[:4].hex() + ' ' + clear[4:].hex()


def seal(secret, sender, direction, position, suite, header, checksum, shard):
    header = header[:24] + bytes(4) + header[28:34] + struct.pack('>H', SEALED | suite << 1)
    key = derive(secret, suite, header[4:12], position, sender, direction)
    crypt, tag_of = CIPHERS[suite]
    place = struct.pack('>Q', position)
    ciphertext = crypt(key, bytes(4) + place, checksum + shard)
    return (header + place + ciphertext + tag_of(key, bytes(4) + place, header, ciphertext)).hex()


for line in sys.stdin:
    what, secret, sender, direction, *rest = line.split()
    common = bytes.fromhex(secret), bytes.fromhex(sender), int(direction, 16)
    if what == 'open':
        print(open_(*common, bytes.fromhex(rest[0])))
    else:
        numbers = [int(number, 16) for number in rest[:2]]
        print(seal(*common, *numbers, *map(bytes.fromhex, rest[2:])))
