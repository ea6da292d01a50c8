# The first TCP client: tcp_client_demo.py ADDR:PORT MESSAGE...
import sys
from socket import *

host, port = sys.argv[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.connect((host, int(port)))
for message in sys.argv[2:]:
    sock.send(message.encode())
    print('received:', sock.recv(1024).decode())
sock.close()
