/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlab-bench-run COMMAND…: the stop-watch of scripts/bench-peers. Starts the command with its
 * output going nowhere and prints its wall time in nanoseconds and the peak resident memory in KiB
 * of the largest process in it. A program of its own without libraries: a process starts with the
 * memory of the one that forked it, and that would be counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail on Linux */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Standard error stays: what the command complains about is shown. */
static int start(char **argv, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0)
        return r;
    r = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions); /* always 0 */
    return r;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    uint64_t begin = now_ns();
    uint64_t end;
    int status = 0;
    pid_t pid;
    int r = argc > 1 ? start(argv + 1, &pid) : EINVAL;

    if (r != 0) {
        (void)fprintf(stderr, "overlab-bench-run: cannot start '%s': %s\n", argc > 1 ? argv[1] : "",
                      strerror(r));
        return 2;
    }
    if (wait4(pid, &status, 0, &usage) != pid) {
        (void)fprintf(stderr, "overlab-bench-run: wait4: %s\n", strerror(errno));
        return 2;
    }
    end = now_ns();
    if (status != 0) {
        (void)fprintf(stderr, "overlab-bench-run: '%s' failed with wait status 0x%x\n", argv[1],
                      (unsigned)status);
        return 1;
    }
    (void)printf("%llu %ld\n", (unsigned long long)(end - begin), usage.ru_maxrss);
    return fflush(stdout) == 0 ? 0 : 2;
}
