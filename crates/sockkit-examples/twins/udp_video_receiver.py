# UDP video receiver, after the notes: prints each picture's shape.
import socket
import sys

import numpy

host, port = sys.argv[1].rsplit(':', 1)
frames = int(sys.argv[2])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind((host, int(port)))
print('listening on %s:%d' % sock.getsockname())
buffer = [b'\xff' * 46080 for _ in range(20)]
received = 0
while received < frames:
    data, _ = sock.recvfrom(46081)
    buffer[data[0]] = data[1:]
    if data[0] == 19:
        frame = numpy.frombuffer(b''.join(buffer), dtype=numpy.uint8)
        frame = frame.reshape(480, 640, 3)
        received += 1
        print(frame.shape)
