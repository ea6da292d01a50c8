# The first echo server, one client: tcp_echo_server_demo.py [ADDR:PORT]
import sys
from socket import *

host, port = (sys.argv + ['0.0.0.0:5001'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.bind((host, int(port)))
sock.listen(1)
print('listening on %s:%d' % sock.getsockname())
client, addr = sock.accept()
while True:
    data = client.recv(1024)
    if not data:
        break
    print('received:', data.decode())
    client.send(data)
client.close()
