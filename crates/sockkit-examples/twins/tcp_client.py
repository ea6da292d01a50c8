# The TCP client with exceptions handled, lines until q: tcp_client.py [ADDR:PORT]
import sys
from socket import *

host, port = (sys.argv + ['127.0.0.1:5001'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.connect((host, int(port)))
for line in sys.stdin:
    line = line.rstrip('\n')
    if line == 'q':
        break
    try:
        sock.send(line.encode())
        data = sock.recv(1024)
    except OSError as error:
        sys.exit(type(error).__name__)
    if not data:
        sys.exit('the server has closed')
    print(data.decode())
sock.close()
