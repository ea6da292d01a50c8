/* The plainest fast file transfer there is, to be measured against: sendfile on
   one side, recv and write on the other, one byte back at the end. Other routes
   through the kernel for comparison.

   pair receive FILE [write|splice|mmap]         prints the port, then its figures
   pair send PORT FILE [sendfile|read|splice]    prints its figures
   figures: seconds, CPU seconds, peak memory in KiB */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static char buffer[256 << 10];

/* Moves what is in the pipe to `out`. */
static void empty(int pipe, int out, long bytes) {
    while (bytes > 0) {
        long moved = splice(pipe, NULL, out, NULL, bytes, SPLICE_F_MOVE);
        check(moved);
        bytes -= moved;
    }
}

/* Moves everything from `in` to `out` through a pipe, in pages where it can. */
static void splice_all(int in, int out) {
    int ends[2];
    long bytes;
    check(pipe(ends));
    check(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20));
    while ((bytes = splice(in, NULL, ends[1], NULL, 1 << 20, SPLICE_F_MOVE)) > 0)
        empty(ends[0], out, bytes);
    check(bytes);
}

/* By a buffer of our own. */
static void copy_all(int in, int out) {
    long bytes;
    while ((bytes = read(in, buffer, sizeof buffer)) > 0)
        for (long put = 0; put < bytes;) {
            long more = write(out, buffer + put, bytes - put);
            check(more);
            put += more;
        }
    check(bytes);
}

/* Straight into the pages of the file, whose length is known here. */
static void receive_mapped(int sock, int file) {
    long at = 0, bytes;
    check(ftruncate(file, 1 << 30));
    char *pages = mmap(NULL, 1 << 30, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (pages == MAP_FAILED) check(-1);
    while (at < 1 << 30 && (bytes = recv(sock, pages + at, sizeof buffer, 0)) > 0) at += bytes;
}

static void send_file(int port, const char *path, const char *route) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int file = open(path, O_RDONLY), sock = socket(AF_INET, SOCK_STREAM, 0);
    struct stat st;
    check(file);
    check(fstat(file, &st));
    double since = now();
    check(connect(sock, (struct sockaddr *)&to, sizeof to));
    if (!strcmp(route, "read")) copy_all(file, sock);
    else if (!strcmp(route, "splice")) splice_all(file, sock);
    else
        for (off_t at = 0; at < st.st_size;) check(sendfile(sock, file, &at, 1 << 30));
    check(shutdown(sock, SHUT_WR));
    char done;
    check(read(sock, &done, 1));
    figures(since);
}

static void receive_file(const char *path, const char *route) {
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
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(file);
    if (!strcmp(route, "splice")) splice_all(sock, file);
    else if (!strcmp(route, "mmap")) receive_mapped(sock, file);
    else copy_all(sock, file);
    check(write(sock, "k", 1));
    figures(since);
}

int main(int argc, char **argv) {
    if (argc >= 4 && !strcmp(argv[1], "send"))
        send_file(atoi(argv[2]), argv[3], argc > 4 ? argv[4] : "sendfile");
    else if (argc >= 3 && !strcmp(argv[1], "receive"))
        receive_file(argv[2], argc > 3 ? argv[3] : "write");
    else return 2;
    return 0;
}
