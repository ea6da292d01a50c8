# The notes' sender. It waits after the name, as any sender of this protocol
# must: a faster one glues the file to the name.
import os, sys, time
from socket import *
sock = socket(AF_INET, SOCK_STREAM)
sock.bind(('127.0.0.1', 0))
sock.listen(1)
print('listening on %s:%d' % sock.getsockname())
c_sock, addr = sock.accept()
print(c_sock.recv(1024).decode())
c_sock.sendall(os.path.basename(sys.argv[1]).encode())
if sys.argv[2] == 'wait':
    time.sleep(0.2)
with open(sys.argv[1], 'rb') as f:
    c_sock.sendfile(f, 0)
c_sock.close()
