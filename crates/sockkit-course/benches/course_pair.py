"""The course's UDP video pair, with pictures made beforehand, to be measured against.

receive               prints the port, then its figures
send PORT RATE N      prints its figures; cuts each picture as the notes do
send PORT RATE N cut  sends datagrams that were cut beforehand too
figures: datagrams, CPU seconds, the sender's seconds

The receive buffer is larger than the notes': with theirs most pictures are torn.
"""
import resource
import socket
import sys
import time

import numpy

SIZE = 46080


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def receive():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(('127.0.0.1', 0))
    print(sock.getsockname()[1], flush=True)
    buffer = [b'\xff' * SIZE for _ in range(20)]
    datagrams, since = 0, cpu()
    sock.settimeout(30)
    try:
        while True:
            data, _ = sock.recvfrom(SIZE + 1)
            if not datagrams:
                sock.settimeout(1)
            datagrams += 1
            buffer[data[0]] = data[1:]
            if data[0] == 19:
                frame = numpy.frombuffer(b''.join(buffer), dtype=numpy.uint8)
                frame = frame.reshape(480, 640, 3)
    except socket.timeout:
        pass
    print(datagrams, cpu() - since)


def send(port, rate, count, beforehand):
    frames = [numpy.full((480, 640, 3), shade, dtype=numpy.uint8) for shade in range(25)]
    if beforehand:
        cut = [list(datagrams(frame.tobytes())) for frame in frames]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begun, since = time.monotonic(), cpu()
    due = begun
    for number in range(count):
        if beforehand:
            pieces = cut[number % 25]
        else:
            # As in the notes, and both kept until the next round.
            one_d_frame = frames[number % 25].flatten()
            send_frame = one_d_frame.tobytes()
            pieces = datagrams(send_frame)
        for datagram in pieces:
            sock.sendto(datagram, ('127.0.0.1', port))
        due += 1 / rate
        time.sleep(max(0, due - time.monotonic()))
    print(20 * count, cpu() - since, time.monotonic() - begun)


def datagrams(send_frame):
    for i in range(20):
        yield bytes([i]) + send_frame[i * SIZE:(i + 1) * SIZE]


if sys.argv[1] == 'receive':
    receive()
else:
    send(*map(int, sys.argv[2:5]), beforehand=len(sys.argv) > 5)
