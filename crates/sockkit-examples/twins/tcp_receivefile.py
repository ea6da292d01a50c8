import os, sys
from socket import *
os.chdir(sys.argv[2])
s_sock = socket(AF_INET, SOCK_STREAM)
s_sock.connect(('127.0.0.1', int(sys.argv[1])))
s_sock.sendall(b'I am ready')
fn = s_sock.recv(1024).decode()
with open('new_' + fn, 'wb') as f:
    while True:
        data = s_sock.recv(8192)
        if not data:
            break
        f.write(data)
print(fn)
