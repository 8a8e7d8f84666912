/* SPDX-License-Identifier: Apache-2.0 */
#include "testlib_fixture.h"

struct heard heard;

static void keep(const char *text, const char *file, int line)
{
    free(heard.text);
    heard.text = strdup(text);
    assert_non_null(heard.text);
    heard.file = file;
    heard.line = line;
}

static void on_failure(const char *text, const char *file, int line, void *data)
{
    assert_ptr_equal(data, &heard);
    keep(text, file, line);
    heard.failures++;
    if (!heard.returns)
        longjmp(heard.leave, 1);
}

static void on_skip(const char *text, const char *file, int line, void *data)
{
    assert_ptr_equal(data, &heard);
    keep(text, file, line);
    heard.skips++;
    longjmp(heard.leave, 1);
}

void heard_begin(void)
{
    static const struct ol_test_handler handler = {on_failure, on_skip, &heard};

    free(ol_ptr_steal(heard.text));
    heard.failures = 0;
    heard.skips = 0;
    ol_test_set_handler(&handler);
}

void heard_end(void)
{
    ol_test_set_handler(NULL);
}

void assert_heard_nothing(void)
{
    if (heard.failures + heard.skips > 0)
        fail_msg("%s", heard.text);
}

void assert_heard(const char *want, const char *file)
{
    if (heard.text == NULL || strstr(heard.text, want) == NULL)
        fail_msg("'%s' does not contain '%s'", heard.text, want);
    assert_string_equal(heard.file, file);
}

void testlib_make_image(struct test_dir *image)
{
    test_dir_make(image);
    test_mkdir(image->fd, "etc", 0755);
    test_mkdir(image->fd, "usr", 0755);
    test_mkdir(image->fd, "usr/lib", 0755);
    test_write(image->fd, "etc/passwd", "root:x:0:0\n");
    test_write(image->fd, "usr/lib/a", "a\n");
    test_write(image->fd, "usr/lib/b", "b\n");
    assert_int_equal(linkat(image->fd, "usr/lib/b", image->fd, "usr/lib/b-too", 0), 0);
    test_symlink(image->fd, "usr/lib", "lib");
}

int testlib_setup(void **state)
{
    const struct ol_test_options options = {
        .drivers = "overlay,overlay2,vfs,snapshot", .view = "direct", .seed = 1};
    struct testlib_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    *state = f;
    testlib_make_image(&f->image);
    f->lab = ol_test_lab_new(&options);
    f->import = ol_test_import(f->lab, f->image.path);
    return 0;
}

void testlib_add_file(struct ol_test_root *root, void *data)
{
    (void)data;
    ol_test_write(root, "usr/lib/new", "new\n");
}

int testlib_setup_commit(void **state)
{
    struct testlib_fixture *f;

    (void)testlib_setup(state);
    f = *state;
    f->create = ol_test_container_create(f->lab);
    f->change = ol_test_change(f->lab, testlib_add_file, NULL);
    f->commit = ol_test_commit(f->lab);
    return 0;
}

int testlib_teardown(void **state)
{
    struct testlib_fixture *f = *state;

    ol_test_lab_free(f->lab);
    test_dir_remove(&f->image);
    free(f);
    free(ol_ptr_steal(heard.text));
    return 0;
}
