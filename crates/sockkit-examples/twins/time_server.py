# The time server: time_server.py [ADDR:PORT]
import sys
import time
from socket import *

host, port = (sys.argv + ['0.0.0.0:5000'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.bind((host, int(port)))
sock.listen(5)
print('listening on %s:%d' % sock.getsockname())
while True:
    client, addr = sock.accept()
    client.send(time.ctime(time.time()).encode())
    client.close()
