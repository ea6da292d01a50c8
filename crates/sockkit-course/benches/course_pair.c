/* The course's UDP video with nothing but the calls it needs: the limit that any
   program with one call a datagram meets.

   pair receive            prints the port, then its figures
   pair send PORT RATE N   prints its figures
   figures: datagrams, CPU seconds, the sender's seconds */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

enum { BLOCKS = 20, BLOCK = 46080, DATAGRAM = 1 + BLOCK, PICTURES = 25 };

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(long result) {
    if (result < 0) {
        perror("pair");
        exit(1);
    }
}

static void patience(int sock, int seconds) {
    struct timeval t = {.tv_sec = seconds};
    check(setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
}

/* Each datagram straight to where its block belongs if it comes in order. */
static void receive(void) {
    static char picture[1 + BLOCKS * BLOCK];
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    int sock = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
    check(setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room));
    check(bind(sock, (struct sockaddr *)&at, sizeof at));
    check(getsockname(sock, (struct sockaddr *)&at, &length));
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    patience(sock, 30);
    long datagrams = 0;
    double since = 0;
    while (recv(sock, picture + datagrams % BLOCKS * BLOCK, DATAGRAM, 0) == DATAGRAM)
        if (!datagrams++) {
            patience(sock, 1);
            since = cpu();
        }
    printf("%ld %f\n", datagrams, cpu() - since);
}

static void send_pictures(int port, double rate, long count) {
    static char pictures[PICTURES][BLOCKS][BLOCK];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int sock = socket(AF_INET, SOCK_DGRAM, 0);
    check(connect(sock, (struct sockaddr *)&to, sizeof to));
    for (int picture = 0; picture < PICTURES; picture++)
        memset(pictures[picture], picture, sizeof pictures[picture]);
    double begun = now(), due = begun, since = cpu();
    for (long number = 0; number < count; number++) {
        for (char block = 0; block < BLOCKS; block++) {
            struct iovec parts[] = {{&block, 1}, {pictures[number % PICTURES][(int)block], BLOCK}};
            check(sendmsg(sock, &(struct msghdr){.msg_iov = parts, .msg_iovlen = 2}, 0));
        }
        due += 1 / rate;
        double left = due - now();
        if (left > 0) nanosleep(&(struct timespec){.tv_nsec = left * 1e9}, NULL);
    }
    printf("%ld %f %f\n", BLOCKS * count, cpu() - since, now() - begun);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "receive")) receive();
    else if (argc == 5 && !strcmp(argv[1], "send"))
        send_pictures(atoi(argv[2]), atof(argv[3]), atol(argv[4]));
    else return 2;
    return 0;
}
