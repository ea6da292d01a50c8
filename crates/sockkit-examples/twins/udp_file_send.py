import os, sys, time
from socket import *
sock = socket(AF_INET, SOCK_DGRAM)
sock.settimeout(10)
to = ('127.0.0.1', int(sys.argv[1]))
sock.sendto(os.path.basename(sys.argv[2]).encode(), to)
assert sock.recvfrom(1024)[0] == b'OK'
with open(sys.argv[2], 'rb') as f:
    n = 0
    while data := f.read(1024):
        sock.sendto(data, to)
        n += 1
        if n % 16 == 0:
            time.sleep(0.001)
sock.sendto(b'', to)
