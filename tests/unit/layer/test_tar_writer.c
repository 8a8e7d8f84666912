/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fault.h"
#include "common/io.h"
#include "common/layer/tar_header.h"
#include "common/layer/tar_writer.h"
#include "random_headers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What Go 1.19's archive/tar writes for the first 3,000 headers of random_headers.c with Format set
 * to FormatPAX, one Writer each, concatenated. */
#define GO_HEADERS 3000
#define GO_BYTES   4156928
#define GO_DIGEST  "sha256:3e3765be57720bf950f7b70f7cc14f9fd9d01d06622ad09e23c8f2916f4085e1"

static void tar_header__has_the_bytes_of_go(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_hash *hash = NULL;
    char digest[OL_DIGEST_SIZE];
    size_t bytes = 0;

    (void)state;
    assert_ok(ol_hash_new(&hash, &err), &err);
    for (unsigned i = 0; i < GO_HEADERS; i++) {
        ol_auto_buf struct ol_buf out = OL_BUF_INIT;
        struct random_header drawn;

        random_header_draw(&drawn, i);
        assert_ok(ol_tar_header_format(&drawn.header, &out, &err), &err);
        assert_int_equal(out.len % OL_TAR_BLOCK, 0);
        ol_hash_update(hash, out.data, out.len);
        bytes += out.len;
    }
    ol_hash_final(hash, digest);
    ol_hash_free(hash);
    assert_int_equal(bytes, GO_BYTES);
    assert_string_equal(digest, GO_DIGEST);
}

static struct ol_tar_header file_header(const char *name, uint64_t size)
{
    return (struct ol_tar_header){
        .name = name, .type = '0', .mode = 0100644, .size = size, .mtime = {1700000000, 0}};
}

static void format(const struct ol_tar_header *header, struct ol_buf *out)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_tar_header_format(header, out, &err), &err);
}

static void tar_header__plain_entry_is_one_ustar_block(void **state)
{
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    struct ol_tar_header h = file_header("etc/hosts", 17);

    (void)state;
    h.uid = 1000;
    format(&h, &out);
    assert_int_equal(out.len, OL_TAR_BLOCK);
    assert_string_equal(out.data, "etc/hosts");
    assert_string_equal(out.data + 100, "0100644");
    assert_string_equal(out.data + 108, "0001750");
    assert_string_equal(out.data + 124, "00000000021");
    assert_string_equal(out.data + 136, "14524770400");
    assert_memory_equal(out.data + 257, "ustar\00000", 8);
    assert_string_equal(out.data + 329, "0000000"); /* devmajor is written for every type */
}

static void tar_header__splits_long_ascii_names_over_the_prefix(void **state)
{
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    char name[160];
    struct ol_tar_header h;

    (void)state;
    memset(name, 'd', sizeof name);
    memcpy(name + 100, "/file", 6);
    h = file_header(name, 0);
    format(&h, &out);
    assert_int_equal(out.len, OL_TAR_BLOCK); /* no PAX header, although the name has 105 bytes */
    assert_string_equal(out.data, "file");
    assert_memory_equal(out.data + 345, name, 100);
    assert_int_equal(out.data[445], 0);
}

static void tar_header__xattr_takes_a_pax_header_and_no_prefix(void **state)
{
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    const struct ol_tar_xattr cap = {"security.capability", "\1\0\0\2", 4};
    struct ol_tar_header h = file_header("usr/bin/ping", 0);
    static const char want[] = "41 SCHILY.xattr.security.capability=\1\0\0\2\n";

    (void)state;
    h.xattrs = &cap;
    h.n_xattrs = 1;
    format(&h, &out);
    assert_int_equal(out.len, 3 * OL_TAR_BLOCK);
    assert_string_equal(out.data, "usr/bin/PaxHeaders.0/ping");
    assert_int_equal(out.data[156], 'x');
    assert_memory_equal(out.data + OL_TAR_BLOCK, want, sizeof want - 1);
}

static void tar_header__refuses_what_no_archive_can_hold(void **state)
{
    const struct ol_tar_xattr bad = {"user.a=b", "", 0};
    struct ol_tar_header cases[6];

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++)
        cases[i] = file_header("name", 0);
    cases[0].name = "not-a-directory/";
    cases[1].type = 'g';
    cases[2].size = UINT64_MAX;
    cases[3].dev_minor = 1u << 31;
    cases[4].xattrs = &bad;
    cases[4].n_xattrs = 1;
    cases[5].name = "";
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_buf struct ol_buf out = OL_BUF_INIT;

        assert_int_equal(ol_tar_header_format(&cases[i], &out, &err), -EINVAL);
        assert_non_null(err.message);
    }
}

static void tar_mode__keeps_type_bits_and_permissions(void **state)
{
    (void)state;
    assert_int_equal(ol_tar_mode(S_IFREG | 04755), 0104755);
    assert_int_equal(ol_tar_mode(S_IFDIR | 01777), 0041777);
    assert_int_equal(ol_tar_mode(S_IFLNK | 0777), 0120777);
}

/* A writer into a file of its own. */
struct fixture {
    struct test_dir dir;
    int fd;
    struct ol_tar_writer *tar;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_non_null(f);
    test_dir_make(&f->dir);
    f->fd = openat(f->dir.fd, "out.tar", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(f->fd >= 0);
    assert_ok(ol_tar_writer_new(f->fd, &f->tar, &err), &err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_tar_writer_free(f->tar);
    ol_fd_close(&f->fd);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static void digest_of_file(int fd, uint64_t bytes, char ret[static OL_DIGEST_SIZE])
{
    ol_auto_free char *all = malloc(bytes + 1);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_non_null(all);
    assert_int_equal(ol_io_pread(fd, all, bytes + 1, 0), (ssize_t)bytes);
    assert_ok(ol_digest_of(all, bytes, ret, &err), &err);
}

static void tar_writer__empty_stream_is_two_zero_blocks(void **state)
{
    struct fixture *f = *state;
    struct ol_tar_result result;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_tar_finish(f->tar, &result, &err), &err);
    assert_int_equal(result.bytes, 1024);
    assert_int_equal(result.entries, 0);
    assert_string_equal(result.diff_id, OL_EMPTY_DIFF_ID);
}

/* Sizes around the blocks of the ring and beyond what is digested inline. */
static void tar_writer__digest_and_length_are_those_of_the_bytes(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 262144 - 512, 262144, 1048577, 5000000};
    struct fixture *f = *state;
    ol_auto_free char *data = malloc(5000000);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;
    char digest[OL_DIGEST_SIZE];
    uint64_t want = 1024;

    assert_non_null(data);
    for (size_t i = 0; i < 5000000; i++)
        data[i] = (char)(i * 7 + i / 4099);
    for (size_t i = 0; i < OL_ARRAY_LEN(sizes); i++) {
        struct ol_tar_header h = file_header("a/file", sizes[i]);
        assert_ok(ol_tar_put_header(f->tar, &h, &err), &err);
        assert_ok(ol_tar_put_data(f->tar, data, sizes[i], &err), &err);
        want += 512 + (sizes[i] + 511) / 512 * 512;
    }
    assert_ok(ol_tar_finish(f->tar, &result, &err), &err);
    assert_int_equal(result.bytes, want);
    assert_int_equal(result.entries, OL_ARRAY_LEN(sizes));
    digest_of_file(f->fd, want, digest);
    assert_string_equal(result.diff_id, digest);
}

static void tar_writer__counts_and_digests_without_descriptor(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result to_file, to_nothing;
    struct ol_tar_writer *nowhere = NULL;
    struct ol_tar_header h = file_header("x", 3);

    assert_ok(ol_tar_writer_new(-1, &nowhere, &err), &err);
    for (int i = 0; i < 2; i++) {
        struct ol_tar_writer *tar = i == 0 ? f->tar : nowhere;
        assert_ok(ol_tar_put_header(tar, &h, &err), &err);
        assert_ok(ol_tar_put_data(tar, "abc", 3, &err), &err);
        assert_ok(ol_tar_finish(tar, i == 0 ? &to_file : &to_nothing, &err), &err);
    }
    ol_tar_writer_free(nowhere);
    assert_int_equal(to_nothing.bytes, to_file.bytes);
    assert_string_equal(to_nothing.diff_id, to_file.diff_id);
}

static void tar_writer__no_digest_leaves_it_empty(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    ol_tar_writer_set_work(f->tar, OL_TAR_THREAD);
    assert_ok(ol_tar_finish(f->tar, &result, &err), &err);
    assert_string_equal(result.diff_id, "");
    assert_int_equal(result.bytes, 1024);
}

static void tar_writer__payload_must_have_the_announced_size(void **state)
{
    struct fixture *f = *state;
    struct ol_tar_header h = file_header("short", 4);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_tar_put_header(f->tar, &h, &err), &err);
    assert_int_equal(ol_tar_put_data(f->tar, "12345", 5, NULL), -EINVAL);
    assert_ok(ol_tar_put_data(f->tar, "123", 3, &err), &err);
    assert_int_equal(ol_tar_finish(f->tar, NULL, &err), -EINVAL);
    assert_message(&err, "'short'");
    assert_int_equal(ol_tar_put_header(f->tar, &h, NULL), -EINVAL);
}

static void tar_writer__grown_file_is_cut_and_shrunk_file_is_named(void **state)
{
    struct fixture *f = *state;
    struct ol_tar_header h = file_header("dir/grown", 2);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = -1;

    test_write(f->dir.fd, "five", "12345");
    fd = openat(f->dir.fd, "five", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(ol_tar_put_header(f->tar, &h, &err), &err);
    assert_ok(ol_tar_put_file(f->tar, fd, &err), &err);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 2);
    h.name = "dir/shrunk";
    h.size = 100;
    assert_ok(ol_tar_put_header(f->tar, &h, &err), &err);
    assert_int_equal(ol_tar_put_file(f->tar, fd, &err), -ENODATA);
    assert_message(&err, "'dir/shrunk'");
    assert_int_equal(ol_tar_finish(f->tar, NULL, NULL), -EINVAL); /* no end blocks: a torn stream */
}

/* SIGPIPE is at its deadly default in a test program: surviving is half of the test. */
static void tar_writer__reader_that_goes_away_is_epipe(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_writer *tar = NULL;
    struct ol_tar_header h = file_header("big", 64 << 20);
    ol_auto_free char *block = calloc(1, 1 << 20);
    sigset_t pending;
    int ends[2], r = 0;

    (void)f;
    assert_non_null(block);
    assert_ok(ol_io_pipe(ends, &err), &err);
    assert_ok(ol_tar_writer_new(ends[1], &tar, &err), &err);
    assert_int_equal(close(ends[0]), 0);
    assert_ok(ol_tar_put_header(tar, &h, &err), &err);
    for (int i = 0; i < 64 && r == 0; i++)
        r = ol_tar_put_data(tar, block, 1 << 20, &err);
    assert_int_equal(r, -EPIPE);
    assert_int_equal(ol_tar_put_data(tar, block, 1, NULL), -EPIPE); /* and it stays so */
    sigemptyset(&pending);
    assert_int_equal(sigpending(&pending), 0);
    assert_false(sigismember(&pending, SIGPIPE));
    ol_tar_writer_free(tar);
    assert_int_equal(close(ends[1]), 0);
}

#if OL_FAULTS
static void tar_writer__failed_write_is_reported_and_sticks(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_header h = file_header("x", 0);

    assert_ok(ol_tar_put_header(f->tar, &h, &err), &err);
    ol_fault_arm(1);
    assert_int_equal(ol_tar_finish(f->tar, NULL, &err), -EIO);
    assert_true(ol_fault_delivered());
    ol_fault_arm(0);
    assert_int_equal(ol_tar_finish(f->tar, NULL, NULL), -EIO);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] =
    { cmocka_unit_test(tar_header__has_the_bytes_of_go),
      cmocka_unit_test(tar_header__plain_entry_is_one_ustar_block),
      cmocka_unit_test(tar_header__splits_long_ascii_names_over_the_prefix),
      cmocka_unit_test(tar_header__xattr_takes_a_pax_header_and_no_prefix),
      cmocka_unit_test(tar_header__refuses_what_no_archive_can_hold),
      cmocka_unit_test(tar_mode__keeps_type_bits_and_permissions),
      cmocka_unit_test_setup_teardown(tar_writer__empty_stream_is_two_zero_blocks, setup, teardown),
      cmocka_unit_test_setup_teardown(tar_writer__digest_and_length_are_those_of_the_bytes, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(tar_writer__counts_and_digests_without_descriptor, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(tar_writer__no_digest_leaves_it_empty, setup, teardown),
      cmocka_unit_test_setup_teardown(tar_writer__payload_must_have_the_announced_size, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(tar_writer__grown_file_is_cut_and_shrunk_file_is_named, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(tar_writer__reader_that_goes_away_is_epipe, setup, teardown),
#if OL_FAULTS
      cmocka_unit_test_setup_teardown(tar_writer__failed_write_is_reported_and_sticks, setup,
                                      teardown),
#endif
    };
    return cmocka_run_group_tests_name("tar_writer", tests, NULL, NULL);
}
