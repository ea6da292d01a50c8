# The UDP echo client: udp_echo_client.py ADDR:PORT MESSAGE...
import sys
from socket import *

host, port = sys.argv[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_DGRAM)
sock.settimeout(10)
for message in sys.argv[2:]:
    sock.sendto(message.encode(), (host, int(port)))
    data, addr = sock.recvfrom(2048)
    print(data.decode())
