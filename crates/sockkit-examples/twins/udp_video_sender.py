# UDP video sender, after the notes, with a moving shade instead of a camera.
import socket
import sys
import time

import numpy

host, port = sys.argv[1].rsplit(':', 1)
frames = int(sys.argv[2])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
size = 46080
for number in range(frames):
    frame = numpy.full((480, 640, 3), number % 256, dtype=numpy.uint8)
    data = frame.flatten().tobytes()
    for i in range(20):
        sock.sendto(bytes([i]) + data[i * size:(i + 1) * size], (host, int(port)))
        time.sleep(0.0005)
print(f'sent {frames} pictures')
