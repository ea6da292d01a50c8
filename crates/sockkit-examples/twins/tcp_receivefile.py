# The TCP file receiver: tcp_receivefile.py [ADDR:PORT [DIR]]
import os, sys
from socket import *

host, port = (sys.argv + ['127.0.0.1:5002'])[1].rsplit(':', 1)
if len(sys.argv) > 2:
    os.chdir(sys.argv[2])
s_sock = socket(AF_INET, SOCK_STREAM)
s_sock.connect((host, int(port)))
s_sock.sendall(b'I am ready')

fn = s_sock.recv(1024).decode()
with open('new_' + fn, 'wb') as f:
    print('receiving file...')
    while True:
        data = s_sock.recv(8192)
        if not data:
            break
        f.write(data)
print('new_' + fn)
