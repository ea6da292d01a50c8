# Number words, one client after the other: tcp_process_server.py [ADDR:PORT]
import sys
from socket import *

words = {'1': 'one', '2': 'two', '3': 'three', '4': 'four', '5': 'five',
         '6': 'six', '7': 'seven', '8': 'eight', '9': 'nine', '10': 'ten'}
host, port = (sys.argv + ['0.0.0.0:5001'])[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_STREAM)
sock.bind((host, int(port)))
sock.listen(5)
print('listening on %s:%d' % sock.getsockname())
while True:
    client, addr = sock.accept()
    while True:
        data = client.recv(1024)
        if not data:
            break
        client.send(words.get(data.decode(), 'Try again').encode())
    client.close()
