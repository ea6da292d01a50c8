# The TCP file sender: tcp_sendfile.py FILE [ADDR:PORT]
import os, sys, time
from socket import *

filename = sys.argv[1]
host, port = (sys.argv + ['0.0.0.0:5002'])[2].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
sock.bind((host, int(port)))
sock.listen(1)
print('listening on %s:%d' % sock.getsockname())

c_sock, addr = sock.accept()
print(c_sock.recv(1024).decode())
c_sock.sendall(os.path.basename(filename).encode())
# As any sender of this protocol must: the name has no end mark, and a faster
# one glues the file to it.
time.sleep(0.2)
with open(filename, 'rb') as f:
    c_sock.sendfile(f, 0)
c_sock.close()
