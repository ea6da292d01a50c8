# The UDP echo server: udp_echo_server.py [ADDR:PORT]
import sys
from socket import *

host, port = (sys.argv + ['0.0.0.0:5004'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind((host, int(port)))
print('listening on %s:%d' % sock.getsockname())
while True:
    data, addr = sock.recvfrom(2048)
    sock.sendto(data, addr)
