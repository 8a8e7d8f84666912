/* SPDX-License-Identifier: Apache-2.0 */
/* Layer tars: apply, compare and export. */
#include "bench/peers/op.h"
#include "common/cleanup.h"
#include "common/layer/export.h"
#include "common/layer/layer.h"

#include <fcntl.h>

/* TAR is "-" for standard input. With a digest it is what a layer store needs; without, what tar
 * does. */
static int apply(char **operands, enum ol_layer_target target, bool digest, struct ol_error *err)
{
    const struct ol_layer_options options = {
        .target = target, .keep_owner = true, .no_digest = !digest};
    bool from_stdin = strcmp(operands[0], "-") == 0;
    ol_auto_fd int file = from_stdin ? -1 : open(operands[0], O_RDONLY | O_CLOEXEC);
    struct ol_input input = OL_INPUT_FD(from_stdin ? STDIN_FILENO : file);
    struct ol_layer_result result;
    ol_auto_fd int root = -1;
    int r;

    if (input.fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", operands[0]);
    r = bench_make_dir(operands[1], &root, err);
    if (r == 0)
        r = ol_layer_apply(root, &input, &options, &result, err);
    if (r == 0)
        (void)puts(result.diff_id);
    return r;
}

static int op_apply(char **operands, struct ol_error *err)
{
    return apply(operands, OL_LAYER_TREE, true, err);
}

static int op_extract(char **operands, struct ol_error *err)
{
    return apply(operands, OL_LAYER_TREE, false, err);
}

static int op_apply_upper(char **operands, struct ol_error *err)
{
    return apply(operands, OL_LAYER_UPPER, true, err);
}

static int null_fd(int *ret, struct ol_error *err)
{
    *ret = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return *ret < 0 ? ol_error_sys(err, errno, "cannot open '/dev/null'") : 0;
}

/* The whole naive diff: compare two directories, write the tar of the changes. */
static int op_naive_diff(char **operands, struct ol_error *err)
{
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    const struct ol_export_options options = {.now = 0};
    ol_auto_fd int new_fd = -1;
    ol_auto_fd int old_fd = -1;
    ol_auto_fd int out = -1;
    struct ol_stack new_side = {.fds = &new_fd, .count = 1};
    struct ol_stack old_side = {.fds = &old_fd, .count = 1};
    int r = bench_open_dir(operands[0], &new_fd, err);

    if (r == 0)
        r = bench_open_dir(operands[1], &old_fd, err);
    if (r == 0)
        r = null_fd(&out, err);
    if (r == 0)
        r = ol_changes_compare(&new_side, &old_side, 0, &changes, err);
    if (r == 0)
        r = ol_export_changes(&new_side, &changes, out, &options, NULL, err);
    if (r == 0)
        (void)printf("%zu\n", changes.count);
    return r;
}

/* A container's layer without looking at the image: [upper, lower] against [lower]. */
static int op_upper_diff(char **operands, struct ol_error *err)
{
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    const struct ol_export_options options = {.now = 0};
    int fds[2] = {-1, -1};
    ol_auto_fd int out = -1;
    struct ol_stack new_side = {.fds = fds, .count = 2, .overlay = true};
    struct ol_stack old_side = {.fds = fds + 1, .count = 1, .overlay = true};
    int r = bench_open_dir(operands[0], &fds[0], err);

    if (r == 0)
        r = bench_open_dir(operands[1], &fds[1], err);
    if (r == 0)
        r = null_fd(&out, err);
    if (r == 0)
        r = ol_changes_compare(&new_side, &old_side, 0, &changes, err);
    if (r == 0)
        r = ol_export_changes(&new_side, &changes, out, &options, NULL, err);
    ol_fd_close(&fds[0]);
    ol_fd_close(&fds[1]);
    return r;
}

static int export_to(const char *tree, bool upper, int out, struct ol_error *err)
{
    const struct ol_export_options options = {.now = 0};
    ol_auto_fd int root = -1;
    int r = bench_open_dir(tree, &root, err);

    if (r < 0)
        return r;
    return upper ? ol_export_upper(root, OL_OVERLAY_TRUSTED, out, &options, NULL, err)
                 : ol_export_tree(root, out, &options, NULL, err);
}

static int op_native_diff(char **operands, struct ol_error *err)
{
    ol_auto_fd int out = -1;
    int r = null_fd(&out, err);

    return r < 0 ? r : export_to(operands[0], true, out, err);
}

static int op_export(char **operands, struct ol_error *err)
{
    return export_to(operands[0], false, STDOUT_FILENO, err);
}

const struct bench_op bench_layer_ops[] = {
    {"apply", "TAR|- NEW", 2, op_apply},
    {"extract", "TAR|- NEW", 2, op_extract},
    {"apply-upper", "TAR|- NEW", 2, op_apply_upper},
    {"naive-diff", "NEW OLD", 2, op_naive_diff},
    {"upper-diff", "UPPER LOWER", 2, op_upper_diff},
    {"native-diff", "UPPER", 1, op_native_diff},
    {"export", "TREE", 1, op_export},
    {0},
};
