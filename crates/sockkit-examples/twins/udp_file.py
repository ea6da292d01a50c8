# A file over UDP: udp_file.py s FILE [ADDR:PORT], or r [ADDR:PORT [DIR]]
import os, sys, time
from socket import *


def Sender(filename, to='127.0.0.1:5005'):
    host, port = to.rsplit(':', 1)
    sock = socket(AF_INET, SOCK_DGRAM)
    sock.settimeout(10)
    sock.sendto(os.path.basename(filename).encode(), (host, int(port)))
    assert sock.recvfrom(1024)[0] == b'OK'
    sent = 0
    with open(filename, 'rb') as f:
        while data := f.read(1024):
            sock.sendto(data, (host, int(port)))
            sent += 1
            # Without a pause now and then the receiver's buffer overflows.
            if sent % 16 == 0:
                time.sleep(0.001)
    sock.sendto(b'', (host, int(port)))


def roomy(sock):
    # Room for a whole file, as far as the machine grants it: nothing asks again
    # for a datagram that finds the buffer full. Root passes the machine's limit.
    SO_RCVBUFFORCE = 33
    try:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    except OSError:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 32 << 20)


def Receiver(bind='0.0.0.0:5005', folder='.'):
    os.chdir(folder)
    host, port = bind.rsplit(':', 1)
    sock = socket(AF_INET, SOCK_DGRAM)
    roomy(sock)
    sock.bind((host, int(port)))
    print('listening on %s:%d' % sock.getsockname())
    name, addr = sock.recvfrom(1024)
    sock.sendto(b'OK', addr)
    sock.settimeout(2)
    with open('new_' + name.decode(), 'wb') as f:
        while True:
            try:
                data, addr = sock.recvfrom(65535)
            except timeout:
                print('silence: the end of the file may be missing')
                break
            if not data:
                break
            f.write(data)
    print('new_' + name.decode())


if sys.argv[1] == 's':
    Sender(*sys.argv[2:])
else:
    Receiver(*sys.argv[2:])
