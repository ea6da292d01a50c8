# The multicast sender: multicast_sender.py GROUP:PORT INTERFACE_ADDR MESSAGE
import struct, sys
from socket import *

group, port = sys.argv[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_DGRAM)
sock.setsockopt(IPPROTO_IP, IP_MULTICAST_TTL, struct.pack('B', 2))
sock.setsockopt(IPPROTO_IP, IP_MULTICAST_IF, inet_aton(sys.argv[2]))
sock.sendto(sys.argv[3].encode(), (group, int(port)))
