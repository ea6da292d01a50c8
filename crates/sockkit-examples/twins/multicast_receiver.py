# The multicast receiver: multicast_receiver.py GROUP:PORT INTERFACE_ADDR
import struct, sys
from socket import *

group, port = sys.argv[1].rsplit(':', 1)
sock = socket(AF_INET, SOCK_DGRAM)
sock.bind(('', int(port)))
mreq = struct.pack('=4s4s', inet_aton(group), inet_aton(sys.argv[2]))
sock.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, mreq)
print('listening on %s:%d' % (group, sock.getsockname()[1]))
data, addr = sock.recvfrom(1024)
print(data.decode())
sock.setsockopt(IPPROTO_IP, IP_DROP_MEMBERSHIP, mreq)
