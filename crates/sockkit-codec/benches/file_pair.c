/* The plainest fast file transfer there is, to be measured against: sendfile on
   one side, recv and write on the other, one byte back at the end.

   pair receive FILE          prints the port, then its figures
   pair send PORT FILE        prints its figures
   figures: seconds, CPU seconds, peak memory in KiB */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void figures(double since) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%f %f %ld\n", now() - since,
           u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
           u.ru_maxrss);
}

static void check(long result) {
    if (result < 0) {
        perror("pair");
        exit(1);
    }
}

static void send_file(int port, const char *path) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = open(path, O_RDONLY), sock = socket(AF_INET, SOCK_STREAM, 0);
    struct stat st;
    check(file);
    check(fstat(file, &st));
    double since = now();
    check(connect(sock, (struct sockaddr *)&to, sizeof to));
    for (off_t at = 0; at < st.st_size;) check(sendfile(sock, file, &at, 1 << 30));
    check(shutdown(sock, SHUT_WR));
    char done;
    check(read(sock, &done, 1));
    figures(since);
}

static void receive_file(const char *path) {
    static char buffer[256 << 10];
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&at, sizeof at));
    check(listen(listener, 1));
    check(getsockname(listener, (struct sockaddr *)&at, &length));
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    int sock = accept(listener, NULL, NULL);
    check(sock);
    double since = now();
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    check(file);
    long bytes;
    while ((bytes = recv(sock, buffer, sizeof buffer, 0)) > 0)
        for (long put = 0; put < bytes;) {
            long more = write(file, buffer + put, bytes - put);
            check(more);
            put += more;
        }
    check(bytes);
    check(write(sock, "k", 1));
    figures(since);
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "send")) send_file(atoi(argv[2]), argv[3]);
    else if (argc == 3 && !strcmp(argv[1], "receive")) receive_file(argv[2]);
    else return 2;
    return 0;
}
