# The broadcast sender: broadcast_sender.py ADDR:PORT MESSAGE
import sys
from socket import *

host, port = sys.argv[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_DGRAM)
sock.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
sock.sendto(sys.argv[2].encode(), (host, int(port)))
