"""A second implementation of shards, written from docs/wire/shard.md.

A line of input is the datagrams of a message in hexadecimal, all of them and in
order. The answer is the message, or what is wrong with the datagrams.
"""

import struct
import sys

BASIS = [0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
         0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E]

# Between numbers and polynomials, and the powers of x.
POLYNOMIAL = [0] * 65536
for bit, polynomial in enumerate(BASIS):
    for number in range(1 << bit):
        POLYNOMIAL[number | 1 << bit] = POLYNOMIAL[number] ^ polynomial
NUMBER = {polynomial: number for number, polynomial in enumerate(POLYNOMIAL)}
POWER, LOGARITHM = [], {}
state = 1
for exponent in range(65535):
    POWER.append(state)
    LOGARITHM[state] = exponent
    state = state << 1 ^ (0x1002D if state >> 15 else 0)


def times(a, b):
    if a == 0 or b == 0:
        return 0
    exponent = LOGARITHM[POLYNOMIAL[a]] + LOGARITHM[POLYNOMIAL[b]]
    return NUMBER[POWER[exponent % 65535]]


def inverse(a):
    return NUMBER[POWER[-LOGARITHM[POLYNOMIAL[a]] % 65535]]


def evaluate(points, at):
    """The polynomial through these points, by Lagrange's formula."""
    total = 0
    for x, y in points:
        for other, _ in points:
            if other != x:
                y = times(y, times(at ^ other, inverse(x ^ other)))
        total ^= y
    return total


def power_of_two(number):
    return 1 << (number - 1).bit_length()


def parity(data, r):
    """The parity elements for one element of each data shard."""
    k = len(data)
    K, R = power_of_two(k), power_of_two(r)
    d = data + [0] * (K + R)
    if K < R or K == R and k > r:
        points = [(i, d[i]) for i in range(K)]
        return [evaluate(points, K + i) for i in range(r)]
    result = [0] * r
    for s in range(0, k, R):
        points = [(R + s + t, d[s + t]) for t in range(R)]
        result = [sum_ ^ evaluate(points, i) for i, sum_ in enumerate(result)]
    return result


def elements(shard):
    result = []
    for start in range(0, len(shard), 64):
        block = shard[start:start + 64]
        h = len(block) // 2
        result += [block[j] | block[h + j] << 8 for j in range(h)]
    return result


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check(datagrams):
    heads = [struct.unpack('>2sBBQQIIHHHH', datagram[:36]) for datagram in datagrams]
    magic, version, _, _, _, length, crc, _, k, r, flags = heads[0]
    assert (magic, version, flags) == (b'SK', 1, 0), 'magic, version, flags'
    assert [head[7] for head in heads] == list(range(k + r)), 'indexes'
    assert len({head[:7] + head[8:] for head in heads}) == 1, 'headers differ'
    shards = [datagram[36:] for datagram in datagrams]
    shard_bytes = max(2, -(-length // k) + -(-length // k) % 2)
    assert all(len(shard) == shard_bytes for shard in shards), 'shard length'
    joined = b''.join(shards[:k])
    assert not any(joined[length:]), 'padding'
    assert crc32c(joined[:length]) == crc, 'checksum'
    columns = list(zip(*map(elements, shards)))
    # The first elements, the last, and some between: Lagrange is slow.
    for column in columns[::max(1, len(columns) // 4)] + columns[-1:]:
        assert parity(list(column[:k]), r) == list(column[k:]), 'parity'
    return joined[:length].hex()


for line in sys.stdin:
    try:
        print('ok', check([bytes.fromhex(word) for word in line.split()]))
    except AssertionError as error:
        print('wrong', error)
