# The echo server with exceptions handled, one client after the other:
# tcp_echo_server.py [ADDR:PORT]
import sys
from socket import *

host, port = (sys.argv + ['0.0.0.0:5001'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.bind((host, int(port)))
sock.listen(5)
print('listening on %s:%d' % sock.getsockname())
while True:
    client, addr = sock.accept()
    while True:
        try:
            data = client.recv(1024)
        except OSError as error:
            print('left:', type(error).__name__)
            break
        if not data:
            print('left: recv returned 0')
            break
        try:
            client.send(data)
        except OSError as error:
            print('left:', type(error).__name__)
            break
    client.close()
