/* SPDX-License-Identifier: Apache-2.0 */
/* overlab-bench-op OPERATION OPERAND…: see op.h. */
#include "bench/peers/op.h"
#include "common/cleanup.h"
#include "common/fs/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

int bench_open_dir(const char *path, int *ret, struct ol_error *err)
{
    *ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? ol_error_sys(err, errno, "cannot open '%s'", path) : 0;
}

int bench_make_dir(const char *path, int *ret, struct ol_error *err)
{
    if (mkdir(path, 0700) < 0)
        return ol_error_sys(err, errno, "cannot make '%s'", path);
    return bench_open_dir(path, ret, err);
}

uint64_t bench_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail on Linux */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int bench_note_time(uint64_t wall_ns, struct ol_error *err)
{
    const char *path = getenv("OVERLAB_BENCH_CLOCK");
    char text[32];

    if (path == NULL)
        return 0;
    (void)snprintf(text, sizeof text, "%" PRIu64, wall_ns);
    return ol_fs_write_file(AT_FDCWD, path, text, strlen(text), 0600, err);
}

static const struct bench_op *const tables[] = {bench_tree_ops, bench_layer_ops, bench_commit_ops,
                                                bench_snapshot_ops, bench_mount_ops};

static const struct bench_op *find(const char *name)
{
    for (size_t t = 0; t < OL_ARRAY_LEN(tables); t++) {
        for (const struct bench_op *op = tables[t]; op->name != NULL; op++) {
            if (strcmp(op->name, name) == 0)
                return op;
        }
    }
    return NULL;
}

static int usage(void)
{
    (void)fputs("usage:\n", stderr);
    for (size_t t = 0; t < OL_ARRAY_LEN(tables); t++) {
        for (const struct bench_op *op = tables[t]; op->name != NULL; op++)
            (void)fprintf(stderr, "  overlab-bench-op %s %s\n", op->name, op->operands);
    }
    return 2;
}

int main(int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct bench_op *op = argc > 1 ? find(argv[1]) : NULL;

    if (op == NULL || argc != op->count + 2)
        return usage();
    if (op->run(argv + 2, &err) == 0 && fflush(stdout) == 0)
        return 0;
    (void)fprintf(stderr, "overlab-bench-op: %s: %s\n", argv[1], ol_error_text(&err));
    return 1;
}
