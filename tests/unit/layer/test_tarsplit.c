/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping a layer's exact stream: whatever archive can be applied, its stream comes back from the
 * record and the layer's files, byte for byte; and a record or a layer that was tampered with is
 * refused by name.
 */
#include "layer_fixture.h"
#include "random_archive.h"

#include "common/buf.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/layer/compress.h"
#include "common/layer/tarsplit.h"

#include <errno.h>
#include <fcntl.h>

#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 25, CORPUS_FILE_MAX = 1 << 20 };

static int keep(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    (void)err;
    return ol_buf_append(data, bytes, len);
}

static int memory_file(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ol_io_write(fd, bytes, len), 0);
    return fd;
}

static struct ol_input input_at(int fd)
{
    return (struct ol_input){.fd = fd, .offset = 0, .length = UINT64_MAX};
}

/* Apply what fd holds and record it into file_fd. */
static int apply_recorded(struct layer_fixture *f, const struct ol_input *stream, int file_fd,
                          bool *ret_doubt)
{
    struct ol_input input = *stream;
    int r;

    ol_error_fini(&f->err);
    assert_ok(ol_tarsplit_new(file_fd, f->options.threads, NULL, &input.record, &f->err), &f->err);
    r = ol_layer_apply(f->root_fd, &input, &f->options, &f->res, &f->err);
    assert_true(ol_tarsplit_is_whole(input.record) == (r == 0));
    *ret_doubt = ol_tarsplit_in_doubt(input.record);
    ol_tarsplit_free(input.record);
    return r;
}

static int rebuild(struct layer_fixture *f, int file_fd, struct ol_buf *ret)
{
    ol_error_fini(&f->err);
    return ol_tarsplit_build(file_fd, f->root_fd, NULL, keep, ret, &f->err);
}

static void assert_same_stream(const struct ol_buf *got, const char *want, size_t len)
{
    size_t at = 0;

    while (at < len && at < got->len && got->data[at] == want[at])
        at++;
    if (got->len != len || at != len)
        fail_msg("%zu bytes instead of %zu; the first %zu are the same", got->len, len, at);
}

/* The whole way for these bytes. False when they cannot be applied at all. */
static bool comes_back(struct layer_fixture *f, const char *bytes, size_t len)
{
    ol_auto_fd int tar_fd = memory_file(bytes, len);
    ol_auto_fd int file_fd = memory_file("", 0);
    ol_auto_buf struct ol_buf again = OL_BUF_INIT;
    const struct ol_input input = input_at(tar_fd);
    char *plain = NULL;
    struct stat st;
    bool doubt = false;
    ol_auto_fd int plain_fd = memory_file("", 0);
    int r = apply_recorded(f, &input, file_fd, &doubt);

    if (r < 0)
        return false;
    if (doubt)
        assert_ok(
            ol_tarsplit_settle(&input, NULL, f->options.threads, file_fd, f->root_fd, &f->err),
            &f->err);
    assert_ok(rebuild(f, file_fd, &again), &f->err);
    assert_ok(ol_layer_decompress(&input, plain_fd, NULL, NULL, &f->err), &f->err);
    assert_int_equal(fstat(plain_fd, &st), 0);
    plain = mmap(NULL, (size_t)st.st_size + 1, PROT_READ, MAP_PRIVATE, plain_fd, 0);
    assert_true(plain != MAP_FAILED);
    assert_same_stream(&again, plain, (size_t)st.st_size);
    (void)munmap(plain, (size_t)st.st_size + 1);
    return true;
}

static void tar_comes_back(struct layer_fixture *f)
{
    if (!comes_back(f, f->tar.data, f->tar.len))
        fail_msg("cannot be applied: %s", ol_error_text(&f->err));
    layer_clear(f);
    tarball_fini(&f->tar);
}

/* ---- each kind of archive ---- */

static void tarsplit__streams_of_all_kinds_of_entries_come_back(void **state)
{
    static const enum tarball_dialect dialects[] = {TARBALL_PAX, TARBALL_USTAR, TARBALL_GNU,
                                                    TARBALL_V7};
    struct layer_fixture *f = *state;
    char deep[160];

    memset(deep, 'n', sizeof deep);
    deep[40] = deep[90] = '/';
    deep[sizeof deep - 1] = '\0';
    for (size_t i = 0; i < OL_ARRAY_LEN(dialects); i++) {
        f->tar.dialect = dialects[i];
        tarball_add_dir(&f->tar, "./");
        tarball_add_dir(&f->tar, "./d/");
        tarball_add_file(&f->tar, "./d/hello", "hello");
        tarball_add_file(&f->tar, "/d/rooted", "from the root");
        tarball_add_file(&f->tar, "d/empty", "");
        tarball_add_file(&f->tar, "d/caf\xc3\xa9 \"quoted\" <&>", "utf-8");
        tarball_add_file(&f->tar, "d/latin-\xe9", "not utf-8");
        tarball_add_file(&f->tar, deep, "long name");
        tarball_add_symlink(&f->tar, "d/s", "hello");
        tarball_add_hardlink(&f->tar, "d/h", "d/hello");
        tarball_add_fifo(&f->tar, "d/fifo");
        tarball_end(&f->tar);
        tarball_raw(&f->tar, "trailing garbage that no reader of tars looks at", 48);
        tar_comes_back(f);
    }
}

static void tarsplit__streams_without_an_end_or_anything_come_back(void **state)
{
    struct layer_fixture *f = *state;

    assert_true(comes_back(f, "", 0));
    tarball_end(&f->tar);
    tar_comes_back(f);
    tarball_add_file(&f->tar, "f", "no end follows");
    tar_comes_back(f);
    tarball_add_file(&f->tar, "f", "not even a whole block");
    tarball_cut(&f->tar, TARBALL_BLOCK - strlen("not even a whole block"));
    tar_comes_back(f);
    tarball_end(&f->tar);
    tarball_zeros(&f->tar, 3 << 20); /* a tape's padding */
    tar_comes_back(f);
}

static void tarsplit__content_of_every_length_comes_back(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_free char *big = malloc(5 << 20);
    char name[32];

    assert_non_null(big);
    for (size_t i = 0; i < 5 << 20; i++)
        big[i] = (char)(i * 7 >> 3);
    for (size_t len = 0; len < 1100; len += 51) {
        (void)snprintf(name, sizeof name, "f%zu", len);
        tarball_add_bytes(&f->tar, name, big, len);
    }
    tarball_add_bytes(&f->tar, "large", big, (5 << 20) - 3);
    tarball_add_bytes(&f->tar, "block", big, 256 << 10);
    tarball_end(&f->tar);
    tar_comes_back(f);
}

static void tarsplit__replaced_content_comes_back(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "twice", "the first");
    tarball_add_file(&f->tar, "twice", "and the second");
    tarball_add_file(&f->tar, "./twice", "and a third");
    tarball_add_file(&f->tar, "d/f", "a file in a directory");
    tarball_add_file(&f->tar, "d", "that is one itself in the end");
    tarball_add_file(&f->tar, "h", "has two names");
    tarball_add_hardlink(&f->tar, "h2", "h");
    tarball_add_file(&f->tar, "h", "and now one");
    tarball_end(&f->tar);
    tar_comes_back(f);
}

static void tarsplit__content_deleted_by_its_own_layer_comes_back(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "gone", "a whiteout follows");
    tarball_add_file(&f->tar, ".wh.gone", "");
    tarball_add_file(&f->tar, "d/gone", "with its directory");
    tarball_add_file(&f->tar, ".wh.d", "");
    tarball_add_file(&f->tar, ".wh.never", "a whiteout with content");
    tarball_add_file(&f->tar, "o/older", "stays: it is of this layer");
    tarball_add_file(&f->tar, "o/.wh..wh..opq", "");
    tarball_add_file(&f->tar, ".wh..wh.plnk/1.2", "what aufs leaves");
    tarball_end(&f->tar);
    tar_comes_back(f);
}

static void tarsplit__content_behind_changing_symlinks_comes_back(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_dir(&f->tar, "a/");
    tarball_add_dir(&f->tar, "b/");
    tarball_add_symlink(&f->tar, "s", "/a");
    tarball_add_file(&f->tar, "s/f", "in a");
    tarball_add_symlink(&f->tar, "s", "b");
    tarball_add_file(&f->tar, "s/g", "in b");
    tarball_add_file(&f->tar, "b/g", "in b, by its own name");
    tarball_end(&f->tar);
    tar_comes_back(f);
}

static void tarsplit__older_symlink_that_goes_away_is_noticed(void **state)
{
    struct layer_fixture *f = *state;

    test_mkdir(f->root_fd, "a", 0755);
    test_symlink(f->root_fd, "a", "s"); /* of the layer below, in a tree that holds both */
    tarball_add_file(&f->tar, "s/f", "in a");
    tarball_add_dir(&f->tar, "s");
    tarball_add_file(&f->tar, "s/g", "in s");
    tarball_end(&f->tar);
    f->options.target = OL_LAYER_TREE;
    assert_true(comes_back(f, f->tar.data, f->tar.len));
}

static void tarsplit__sparse_content_comes_back(void **state)
{
    struct layer_fixture *f = *state;
    char map[512] = "2\n0\n3\n1000\n4\n"; /* and the data it maps */
    char with_data[1024];

    memcpy(with_data, map, sizeof map);
    memset(with_data + sizeof map, 0, sizeof with_data - sizeof map);
    memcpy(with_data + sizeof map, "abcdefg", 7);
    tarball_pax_text(&f->tar, "GNU.sparse.major", "1");
    tarball_pax_text(&f->tar, "GNU.sparse.minor", "0");
    tarball_pax_text(&f->tar, "GNU.sparse.name", "holes");
    tarball_pax_text(&f->tar, "GNU.sparse.realsize", "2000");
    tarball_add_bytes(&f->tar, "GNUSparseFile.0/holes", with_data, 519);
    tarball_add_file(&f->tar, "after", "the next entry");
    tarball_end(&f->tar);
    tar_comes_back(f);
}

static void come_back(struct layer_fixture *f, enum ol_layer_target target, unsigned wildness)
{
    unsigned worked = 0;

    f->options.target = target;
    f->options.ns = OL_OVERLAY_USER;
    for (unsigned i = 0; i < ROUNDS; i++) {
        random_archive_make(&f->tar, 0x9e3779b97f4a7c15u * (i + 1) + wildness, wildness);
        tarball_end(&f->tar);
        f->options.threads = 1 + i % 4;
        worked += comes_back(f, f->tar.data, f->tar.len);
        layer_clear(f);
        tarball_fini(&f->tar);
    }
    print_message("%u of %u archives could be applied\n", worked, (unsigned)ROUNDS);
    assert_true(worked > 0); /* or it would have shown nothing */
}

static void tarsplit__random_streams_come_back_from_trees(void **state)
{
    for (unsigned wildness = 0; wildness < 3; wildness++)
        come_back(*state, OL_LAYER_TREE, wildness);
}

static void tarsplit__random_streams_come_back_from_uppers(void **state)
{
    OL_REQUIRE(can_user_xattr, "opaque marks need user attributes");
    come_back(*state, OL_LAYER_UPPER, 0);
}

/* Every archive of the fuzzer's corpus that can be applied, cut short at each block as well. */
static void tarsplit__corpus_comes_back(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int dir = ol_fs_open_dir(AT_FDCWD, OL_TEST_SOURCE_DIR "/tests/fuzz/corpus/layer");
    unsigned worked = 0;

    assert_true(dir >= 0);
    assert_int_equal(ol_dirents_read(&list, dir, true), 0);
    for (size_t i = 0; i < list.count; i++) {
        ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;
        assert_ok(ol_fs_read_file(dir, list.items[i].name, CORPUS_FILE_MAX, &bytes, &f->err),
                  &f->err);
        for (size_t cut = 0; cut < bytes.len && cut < 32 * TARBALL_BLOCK; cut += TARBALL_BLOCK) {
            worked += comes_back(f, bytes.data, bytes.len - cut);
            layer_clear(f);
        }
    }
    assert_true(worked >= list.count / 2);
}

/* ---- the file ---- */

/* The lines of a record of a small layer. */
static void record_lines(struct layer_fixture *f, struct ol_buf *ret)
{
    ol_auto_fd int tar_fd = -1;
    ol_auto_fd int file_fd = memory_file("", 0);
    ol_auto_fd int plain_fd = memory_file("", 0);
    struct ol_input input;
    struct stat st;
    bool doubt = false;

    tarball_add_file(&f->tar, "f", "hello");
    tarball_add_file(&f->tar, "latin-\xe9", "");
    tarball_end(&f->tar);
    tar_fd = memory_file(f->tar.data, f->tar.len);
    input = input_at(tar_fd);
    assert_ok(apply_recorded(f, &input, file_fd, &doubt), &f->err);
    assert_false(doubt);
    input = input_at(file_fd);
    assert_ok(ol_layer_decompress(&input, plain_fd, NULL, NULL, &f->err), &f->err);
    assert_int_equal(fstat(plain_fd, &st), 0);
    assert_int_equal(ol_buf_reserve(ret, (size_t)st.st_size), 0);
    assert_int_equal(ol_io_pread(plain_fd, ret->data, (size_t)st.st_size, 0), st.st_size);
    ret->len = (size_t)st.st_size;
    ret->data[ret->len] = '\0';
}

static void tarsplit__lines_are_those_of_moby(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_buf struct ol_buf lines = OL_BUF_INIT;

    record_lines(f, &lines);
    /* crc64 ISO of "hello" */
    assert_non_null(strstr(lines.data, "{\"type\":1,\"name\":\"f\",\"size\":5,\"payload\":\""));
    assert_non_null(
        strstr(lines.data, "{\"type\":1,\"name_raw\":\"bGF0aW4t6Q==\",\"payload\":null"));
    assert_int_equal(strncmp(lines.data, "{\"type\":2,\"payload\":\"Zg", 21), 0);
    assert_non_null(strstr(lines.data, "\"position\":0}\n"));
    assert_non_null(strstr(lines.data, "\"position\":4}\n"));
}

static int build_text(struct layer_fixture *f, const char *text, size_t len)
{
    ol_auto_fd int fd = memory_file(text, len);
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;

    return rebuild(f, fd, &out);
}

static void tarsplit__damaged_lines_are_refused(void **state)
{
    static const char *const bad[] = {
        "no json",
        "[]",
        "{}",
        "{\"type\":2,\"payload\":\"AAAA\"}",
        "{\"type\":2,\"payload\":\"AAAA\",\"position\":1}",
        "{\"type\":2,\"payload\":\"AAAA\",\"position\":0} trailing",
        "{\"type\":3,\"payload\":\"AAAA\",\"position\":0}",
        "{\"type\":\"2\",\"payload\":\"AAAA\",\"position\":0}",
        "{\"type\":2,\"payload\":\"AAA\",\"position\":0}",
        "{\"type\":2,\"payload\":\"A===\",\"position\":0}",
        "{\"type\":2,\"payload\":\"A=AA\",\"position\":0}",
        "{\"type\":2,\"payload\":\"AA A\",\"position\":0}",
        "{\"type\":2,\"payload\":12,\"position\":0}",
        "{\"type\":2,\"position\":0}",
        "{\"type\":2,\"type\":2,\"payload\":\"AAAA\",\"position\":0}",
        "{\"type\":1,\"size\":1,\"payload\":\"AAAAAAAAAAA=\",\"position\":0}",
        "{\"type\":1,\"name\":\"f\",\"name_raw\":\"Zg==\",\"payload\":null,\"position\":0}",
        "{\"type\":1,\"name_raw\":\"ZgBm\",\"payload\":null,\"position\":0}",
        "{\"type\":1,\"name\":\"f\",\"size\":-1,\"payload\":\"AAAAAAAAAAA=\",\"position\":0}",
        "{\"type\":1,\"name\":\"f\",\"size\":1.5,\"payload\":\"AAAAAAAAAAA=\",\"position\":0}",
        "{\"type\":1,\"name\":\"f\",\"size\":1,\"payload\":\"AAAA\",\"position\":0}",
        "{\"type\":1,\"name\":\"f\",\"size\":1,\"payload\":null,\"position\":0}",
    };
    struct layer_fixture *f = *state;

    test_write(f->root_fd, "f", "x");
    for (size_t i = 0; i < OL_ARRAY_LEN(bad); i++)
        if (build_text(f, bad[i], strlen(bad[i])) != -EBADMSG)
            fail_msg("'%s': %s", bad[i], ol_error_text(&f->err));
}

static void tarsplit__damaged_gzip_is_refused(void **state)
{
    struct layer_fixture *f = *state;

    assert_int_equal(build_text(f, "\x1f\x8b\x08\x00garbage", 11), -EBADMSG);
}

static void tarsplit__names_and_sizes_meet_their_limits(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_buf struct ol_buf line = OL_BUF_INIT;
    static const char huge[] = "{\"type\":1,\"name\":\"f\",\"size\":9223372036854775807,"
                               "\"payload\":\"AAAAAAAAAAA=\",\"position\":0}";

    assert_int_equal(build_text(f, huge, strlen(huge)), -E2BIG);
    assert_message(&f->err, "file_bytes");
    assert_int_equal(ol_buf_puts(&line, "{\"type\":1,\"name\":\""), 0);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(ol_buf_putc(&line, 'n'), 0);
    assert_int_equal(ol_buf_puts(&line, "\",\"payload\":null,\"position\":0}"), 0);
    assert_int_equal(build_text(f, line.data, line.len), -E2BIG);
    assert_message(&f->err, "path_bytes");
    ol_buf_truncate(&line, 0);
    for (size_t i = 0; i <= OL_TARSPLIT_LINE_MAX + (128 << 10); i++)
        assert_int_equal(ol_buf_putc(&line, ' '), 0);
    assert_int_equal(build_text(f, line.data, line.len), -E2BIG);
}

static void tarsplit__nothing_outside_the_layer_is_read(void **state)
{
    static const char *const names[] = {"../out/canary", "up/canary", "root/../../out/canary",
                                        "last"};
    struct layer_fixture *f = *state;
    ol_auto_free char *out = layer_out_path(f, "");
    ol_auto_free char *canary = layer_out_path(f, "canary");

    test_symlink(f->root_fd, out, "up");
    test_symlink(f->root_fd, canary, "last");
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        ol_auto_buf struct ol_buf line = OL_BUF_INIT;
        ol_auto_fd int fd = -1;
        ol_auto_buf struct ol_buf got = OL_BUF_INIT;
        assert_int_equal(ol_buf_printf(&line,
                                       "{\"type\":1,\"name\":\"%s\",\"size\":9,\"payload\":"
                                       "\"AAAAAAAAAAA=\",\"position\":0}",
                                       names[i]),
                         0);
        fd = memory_file(line.data, line.len);
        assert_true(rebuild(f, fd, &got) < 0);
        assert_int_equal(got.len, 0);
    }
}

/* ---- the layer ---- */

static void tarsplit__changed_and_missing_files_are_named(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_fd int tar_fd = -1;
    ol_auto_fd int file_fd = memory_file("", 0);
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    struct ol_input input;
    bool doubt = false;

    tarball_add_file(&f->tar, "d/f", "hello");
    tarball_end(&f->tar);
    tar_fd = memory_file(f->tar.data, f->tar.len);
    input = input_at(tar_fd);
    assert_ok(apply_recorded(f, &input, file_fd, &doubt), &f->err);

    test_write(f->root_fd, "d/f", "hellO");
    assert_int_equal(rebuild(f, file_fd, &out), -EBADMSG);
    assert_message(&f->err, "'d/f' has changed");
    test_write(f->root_fd, "d/f", "hello!");
    assert_int_equal(rebuild(f, file_fd, &out), -EBADMSG);
    assert_int_equal(unlinkat(f->root_fd, "d/f", 0), 0);
    assert_int_equal(rebuild(f, file_fd, &out), -ENOENT);
    assert_message(&f->err, "'d/f'");
    assert_int_equal(mkfifoat(f->root_fd, "d/f", 0644), 0);
    assert_int_equal(rebuild(f, file_fd, &out), -EBADMSG); /* and it does not wait for a writer */
}

static void tarsplit__pipe_cannot_be_read_twice(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_fd int tar_fd = -1;
    ol_auto_fd int file_fd = memory_file("", 0);
    struct ol_input input;
    bool doubt = false;

    tarball_add_file(&f->tar, "f", "first");
    tarball_add_file(&f->tar, "f", "second");
    tarball_end(&f->tar);
    tar_fd = memory_file(f->tar.data, f->tar.len);
    input = input_at(tar_fd);
    assert_ok(apply_recorded(f, &input, file_fd, &doubt), &f->err);
    assert_true(doubt);
    input.offset = -1;
    assert_int_equal(ol_tarsplit_settle(&input, NULL, 1, file_fd, f->root_fd, &f->err), -ESPIPE);
}

static void tarsplit__failed_apply_leaves_no_whole_record(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_fd int tar_fd = -1;
    ol_auto_fd int file_fd = memory_file("", 0);
    struct ol_input input;
    bool doubt = false;

    for (f->options.threads = 1; f->options.threads < 4; f->options.threads++) {
        random_archive_make(&f->tar, 5, 0);
        tarball_add_file(&f->tar, "../escape", "payload");
        tarball_end(&f->tar);
        tar_fd = memory_file(f->tar.data, f->tar.len);
        input = input_at(tar_fd);
        assert_int_equal(apply_recorded(f, &input, file_fd, &doubt), -EXDEV);
        ol_fd_close(&tar_fd);
        layer_clear(f);
        tarball_fini(&f->tar);
    }
}

static void tarsplit__full_disk_fails_the_apply(void **state)
{
    struct layer_fixture *f = *state;
    ol_auto_fd int tar_fd = -1;
    struct ol_input input;
    bool doubt = false;

    for (f->options.threads = 1; f->options.threads < 4; f->options.threads++) {
        ol_auto_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        random_archive_make(&f->tar, 6, 0);
        tarball_end(&f->tar);
        tar_fd = memory_file(f->tar.data, f->tar.len);
        input = input_at(tar_fd);
        assert_int_equal(apply_recorded(f, &input, full, &doubt), -ENOSPC);
        assert_message(&f->err, "tar-split");
        ol_fd_close(&tar_fd);
        layer_clear(f);
        tarball_fini(&f->tar);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(tarsplit__streams_of_all_kinds_of_entries_come_back),
        TEST(tarsplit__streams_without_an_end_or_anything_come_back),
        TEST(tarsplit__content_of_every_length_comes_back),
        TEST(tarsplit__replaced_content_comes_back),
        TEST(tarsplit__content_deleted_by_its_own_layer_comes_back),
        TEST(tarsplit__content_behind_changing_symlinks_comes_back),
        TEST(tarsplit__older_symlink_that_goes_away_is_noticed),
        TEST(tarsplit__sparse_content_comes_back),
        TEST(tarsplit__random_streams_come_back_from_trees),
        TEST(tarsplit__random_streams_come_back_from_uppers),
        TEST(tarsplit__corpus_comes_back),
        TEST(tarsplit__lines_are_those_of_moby),
        TEST(tarsplit__damaged_lines_are_refused),
        TEST(tarsplit__damaged_gzip_is_refused),
        TEST(tarsplit__names_and_sizes_meet_their_limits),
        TEST(tarsplit__nothing_outside_the_layer_is_read),
        TEST(tarsplit__changed_and_missing_files_are_named),
        TEST(tarsplit__pipe_cannot_be_read_twice),
        TEST(tarsplit__failed_apply_leaves_no_whole_record),
        TEST(tarsplit__full_disk_fails_the_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
