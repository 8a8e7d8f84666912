/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on trees, and the synthetic tree of many small files. */
#include "bench/peers/op.h"
#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/io.h"

#include <fcntl.h>
#include <sys/stat.h>

static int clone(char **operands, const struct ol_clone_options *options, struct ol_error *err)
{
    ol_auto_fd int src = -1;
    ol_auto_fd int dst = -1;
    struct ol_clone_stats stats;
    int r = bench_open_dir(operands[0], &src, err);

    if (r == 0)
        r = bench_make_dir(operands[1], &dst, err);
    return r == 0 ? ol_tree_clone(src, dst, options, &stats, err) : r;
}

static int op_link(char **operands, struct ol_error *err)
{
    const struct ol_clone_options options = {.mode = OL_CLONE_LINK, .keep_owner = true};

    return clone(operands, &options, err);
}

static int op_link_all(char **operands, struct ol_error *err)
{
    const struct ol_clone_options options = {
        .mode = OL_CLONE_LINK, .link_all = true, .keep_owner = true};

    return clone(operands, &options, err);
}

static int op_copy(char **operands, struct ol_error *err)
{
    const struct ol_clone_options options = {.mode = OL_CLONE_CONTENT, .keep_owner = true};

    return clone(operands, &options, err);
}

static int op_remove(char **operands, struct ol_error *err)
{
    return ol_tree_remove(AT_FDCWD, operands[0], err);
}

static int count(const char *path, bool inodes_only, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    struct ol_tree_usage usage;
    int r = bench_open_dir(path, &fd, err);

    if (r == 0)
        r = ol_tree_usage(fd, inodes_only, &usage, err);
    if (r == 0)
        (void)printf("%llu %llu\n", (unsigned long long)usage.inodes,
                     (unsigned long long)usage.bytes);
    return r;
}

static int op_count(char **operands, struct ol_error *err)
{
    return count(operands[0], true, err);
}

static int op_usage(char **operands, struct ol_error *err)
{
    return count(operands[0], false, err);
}

/* 0 to 4,000 bytes of text that does not compress to nothing, the same in every run. */
static int small_file(int dir_fd, const char *name, uint64_t *seed, struct ol_error *err)
{
    static const unsigned sizes[] = {0, 60, 200, 500, 900, 1500, 2500, 4000};
    ol_auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    char data[4000];
    size_t len;
    int r;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot create '%s'", name);
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    len = sizes[*seed >> 61];
    for (size_t i = 0; i < len; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        data[i] = "etaoin shrdlucmf"[*seed >> 60];
    }
    r = ol_io_write(fd, data, len);
    return r < 0 ? ol_error_sys(err, -r, "cannot write '%s'", name) : 0;
}

/* One directory of 200 names: itself and 199 files. */
static int small_dir(int root_fd, unsigned number, uint64_t *seed, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    char name[32];
    int r = 0;

    (void)snprintf(name, sizeof name, "d%02u/s%02u", number / 40, number % 40);
    if (mkdirat(root_fd, name, 0755) < 0)
        return ol_error_sys(err, errno, "cannot make '%s'", name);
    fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", name);
    for (unsigned i = 0; i < 199 && r == 0; i++) {
        (void)snprintf(name, sizeof name, "f%03u", i);
        r = small_file(fd, name, seed, err);
    }
    return r;
}

static int op_small_files(char **operands, struct ol_error *err)
{
    unsigned directories = (unsigned)strtoul(operands[1], NULL, 10) / 200;
    ol_auto_fd int fd = -1;
    uint64_t seed = 7;
    char name[32];
    int r = bench_make_dir(operands[0], &fd, err);

    for (unsigned i = 0; i < directories && r == 0; i++) {
        (void)snprintf(name, sizeof name, "d%02u", i / 40);
        if (i % 40 == 0 && mkdirat(fd, name, 0755) < 0)
            return ol_error_sys(err, errno, "cannot make '%s'", name);
        r = small_dir(fd, i, &seed, err);
    }
    return r;
}

const struct bench_op bench_tree_ops[] = {
    {"link", "SOURCE NEW", 2, op_link},
    {"link-all", "SOURCE NEW", 2, op_link_all},
    {"copy", "SOURCE NEW", 2, op_copy},
    {"remove", "TREE", 1, op_remove},
    {"count", "TREE", 1, op_count},
    {"usage", "TREE", 1, op_usage},
    {"small-files", "NEW COUNT", 2, op_small_files},
    {0},
};
