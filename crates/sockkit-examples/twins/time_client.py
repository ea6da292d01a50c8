# The time client: time_client.py [ADDR:PORT]
import sys
from socket import *

host, port = (sys.argv + ['127.0.0.1:5000'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.connect((host, int(port)))
print('current time:', sock.recv(1024).decode())
sock.close()
