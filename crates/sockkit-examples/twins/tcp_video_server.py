# TCP video server, after the notes, with a moving shade instead of a camera:
# tcp_video_server.py ADDR:PORT jpeg|raw|pickle le|be
import pickle
import socket
import struct
import sys

import cv2
import numpy

host, port = sys.argv[1].rsplit(':', 1)
body, order = sys.argv[2:4]
code = 'Q' if order == 'le' else '!Q'
sock = socket.socket()
sock.bind((host, int(port)))
sock.listen(5)
print('listening on %s:%d' % sock.getsockname())
client, _ = sock.accept()
number = 0
while True:
    frame = numpy.full((480, 640, 3), number % 256, dtype=numpy.uint8)
    number += 1
    if body == 'pickle':
        picture = pickle.dumps(frame)
    elif body == 'raw':
        picture = frame.tobytes()
    else:
        picture = cv2.imencode('.jpg', frame)[1].tobytes()
    client.sendall(struct.pack(code, len(picture)) + picture)
