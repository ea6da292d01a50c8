# TCP video client, after the notes: the length as struct.pack('Q'), then a JPEG.
import socket
import struct
import sys

import cv2
import numpy

host, port = sys.argv[1].rsplit(':', 1)
sock = socket.create_connection((host, int(port)))
data = b''
for _ in range(int(sys.argv[2])):
    while len(data) < 8:
        data += sock.recv(4096)
    size = struct.unpack('Q', data[:8])[0]
    data = data[8:]
    while len(data) < size:
        data += sock.recv(65536)
    frame = cv2.imdecode(numpy.frombuffer(data[:size], dtype=numpy.uint8), cv2.IMREAD_COLOR)
    data = data[size:]
    print(frame.shape)
