# An echo server on a class of one's own: my_tcp_server_ex01.py [PORT]
import sys
from socket import *


class TCPServer:
    def __init__(self, port):
        self.sock = socket(AF_INET, SOCK_STREAM)
        self.sock.bind(('', port))
        self.sock.listen(5)

    def accept(self):
        self.client, addr = self.sock.accept()
        return self.client, addr

    def send(self, msg):
        try:
            self.client.sendall(msg)
        except OSError:
            return False
        return True

    def receive(self, r_sock):
        try:
            return r_sock.recv(1024)
        except OSError:
            return b''

    def disconnect(self):
        self.client.close()


server = TCPServer(int((sys.argv + ['5001'])[1]))
print('listening on %s:%d' % server.sock.getsockname())
while True:
    client, addr = server.accept()
    while True:
        data = server.receive(client)
        if not data or not server.send(data):
            break
    server.disconnect()
