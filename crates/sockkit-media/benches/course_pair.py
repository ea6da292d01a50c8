"""The course's UDP video pair, with pictures made beforehand, to be measured against.

receive                  prints the port, then its figures
send PORT RATE N         prints its figures; pauses after each picture
send PORT RATE N spread  pauses after each datagram, so that the default receive
                         buffer, which holds less than a picture, is enough
figures: datagrams, CPU seconds, the sender's seconds
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


def send(port, rate, count, spread):
    pictures = []
    for number in range(25):
        frame = numpy.full((480, 640, 3), number, dtype=numpy.uint8)
        data = frame.flatten().tobytes()
        pictures.append([bytes([i]) + data[i * SIZE:(i + 1) * SIZE] for i in range(20)])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begun, since = time.monotonic(), cpu()
    due = begun

    def pause(seconds):
        nonlocal due
        due += seconds
        time.sleep(max(0, due - time.monotonic()))

    for number in range(count):
        for datagram in pictures[number % 25]:
            sock.sendto(datagram, ('127.0.0.1', port))
            if spread:
                pause(1 / rate / 20)
        if not spread:
            pause(1 / rate)
    print(20 * count, cpu() - since, time.monotonic() - begun)


if sys.argv[1] == 'receive':
    receive()
else:
    send(*map(int, sys.argv[2:5]), spread=len(sys.argv) > 5)
