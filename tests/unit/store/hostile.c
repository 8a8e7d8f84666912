/* SPDX-License-Identifier: Apache-2.0 */
/* See hostile.h. */
#include "hostile.h"

#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "store/import.h"

#include <fcntl.h>

/* Names in the store and in the driver's home. */
static uint64_t count_names(const struct images_fixture *f)
{
    const char *const dirs[] = {f->dir_path, f->home};
    uint64_t names = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++) {
        ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, dirs[i]);
        struct ol_tree_usage usage;

        assert_int_equal(ol_tree_usage(fd, true, &usage, NULL), 0);
        names += usage.names;
    }
    return names;
}

static void refused(const struct hostile *c)
{
    static const struct ol_import_options options = {0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    void *state = NULL;
    ol_auto_free char *path = NULL;
    struct images_fixture *f;
    uint64_t before;
    int r;

    assert_int_equal(images_setup(&state), 0);
    f = state;
    path = c->make(f);
    before = count_names(f);
    r = ol_images_import(f->images, path, &options, NULL, NULL, &err);
    if (r != c->want || strstr(ol_error_text(&err), c->told) == NULL)
        fail_msg("%s: %d, not %d naming %s: %s", c->name, r, c->want, c->told, ol_error_text(&err));
    assert_message(&err, path); /* users must learn which file */
    assert_null(strchr(err.message, '\n'));
    images_assert_holds(f, 0, 0);
    assert_int_equal(count_names(f), before);
    (void)images_teardown(&state);
}

void hostile_refused(const struct hostile *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refused(&cases[i]);
}
