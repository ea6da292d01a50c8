# The broadcast receiver: broadcast_receiver.py [ADDR:PORT]
import sys
from socket import *

host, port = (sys.argv + ['0.0.0.0:5007'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind((host, int(port)))
print('listening on %s:%d' % sock.getsockname())
data, addr = sock.recvfrom(1024)
print(data.decode())
