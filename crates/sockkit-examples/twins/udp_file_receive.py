import os, sys
from socket import *
os.chdir(sys.argv[1])
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind(('127.0.0.1', 0))
print('listening on %s:%d' % sock.getsockname())
name, addr = sock.recvfrom(1024)
sock.settimeout(2)
sock.sendto(b'OK', addr)
with open('new_' + name.decode(), 'wb') as f:
    while True:
        data, addr = sock.recvfrom(65535)
        if not data:
            break
        f.write(data)
print('done')
