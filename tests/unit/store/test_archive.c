/* SPDX-License-Identifier: Apache-2.0 */
/* store/archive_index.c and store/archive.c: members of an image archive, found and confined. */
#include "support/support.h"
#include "support/tarball.h"

#include "common/io.h"
#include "common/limits.h"
#include "store/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int build(struct tarball *tar, struct ol_archive_index *index, struct ol_error *err)
{
    return ol_archive_index_build(tarball_fd(tar), tar->len, index, err);
}

static int open_tar(struct tarball *tar, struct ol_archive **ret, struct ol_error *err)
{
    struct ol_archive_index index = OL_ARCHIVE_INDEX_INIT;
    int r = build(tar, &index, err);

    if (r < 0)
        return r;
    return ol_archive_new_tar(fcntl(tarball_fd(tar), F_DUPFD_CLOEXEC, 3), &index, ret, err);
}

static void assert_reads(const struct ol_archive *archive, const char *name, const char *want)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    assert_ok(ol_archive_read(archive, name, OL_SMALL_FILE_MAX, &buf, &err), &err);
    assert_string_equal(ol_buf_str(&buf), want);
}

static void assert_refused(struct tarball *tar, const char *name, int want, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    struct ol_archive *archive = NULL;
    int r = open_tar(tar, &archive, &err);

    if (r == 0)
        r = ol_archive_read(archive, name, OL_SMALL_FILE_MAX, &buf, &err);
    ol_archive_free(archive);
    assert_int_equal(r, want);
    assert_message(&err, text);
    tarball_fini(tar);
}

static void archive__finds_members_in_every_dialect(void **state)
{
    static const enum tarball_dialect dialects[] = {TARBALL_PAX, TARBALL_USTAR, TARBALL_GNU,
                                                    TARBALL_V7};
    char deep[160];

    (void)state;
    memset(deep, 'd', 140);
    memcpy(deep + 80, "/", 1);
    memcpy(deep + 140, "/f", 3);
    for (size_t i = 0; i < OL_ARRAY_LEN(dialects); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tarball tar = TARBALL_INIT;
        struct ol_archive *archive = NULL;
        tar.dialect = dialects[i];
        tarball_add_dir(&tar, "./dir/");
        tarball_add_file(&tar, "./dir/a", "first");
        tarball_add_file(&tar, "b", "");
        if (dialects[i] != TARBALL_V7)
            tarball_add_file(&tar, deep, "long");
        tarball_end(&tar);
        assert_ok(open_tar(&tar, &archive, &err), &err);
        assert_reads(archive, "dir/a", "first");
        assert_reads(archive, "./dir//a", "first");
        assert_reads(archive, "b", "");
        if (dialects[i] != TARBALL_V7)
            assert_reads(archive, deep, "long");
        ol_archive_free(archive);
        tarball_fini(&tar);
    }
}

static void archive__follows_links_inside(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_archive *archive = NULL;

    (void)state;
    tarball_add_file(&tar, "one/layer.tar", "payload");
    tarball_add_symlink(&tar, "two/layer.tar", "../one/layer.tar");
    tarball_add_symlink(&tar, "abs", "/two/layer.tar");
    tarball_add_hardlink(&tar, "hard", "./one/layer.tar");
    tarball_end(&tar);
    assert_ok(open_tar(&tar, &archive, &err), &err);
    assert_reads(archive, "two/layer.tar", "payload");
    assert_reads(archive, "abs", "payload");
    assert_reads(archive, "hard", "payload");
    ol_archive_free(archive);
    tarball_fini(&tar);
}

static void archive__refuses_links_that_climb(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_symlink(&tar, "a/l", "../../etc/passwd");
    tarball_end(&tar);
    assert_refused(&tar, "a/l", -EXDEV, "'../../etc/passwd'");
}

static void archive__refuses_names_that_climb(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_file(&tar, "f", "x");
    tarball_end(&tar);
    assert_refused(&tar, "../f", -EXDEV, "'../f'");
}

static void archive__absolute_links_stay_inside(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_symlink(&tar, "l", "/etc/hostname");
    tarball_end(&tar);
    assert_refused(&tar, "l", -ENOENT, "'etc/hostname'");
}

static void archive__bounds_chains_of_links(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_symlink(&tar, "a", "b");
    tarball_add_symlink(&tar, "b", "a");
    tarball_end(&tar);
    assert_refused(&tar, "a", -ELOOP, "'a'");
}

static void archive__refuses_a_name_that_is_there_twice(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_file(&tar, "manifest.json", "[]");
    tarball_add_file(&tar, "./manifest.json", "[1]");
    tarball_end(&tar);
    assert_refused(&tar, "manifest.json", -EBADMSG, "two members 'manifest.json'");
}

static void archive__refuses_sparse_members(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_pax_text(&tar, "GNU.sparse.major", "1");
    tarball_pax_text(&tar, "GNU.sparse.minor", "0");
    tarball_add_file(&tar, "f", "0\n");
    tarball_end(&tar);
    assert_refused(&tar, "f", -ENOTSUP, "sparse");
}

static void archive__refuses_a_huge_extended_header(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_zeros(&tar, 0);
    tarball_add_special(&tar, 'x', "10 path=a\n", 10);
    tarball_number(tarball_header(&tar) + 124, 12, INT64_C(4) << 30);
    tarball_fix_checksum(&tar);
    tarball_end(&tar);
    assert_refused(&tar, "f", -E2BIG, "extended header");
}

static void archive__refuses_a_size_past_the_end(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add(&tar, &(struct tarball_entry){.name = "big",
                                              .type = '0',
                                              .mode = TARBALL_UNSET,
                                              .content = "x",
                                              .content_len = 1,
                                              .size = INT64_MAX});
    tarball_end(&tar);
    assert_refused(&tar, "big", -EBADMSG, "truncated inside 'big'");
}

static void archive__refuses_a_corrupt_header(void **state)
{
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_file(&tar, "a", "x");
    tarball_add_file(&tar, "b", "x");
    tarball_header(&tar)[0] = 'c';
    tarball_end(&tar);
    assert_refused(&tar, "a", -EBADMSG, "corrupt tar header at byte 1024");
}

/* An archive cut anywhere is refused, not read as a shorter one. */
static void archive__refuses_every_truncation(void **state)
{
    struct tarball whole = TARBALL_INIT;

    (void)state;
    tarball_add_file(&whole, "a", "some content");
    tarball_add_file(&whole, "b", "more");
    for (size_t len = 0; len <= whole.len; len += 256) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_archive_index index = OL_ARCHIVE_INDEX_INIT;
        assert_int_equal(ol_archive_index_build(tarball_fd(&whole), len, &index, &err), -EBADMSG);
        assert_message(&err, "truncated");
    }
    tarball_fini(&whole);
}

static void archive__limits_its_members(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_archive_index index = OL_ARCHIVE_INDEX_INIT;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_file(&tar, "manifest.json", "[]");
    for (int i = 0; i < OL_ARCHIVE_MEMBERS_MAX; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "m%d", i);
        tarball_add_file(&tar, name, "");
    }
    tarball_end(&tar);
    assert_int_equal(build(&tar, &index, &err), -E2BIG);
    assert_message(&err, "members");
    tarball_fini(&tar);
}

static void archive__sees_a_root_file_system_early(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_archive_index index = OL_ARCHIVE_INDEX_INIT;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    tarball_add_dir(&tar, "./");
    tarball_add_dir(&tar, "./etc/");
    tarball_add_file(&tar, "./manifest.json", "not an image's");
    tarball_cut(&tar, 100); /* never looked at */
    assert_ok(build(&tar, &index, &err), &err);
    assert_true(index.rootfs);
    ol_archive_index_fini(&index);
    tarball_fini(&tar);
}

static void archive__directory_is_confined(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct test_dir dir = {NULL, -1};
    struct ol_archive *archive = NULL;
    struct ol_input input;
    int fd = -1;

    (void)state;
    test_dir_make(&dir);
    test_mkdir(dir.fd, "in", 0755);
    test_write(dir.fd, "secret", "outside");
    test_write(dir.fd, "in/f", "inside");
    test_symlink(dir.fd, "../secret", "in/climb");
    test_symlink(dir.fd, "/f", "in/abs");
    assert_int_equal(mkfifoat(dir.fd, "in/fifo", 0644), 0);
    assert_ok(ol_archive_new_dir(openat(dir.fd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &archive,
                                 &err),
              &err);
    assert_reads(archive, "f", "inside");
    assert_reads(archive, "abs", "inside");
    assert_int_equal(ol_archive_open(archive, "climb", &input, &fd, &err), -ENOENT);
    assert_int_equal(ol_archive_open(archive, "fifo", &input, &fd, &err), -EINVAL);
    assert_message(&err, "'fifo' is not a regular file");
    ol_archive_free(archive);
    test_dir_remove(&dir);
}

static void archive__limits_what_is_read_whole(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_archive *archive = NULL;

    (void)state;
    tarball_add_file(&tar, "f", "0123456789");
    tarball_end(&tar);
    assert_ok(open_tar(&tar, &archive, &err), &err);
    assert_int_equal(ol_archive_read(archive, "f", 9, &buf, &err), -E2BIG);
    assert_message(&err, "'f' has 10 bytes");
    ol_archive_free(archive);
    tarball_fini(&tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archive__finds_members_in_every_dialect),
        cmocka_unit_test(archive__follows_links_inside),
        cmocka_unit_test(archive__refuses_links_that_climb),
        cmocka_unit_test(archive__refuses_names_that_climb),
        cmocka_unit_test(archive__absolute_links_stay_inside),
        cmocka_unit_test(archive__bounds_chains_of_links),
        cmocka_unit_test(archive__refuses_a_name_that_is_there_twice),
        cmocka_unit_test(archive__refuses_sparse_members),
        cmocka_unit_test(archive__refuses_a_huge_extended_header),
        cmocka_unit_test(archive__refuses_a_size_past_the_end),
        cmocka_unit_test(archive__refuses_a_corrupt_header),
        cmocka_unit_test(archive__refuses_every_truncation),
        cmocka_unit_test(archive__limits_its_members),
        cmocka_unit_test(archive__sees_a_root_file_system_early),
        cmocka_unit_test(archive__directory_is_confined),
        cmocka_unit_test(archive__limits_what_is_read_whole),
    };

    return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
