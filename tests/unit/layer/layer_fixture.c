/* SPDX-License-Identifier: Apache-2.0 */
/* See layer_fixture.h. */
#include "layer_fixture.h"

#include "common/buf.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct stat layer_stat(int dir_fd, const char *path)
{
    struct stat st;

    if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fail_msg("'%s': %s", path, strerror(errno));
    return st;
}

static void add_content(struct ol_buf *text, const struct ol_walk_entry *e)
{
    if (S_ISREG(e->st->st_mode) && e->st->st_size < 4096) {
        ol_auto_free char *content = test_read(e->dir_fd, e->name);
        assert_int_equal(ol_buf_printf(text, " '%s'", content), 0);
    }
    if (S_ISLNK(e->st->st_mode)) {
        char target[512] = "";
        assert_true(readlinkat(e->dir_fd, e->name, target, sizeof target - 1) >= 0);
        assert_int_equal(ol_buf_printf(text, " -> '%s'", target), 0);
    }
}

static int list_one(const struct ol_walk_entry *e, void *data, struct ol_error *err)
{
    struct ol_buf *text = data;
    const struct stat *st = e->st;

    (void)err;
    assert_int_equal(ol_buf_printf(text, "/%s %o %u:%u %ju %jd %jd.%09ld %u:%u", e->path,
                                   st->st_mode, st->st_uid, st->st_gid, (uintmax_t)st->st_nlink,
                                   S_ISDIR(st->st_mode) ? 0 : (intmax_t)st->st_size,
                                   (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                                   major(st->st_rdev), minor(st->st_rdev)),
                     0);
    add_content(text, e);
    assert_int_equal(ol_buf_putc(text, '\n'), 0);
    return 0;
}

char *layer_listing(int fd)
{
    struct ol_buf text = OL_BUF_INIT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_tree_walk(fd, list_one, &text, &err), &err);
    return ol_buf_steal(&text);
}

static int open_dir(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

int layer_setup(void **state)
{
    struct layer_fixture *f = calloc(1, sizeof *f);
    const struct timespec old[2] = {{1234567890, 0}, {1234567890, 0}};

    assert_non_null(f);
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "root", 0755);
    test_mkdir(f->dir.fd, "out", 0755);
    f->root_fd = open_dir(f->dir.fd, "root");
    f->out_fd = open_dir(f->dir.fd, "out");
    test_write(f->out_fd, "canary", "untouched");
    assert_int_equal(fchmodat(f->out_fd, "canary", 0640, 0), 0);
    test_mkdir(f->out_fd, "sub", 0755);
    test_write(f->out_fd, "sub/inner", "untouched");
    assert_int_equal(utimensat(f->out_fd, "canary", old, 0), 0);
    assert_int_equal(utimensat(f->out_fd, "sub", old, 0), 0);
    assert_int_equal(utimensat(f->out_fd, ".", old, 0), 0);
    assert_true(asprintf(&f->out, "%s/out", f->dir.path) > 0);
    f->canary = layer_listing(f->out_fd);
    f->tar = (struct tarball)TARBALL_INIT;
    f->options = (struct ol_layer_options){.target = OL_LAYER_TREE, .keep_owner = can_chown()};
    *state = f;
    return 0;
}

int layer_teardown(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_free char *now = layer_listing(f->out_fd);
    bool touched = strcmp(now, f->canary) != 0;

    if (touched)
        print_error("the canary was:\n%sand is:\n%s", f->canary, now);
    tarball_fini(&f->tar);
    ol_error_fini(&f->err);
    ol_fd_close(&f->root_fd);
    ol_fd_close(&f->out_fd);
    test_dir_remove(&f->dir);
    free(f->out);
    free(f->canary);
    free(f);
    return touched ? -1 : 0;
}

int layer_apply_raw(struct layer_fixture *f)
{
    const struct ol_input input = OL_INPUT_FD(tarball_fd(&f->tar));
    int r;

    ol_error_fini(&f->err);
    memset(&f->res, 0, sizeof f->res);
    r = ol_layer_apply(f->root_fd, &input, &f->options, &f->res, &f->err);
    if (r < 0) {
        assert_int_equal(f->err.code, r);
        assert_non_null(f->err.message);
    }
    tarball_fini(&f->tar);
    return r;
}

int layer_apply(struct layer_fixture *f)
{
    tarball_end(&f->tar);
    return layer_apply_raw(f);
}

void layer_apply_ok(struct layer_fixture *f)
{
    int r = layer_apply(f);

    assert_ok(r, &f->err);
}

void layer_apply_fails(struct layer_fixture *f, int code, const char *text)
{
    int r = layer_apply(f);

    if (r != code)
        print_error("got %d, %s\n", r, ol_error_text(&f->err));
    assert_int_equal(r, code);
    assert_message(&f->err, text);
}

void layer_clear(struct layer_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_tree_remove_content(f->root_fd, &err), &err);
}

char *layer_out_path(const struct layer_fixture *f, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", f->out, name) > 0);
    return path;
}
