/* SPDX-License-Identifier: Apache-2.0 */
/* The one program of the test's image; static, so that it needs nothing else there. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ? 1 : 0;
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

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (strcmp(word, "exit") == 0 && argc == 3)
        return atoi(argv[2]);
    if (strcmp(word, "write") == 0 && argc == 4)
        return write_file(argv[2], argv[3]);
    if (strcmp(word, "print") == 0 && argc == 3)
        return print_file(argv[2]);
    if (strcmp(word, "self") == 0)
        return print_self();
    if (strcmp(word, "die") == 0)
        return raise(SIGKILL);
    if (strcmp(word, "wait") == 0)
        return pause();
    return 99;
}
