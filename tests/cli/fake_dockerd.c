/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A dockerd that misbehaves, for test_with.c. The file "dockerd.mode" beside it says how:
 *
 *   die      says why and ends
 *   silent   runs, but never listens
 *   mute     listens and takes requests, but never answers
 *   refuse   answers every request but a ping with status 500
 *   vanish   answers pings, dies at the first other request
 *   garbage  answers everything with what is no JSON
 *   litter   mounts a file system in its data root, leaves a process behind that no signal but
 *            SIGKILL ends, and then is silent
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char mode_path[] = "/usr/local/sbin/dockerd.mode";
static const char socket_path[] = "/run/docker.sock";

static char mode[32];

static void fail(const char *what)
{
    fprintf(stderr, "fake dockerd: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void read_mode(void)
{
    int fd = open(mode_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, mode, sizeof mode - 1) <= 0)
        fail(mode_path);
    close(fd);
}

static bool is_mode(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void sleep_forever(void)
{
    for (;;)
        (void)pause();
}

static const char *argument(char **argv, const char *name)
{
    for (; *argv != NULL; argv++) {
        if (strcmp(*argv, name) == 0)
            return argv[1];
    }
    return NULL;
}

static void litter(char **argv)
{
    const char *data = argument(argv, "--data-root");

    (void)signal(SIGTERM, SIG_IGN);
    if (data == NULL || mkdir(data, 0700) < 0 || mount("tmpfs", data, "tmpfs", 0, NULL) < 0)
        fail("mounting");
    if (fork() == 0) {
        (void)setsid();
        sleep_forever();
    }
    sleep_forever();
}

/* The whole request, so that the client reads an answer and not a broken connection. */
static bool take_request(int fd, char *head, size_t size)
{
    size_t len = 0;
    const char *end = NULL;
    const char *field;
    size_t left;
    char block[65536];

    while (end == NULL && len + 1 < size) {
        ssize_t n = read(fd, head + len, size - len - 1);

        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    if (end == NULL)
        return false;
    field = strcasestr(head, "content-length:");
    left = field != NULL ? strtoul(field + 15, NULL, 10) : 0;
    left -= len - (size_t)(end + 4 - head) < left ? len - (size_t)(end + 4 - head) : left;
    while (left > 0) {
        ssize_t n = read(fd, block, left < sizeof block ? left : sizeof block);

        if (n <= 0)
            return false;
        left -= (size_t)n;
    }
    return true;
}

static void answer(int fd, const char *status, const char *body)
{
    dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
            strlen(body), body);
}

static void serve(int fd)
{
    char head[16384];

    if (!take_request(fd, head, sizeof head))
        return;
    if (is_mode("mute"))
        sleep_forever();
    if (is_mode("garbage") || strncmp(head, "GET /_ping ", 11) == 0) {
        answer(fd, "200 OK", "OK");
    } else if (is_mode("vanish")) {
        fprintf(stderr, "fake dockerd: a bug bit me\n");
        _exit(7);
    } else {
        answer(fd, "500 Internal Server Error", "{\"message\":\"the fake is out of order\"}");
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener;

    (void)argc;
    read_mode();
    if (is_mode("die")) {
        fprintf(stderr, "fake dockerd: starting\nfake dockerd: no graph driver fits\n");
        return 3;
    }
    if (is_mode("litter"))
        litter(argv);
    if (is_mode("silent"))
        sleep_forever();
    memcpy(address.sun_path, socket_path, sizeof socket_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 8) < 0)
        fail(socket_path);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            fail("accept");
        serve(fd);
        close(fd);
    }
}
