/* SPDX-License-Identifier: Apache-2.0 */
/* Who is to blame for a layer's inodes: under each law all that it charges, and nothing twice. */
#include "support/support.h"
#include "support/tarball.h"

#include "bench/harness/image_cost.h"
#include "bench/workloads/workload.h"

#include <string.h>

enum { ALL = 20000 }; /* more directories than the built-in image has */

static const enum ol_law laws[] = {OL_LAW_OVERLAY, OL_LAW_OVERLAY_CLONE_ALL, OL_LAW_OVERLAY2,
                                   OL_LAW_VFS, OL_LAW_SNAPSHOT};

static void dirs_free(struct ol_blamed_dir *dirs, int n)
{
    for (int i = 0; i < n; i++)
        free(dirs[i].path);
    free(dirs);
}

static struct ol_blamed_dir *blame(const struct ol_model *model, enum ol_law law, bool base,
                                   bool by_bytes, int *ret_n)
{
    struct ol_blamed_dir *dirs = calloc(ALL, sizeof *dirs);

    assert_non_null(dirs);
    *ret_n = ol_model_blame_under(law, model, base, by_bytes, ALL, dirs);
    assert_true(*ret_n > 0 && *ret_n < ALL);
    return dirs;
}

/* Together they are what the law says, less the root directory and the driver's own files. */
static void assert_whole_bill(const struct ol_model *model, enum ol_law law, bool base)
{
    struct ol_inode_kinds kinds;
    uint64_t sum = 0;
    int n;
    struct ol_blamed_dir *dirs = blame(model, law, base, false, &n);

    assert_int_equal(ol_law_image_layer(law, model, base, &kinds), 0);
    for (int i = 0; i < n; i++) {
        sum += dirs[i].inodes;
        assert_true(i == 0 || dirs[i].inodes <= dirs[i - 1].inodes);
    }
    assert_int_equal(sum, ol_inode_kinds_total(&kinds) - kinds.bookkeeping - 1);
    dirs_free(dirs, n);
}

static void blame__is_the_whole_bill_of_every_law(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image_cost cost;
    struct ol_image *image;

    (void)state;
    assert_ok(ol_builtin_image_new(1, &image, &err), &err);
    assert_ok(ol_image_cost_init(&cost, ol_image_layer_count(image), 0, &err), &err);
    for (size_t i = 0; i < ol_image_layer_count(image); i++) {
        struct ol_image_stream stream;

        assert_ok(ol_image_layer_open(image, i, &stream, &err), &err);
        assert_ok(ol_image_cost_add(&cost, &stream.input, &err), &err);
        assert_ok(ol_image_layer_close(&stream, &err), &err);
        for (size_t law = 0; law < OL_ARRAY_LEN(laws); law++)
            assert_whole_bill(cost.model, laws[law], i == 0);
    }
    ol_image_cost_fini(&cost);
    ol_image_free(image);
}

static void add_layer(struct ol_image_cost *cost, struct tarball *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    tarball_end(tar);
    assert_ok(ol_image_cost_add(cost, &OL_INPUT_FD(tarball_fd(tar)), &err), &err);
    tarball_fini(tar);
}

static uint64_t inodes_in(const struct ol_model *model, enum ol_law law, const char *path)
{
    uint64_t found = 0;
    int n;
    struct ol_blamed_dir *dirs = blame(model, law, false, false, &n);

    for (int i = 0; i < n; i++) {
        if (strcmp(dirs[i].path, path) == 0)
            found = dirs[i].inodes;
    }
    dirs_free(dirs, n);
    return found;
}

/* Two directories and a link below usr, and a file; then another file elsewhere. */
static void blame__of_a_clone_is_what_cannot_be_shared(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball base = TARBALL_INIT;
    struct tarball layer = TARBALL_INIT;
    struct ol_image_cost cost;

    (void)state;
    assert_ok(ol_image_cost_init(&cost, 2, 0, &err), &err);
    tarball_add_dir(&base, "usr/");
    tarball_add_dir(&base, "usr/a/");
    tarball_add_dir(&base, "usr/b/");
    tarball_add_symlink(&base, "usr/link", "a");
    tarball_add_file(&base, "usr/file", "1234567890");
    add_layer(&cost, &base);
    tarball_add_file(&layer, "new", "12345");
    add_layer(&cost, &layer);
    assert_int_equal(inodes_in(cost.model, OL_LAW_OVERLAY, "usr"), 3);
    assert_int_equal(inodes_in(cost.model, OL_LAW_OVERLAY_CLONE_ALL, "usr"), 2);
    assert_int_equal(inodes_in(cost.model, OL_LAW_VFS, "usr"), 4);
    assert_int_equal(inodes_in(cost.model, OL_LAW_OVERLAY2, "usr"), 0);
    assert_int_equal(inodes_in(cost.model, OL_LAW_OVERLAY2, ""), 1);
    ol_image_cost_fini(&cost);
}

static void blame__by_bytes_leaves_out_what_has_none(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball base = TARBALL_INIT;
    struct ol_image_cost cost;
    struct ol_blamed_dir *dirs;
    int n;

    (void)state;
    assert_ok(ol_image_cost_init(&cost, 1, 0, &err), &err);
    tarball_add_dir(&base, "many/");
    tarball_add_dir(&base, "many/a/");
    tarball_add_dir(&base, "many/b/");
    tarball_add_dir(&base, "small/");
    tarball_add_file(&base, "small/file", "1");
    tarball_add_dir(&base, "big/");
    tarball_add_file(&base, "big/file", "1234567890");
    add_layer(&cost, &base);
    dirs = blame(cost.model, OL_LAW_OVERLAY2, true, true, &n);
    assert_int_equal(n, 2);
    assert_string_equal(dirs[0].path, "big");
    assert_int_equal(dirs[0].bytes, 10);
    assert_string_equal(dirs[1].path, "small");
    dirs_free(dirs, n);
    ol_image_cost_fini(&cost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blame__is_the_whole_bill_of_every_law),
        cmocka_unit_test(blame__of_a_clone_is_what_cannot_be_shared),
        cmocka_unit_test(blame__by_bytes_leaves_out_what_has_none),
    };

    return cmocka_run_group_tests_name("blame", tests, NULL, NULL);
}
