# TCP video client, after the notes: a length, then a JPEG, the raw array, or its
# pickle: tcp_video_client.py ADDR:PORT FRAMES [jpeg|raw|pickle] [le|be]
import pickle
import socket
import struct
import sys

import cv2
import numpy

host, port = sys.argv[1].rsplit(':', 1)
body = sys.argv[3] if len(sys.argv) > 3 else 'jpeg'
order = sys.argv[4] if len(sys.argv) > 4 else 'le'
code = 'Q' if order == 'le' else '!Q'
sock = socket.create_connection((host, int(port)))
data = b''
for _ in range(int(sys.argv[2])):
    while len(data) < 8:
        data += sock.recv(4096)
    size = struct.unpack(code, data[:8])[0]
    data = data[8:]
    while len(data) < size:
        data += sock.recv(65536)
    picture, data = data[:size], data[size:]
    if body == 'pickle':
        frame = pickle.loads(picture)
    elif body == 'raw':
        frame = numpy.frombuffer(picture, dtype=numpy.uint8).reshape(480, 640, 3)
    else:
        frame = cv2.imdecode(numpy.frombuffer(picture, dtype=numpy.uint8), cv2.IMREAD_COLOR)
    print(frame.shape)
