/* SPDX-License-Identifier: Apache-2.0 */
#include "direct.h"

#include "common/buf.h"

#include <errno.h>

enum { PLACES = 4, CONTENT_MAX = 1 << 16 };

static struct {
    char *path; /* owned; NULL: free */
    struct ol_rootfs *fs;
} places[PLACES];

char *direct_mount(struct snap *s, const char *key, const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", s->work, dir) > 0);
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].path != NULL)
            continue;
        assert_ok(ol_snapshots_open_rootfs(s->sn, key, &places[i].fs, &err), &err);
        places[i].path = strdup(path);
        assert_non_null(places[i].path);
        return path;
    }
    fail_msg("more than %d places", PLACES);
    return NULL;
}

void direct_unmount(const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].path == NULL || strcmp(places[i].path, path) != 0)
            continue;
        assert_ok(ol_rootfs_close(places[i].fs, &err), &err);
        free(places[i].path);
        places[i].path = NULL;
        return;
    }
    fail_msg("'%s' is not open", path);
}

struct ol_rootfs *direct_at(const char *path)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (places[i].path != NULL && strcmp(places[i].path, path) == 0)
            return places[i].fs;
    }
    return NULL;
}

static void describe(struct ol_rootfs *fs, const char *path, const struct stat *st,
                     struct ol_buf *out)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf content = OL_BUF_INIT;

    assert_int_equal(ol_buf_printf(out, "%s %o %u:%u", path, st->st_mode, st->st_uid, st->st_gid),
                     0);
    if (S_ISREG(st->st_mode)) {
        assert_ok(ol_rootfs_read(fs, path, CONTENT_MAX, &content, &err), &err);
        assert_int_equal(
            ol_buf_printf(out, " %u '%s'", (unsigned)st->st_nlink, ol_buf_str(&content)), 0);
    }
    assert_int_equal(ol_buf_putc(out, '\n'), 0);
}

static void list(struct ol_rootfs *fs, const char *dir, struct ol_buf *out)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **names = NULL;

    assert_ok(ol_rootfs_list(fs, dir, &names, &err), &err);
    for (size_t i = 0; names[i] != NULL; i++) {
        ol_auto_free char *path = NULL;
        struct stat st;

        assert_true(asprintf(&path, "%s%s%s", dir, dir[0] != '\0' ? "/" : "", names[i]) > 0);
        assert_ok(ol_rootfs_lstat(fs, path, &st, &err), &err);
        describe(fs, path, &st, out);
        if (S_ISDIR(st.st_mode))
            list(fs, path, out);
    }
    ol_rootfs_names_free(names);
}

char *direct_listing(struct ol_rootfs *fs)
{
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;

    list(fs, "", &out);
    return strdup(ol_buf_str(&out));
}
