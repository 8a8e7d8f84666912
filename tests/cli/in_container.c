/* SPDX-License-Identifier: Apache-2.0 */
/* The one program of the test's image; static, so that it needs nothing else there. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? 1 : 0;
}

/* So many bytes that no file system stores as holes. */
static int fill_file(const char *path, long bytes)
{
    char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)('a' + i % 23);
    for (; fd >= 0 && bytes > 0; bytes -= (long)sizeof block) {
        size_t some = bytes < (long)sizeof block ? (size_t)bytes : sizeof block;

        if (write(fd, block, some) != (ssize_t)some)
            return 1;
    }
    return fd < 0;
}

static int print_length(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 1;
    printf("%lld\n", (long long)st.st_size);
    return 0;
}

static int print_file(const char *path)
{
    char block[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return 1;
    while ((n = read(fd, block, sizeof block)) > 0)
        if (write(STDOUT_FILENO, block, (size_t)n) != n)
            return 1;
    return n < 0;
}

static int print_self(void)
{
    char host[256] = "";
    char *cwd = getcwd(NULL, 0);

    (void)gethostname(host, sizeof host - 1);
    printf("cwd=%s uid=%u gid=%u pid=%d host=%s\n", cwd, getuid(), getgid(), (int)getpid(), host);
    for (char **e = environ; *e != NULL; e++)
        puts(*e);
    free(cwd);
    return 0;
}

/* Say that it is there, and wait to be killed. */
static int wait_for_end(void)
{
    puts("ready");
    (void)fflush(stdout);
    return pause();
}

static void print_size(void)
{
    struct winsize size = {0};

    (void)ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    printf("size %ux%u\n", size.ws_row, size.ws_col);
}

/* Tell what a terminal sends, until it interrupts. */
static int watch_terminal(void)
{
    sigset_t all;
    int number = 0;

    (void)sigemptyset(&all);
    (void)sigaddset(&all, SIGINT);
    (void)sigaddset(&all, SIGWINCH);
    (void)sigaddset(&all, SIGCONT);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    printf("terminals %d%d%d foreground %d\n", isatty(0), isatty(1), isatty(2),
           tcgetpgrp(STDIN_FILENO) == getpgrp());
    print_size();
    puts("watching");
    while (number != SIGINT) {
        (void)fflush(stdout);
        if (sigwait(&all, &number) != 0)
            return 1;
        if (number == SIGWINCH)
            print_size();
        if (number == SIGCONT)
            puts("goes on");
    }
    puts("interrupted");
    return 42;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (strcmp(word, "exit") == 0 && argc == 3)
        return atoi(argv[2]);
    if (strcmp(word, "write") == 0 && argc == 4)
        return write_file(argv[2], argv[3]);
    if (strcmp(word, "print") == 0 && argc == 3)
        return print_file(argv[2]);
    if (strcmp(word, "fill") == 0 && argc == 4)
        return fill_file(argv[2], atol(argv[3]));
    if (strcmp(word, "size") == 0 && argc == 3)
        return print_length(argv[2]);
    if (strcmp(word, "self") == 0)
        return print_self();
    if (strcmp(word, "die") == 0)
        return raise(SIGKILL);
    if (strcmp(word, "wait") == 0)
        return wait_for_end();
    if (strcmp(word, "terminal") == 0)
        return watch_terminal();
    return 99;
}
