/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression, digest and block stream: ol_layer_decompress() and the input forms. */
#include "layer_fixture.h"

#include "common/buf.h"
#include "common/io.h"
#include "common/layer/codec.h"
#include "common/layer/source.h"
#include "common/layer/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum { NOISE = OL_STREAM_LONG + OL_STREAM_BLOCK + 12345 };

static const enum tarball_codec codecs[] = {TARBALL_GZIP, TARBALL_ZSTD, TARBALL_XZ, TARBALL_BZIP2};

/* Bytes that compress a little and have no short period. */
static void add_noise(struct tarball *tar, size_t len)
{
    uint32_t x = 1;
    char *noise = malloc(len);

    assert_non_null(noise);
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (char)("0123456789abcdef"[x >> 28]);
    }
    tarball_raw(tar, noise, len);
    free(noise);
}

/* Decompress to a memory file; the result and the digest are compared with want. */
static int decompress(struct tarball *tar, const struct tarball *want, struct ol_error *err)
{
    const struct ol_input input = OL_INPUT_FD(tarball_fd(tar));
    struct test_dir dir;
    ol_auto_fd int out = -1;
    char diff_id[OL_DIGEST_SIZE] = "";
    char want_id[OL_DIGEST_SIZE];
    int r;

    test_dir_make(&dir);
    out = openat(dir.fd, "out", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(out >= 0);
    r = ol_layer_decompress(&input, out, NULL, diff_id, err);
    if (r == 0 && want != NULL) {
        char *got = malloc(want->len + 1);
        assert_non_null(got);
        assert_int_equal(ol_io_pread(out, got, want->len + 1, 0), want->len);
        assert_memory_equal(got, want->data, want->len);
        free(got);
        assert_int_equal(ol_digest_of(want->data, want->len, want_id, NULL), 0);
        assert_string_equal(diff_id, want_id);
    }
    test_dir_remove(&dir);
    return r;
}

/* A tarball with noise, and the same compressed. */
static void make_pair(struct tarball *plain, struct tarball *packed, enum tarball_codec codec,
                      size_t len)
{
    *plain = (struct tarball)TARBALL_INIT;
    *packed = (struct tarball)TARBALL_INIT;
    add_noise(plain, len);
    tarball_raw(packed, plain->data, plain->len);
    tarball_compress(packed, codec);
}

static void layer_source__decodes_every_format(void **state)
{
    static const size_t sizes[] = {1, OL_STREAM_BLOCK, NOISE};

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        for (size_t k = 0; k < OL_ARRAY_LEN(sizes); k++) {
            ol_auto_error struct ol_error err = OL_ERROR_INIT;
            struct tarball plain, packed;
            make_pair(&plain, &packed, codecs[i], sizes[k]);
            assert_ok(decompress(&packed, &plain, &err), &err);
            tarball_fini(&plain);
            tarball_fini(&packed);
        }
    }
}

static void layer_source__passes_plain_bytes(void **state)
{
    static const size_t sizes[] = {0, 1, 9, 10, 11, OL_STREAM_BLOCK, OL_STREAM_BLOCK + 1, NOISE};

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(sizes); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tarball plain = TARBALL_INIT;
        add_noise(&plain, sizes[i]);
        assert_ok(decompress(&plain, &plain, &err), &err);
        tarball_fini(&plain);
    }
}

static void layer_source__joins_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tarball plain = TARBALL_INIT;
        struct tarball packed = TARBALL_INIT;
        for (size_t n = 0; n < 40; n++) { /* many ends, at many places in the bit buffer */
            struct tarball a, b;
            make_pair(&a, &b, codecs[i], n * n * 13);
            tarball_raw(&plain, a.data, a.len);
            tarball_raw(&packed, b.data, b.len);
            tarball_fini(&a);
            tarball_fini(&b);
        }
        assert_ok(decompress(&packed, &plain, &err), &err);
        tarball_fini(&plain);
        tarball_fini(&packed);
    }
}

static void layer_source__ignores_zero_padding(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tarball plain, packed;
        make_pair(&plain, &packed, codecs[i], 5000);
        tarball_zeros(&packed, 1024);
        assert_ok(decompress(&packed, &plain, &err), &err);
        tarball_fini(&plain);
        tarball_fini(&packed);
    }
}

static void layer_source__refuses_trailing_garbage(void **state)
{
    static const char *const garbage[] = {"garbage after it", "\0\0\0\0garbage"};

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        for (size_t k = 0; k < OL_ARRAY_LEN(garbage); k++) {
            ol_auto_error struct ol_error err = OL_ERROR_INIT;
            struct tarball plain, packed;
            make_pair(&plain, &packed, codecs[i], 5000);
            tarball_raw(&packed, garbage[k], 11);
            assert_int_equal(decompress(&packed, NULL, &err), -EBADMSG);
            assert_non_null(err.message);
            tarball_fini(&plain);
            tarball_fini(&packed);
        }
    }
}

static void layer_source__notices_truncation_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        struct tarball plain, packed;
        make_pair(&plain, &packed, codecs[i], 3000);
        for (size_t keep = 10; keep < packed.len; keep += 1 + packed.len / 50) {
            ol_auto_error struct ol_error err = OL_ERROR_INIT;
            struct tarball cut = TARBALL_INIT;
            tarball_raw(&cut, packed.data, keep);
            assert_int_equal(decompress(&cut, NULL, &err), -EBADMSG);
            assert_message(&err, "truncated");
            tarball_fini(&cut);
        }
        tarball_fini(&plain);
        tarball_fini(&packed);
    }
}

static void layer_source__notices_flipped_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        struct tarball plain, packed;
        size_t noticed = 0;
        size_t tried = 0;
        make_pair(&plain, &packed, codecs[i], 3000);
        for (size_t at = 12; at < packed.len; at += 1 + packed.len / 40) {
            ol_auto_error struct ol_error err = OL_ERROR_INIT;
            packed.data[at] = (char)(packed.data[at] ^ 0x10);
            noticed += decompress(&packed, NULL, &err) == -EBADMSG;
            tried++;
            packed.data[at] = (char)(packed.data[at] ^ 0x10);
        }
        /* ZSTD_compress() writes no checksum: a literal may change unseen */
        assert_true(noticed == tried || codecs[i] == TARBALL_ZSTD);
        tarball_fini(&plain);
        tarball_fini(&packed);
    }
}

/* Compressed input in pieces of every small size: headers, trailers and bit buffers are cut. */
static void layer_source__takes_input_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        struct tarball plain, packed;
        struct ol_source *source = NULL;
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        char *got = malloc(8192);
        size_t done = 0;
        int ends[2];
        pid_t writer;
        make_pair(&plain, &packed, codecs[i], 4000);
        tarball_raw(&packed, packed.data, packed.len); /* a second member */
        assert_int_equal(pipe(ends), 0);
        writer = fork();
        if (writer == 0) {
            for (size_t at = 0; at < packed.len; at++) {
                if (write(ends[1], packed.data + at, 1) != 1)
                    _exit(1);
                if (at % 7 == 0)
                    (void)sched_yield();
            }
            _exit(0);
        }
        close(ends[1]);
        assert_ok(ol_source_open(&OL_INPUT_FD(ends[0]), -1, &source, &err), &err);
        assert_non_null(got);
        for (ssize_t n = 1; n > 0; done += (size_t)n) {
            n = ol_source_read(source, got + done, done < 8000 ? 17 : 100, &err);
            assert_ok((int)n, &err);
        }
        assert_int_equal(done, 8000);
        assert_memory_equal(got, plain.data, 4000);
        assert_memory_equal(got + 4000, plain.data, 4000);
        ol_source_close(source);
        close(ends[0]);
        free(got);
        tarball_fini(&plain);
        tarball_fini(&packed);
    }
}

static void layer_source__reads_a_part_of_a_file(void **state)
{
    struct tarball tar = TARBALL_INIT;
    struct ol_input input;
    char want[OL_DIGEST_SIZE];
    char diff_id[OL_DIGEST_SIZE];
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    add_noise(&tar, NOISE);
    input = (struct ol_input){tarball_fd(&tar), 1000, OL_IO_BLOCK + 77};
    assert_int_equal(ol_digest_of(tar.data + 1000, OL_IO_BLOCK + 77, want, NULL), 0);
    assert_ok(ol_layer_decompress(&input, -1, NULL, diff_id, &err), &err);
    assert_string_equal(diff_id, want);
    assert_int_equal(lseek(input.fd, 0, SEEK_CUR), 0); /* the position belongs to others */
    tarball_fini(&tar);
}

static void layer_source__keeps_to_the_total_limit(void **state)
{
    struct ol_layer_limits limits = OL_LAYER_LIMITS_DEFAULT;

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tarball bomb = TARBALL_INIT;
        tarball_zeros(&bomb, 8 * OL_IO_BLOCK);
        tarball_compress(&bomb, codecs[i]);
        limits.total_bytes = 4 * OL_IO_BLOCK;
        assert_int_equal(
            ol_layer_decompress(&OL_INPUT_FD(tarball_fd(&bomb)), -1, &limits, NULL, &err), -E2BIG);
        assert_message(&err, "total_bytes");
        tarball_fini(&bomb);
    }
}

static void layer_source__plain_tar_named_like_bzip2_is_plain(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "BZh91.txt", "x");
    layer_apply_ok(f);
    assert_content(f->root_fd, "BZh91.txt", "x");
}

static void layer_source__applies_compressed_archives(void **state)
{
    struct layer_fixture *f = *state;
    char want[OL_DIGEST_SIZE];

    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        tarball_add_file(&f->tar, "d/f", "content");
        tarball_end(&f->tar);
        assert_int_equal(ol_digest_of(f->tar.data, f->tar.len, want, NULL), 0);
        tarball_compress(&f->tar, codecs[i]);
        assert_ok(layer_apply_raw(f), &f->err);
        assert_content(f->root_fd, "d/f", "content");
        assert_string_equal(f->res.diff_id, want);
        layer_clear(f);
    }
}

/* An error while the other side of the pipe waits must end the reader thread, not wait for it. */
static void layer_source__failure_does_not_wait_for_the_writer(void **state)
{
    struct layer_fixture *f = *state;
    struct tarball_entry big = {.name = "big", .type = '0', .mode = 0644, .size = 1ll << 33};
    char *zeros = calloc(1, 2 * OL_IO_BLOCK);
    struct ol_layer_limits limits = OL_LAYER_LIMITS_DEFAULT;
    int ends[2];

    assert_non_null(zeros);
    tarball_fill_header(zeros, &big, TARBALL_PAX);
    assert_int_equal(ol_io_pipe(ends, &f->err), 0);
    limits.file_bytes = 1 << 20;
    f->options.limits = &limits;
    f->options.threads = 4;
    {
        pid_t writer = fork();
        if (writer == 0) {
            close(ends[0]);
            _exit(ol_io_write(ends[1], zeros, 2 * OL_IO_BLOCK) == 0 && pause() == 0);
        }
        close(ends[1]);
        assert_int_equal(
            ol_layer_apply(f->root_fd, &OL_INPUT_FD(ends[0]), &f->options, NULL, &f->err), -E2BIG);
        assert_message(&f->err, "file_bytes");
        assert_int_equal(kill(writer, SIGKILL), 0);
    }
    close(ends[0]);
    free(zeros);
}

struct scanned {
    struct ol_buf text;
};

static int note(const struct ol_entry *e, void *data, struct ol_error *err)
{
    struct scanned *s = data;

    (void)err;
    return ol_buf_printf(&s->text, "%d %s %s %llu\n", (int)e->type, e->path,
                         e->link != NULL ? e->link : "-", (unsigned long long)e->size);
}

static void add_for_scan(struct tarball *tar)
{
    char *content = calloc(1, 3 * OL_IO_BLOCK);

    assert_non_null(content);
    tarball_add_dir(tar, "./d/");
    tarball_add_bytes(tar, "d/big", content, 3 * OL_IO_BLOCK);
    tarball_add_file(tar, "d/small", "12345");
    tarball_add_symlink(tar, "d/s", "../up");
    tarball_add_hardlink(tar, "h", "/d/small");
    tarball_add_file(tar, "d/.wh.gone", "");
    free(content);
}

static const char scan_want[] = "1 d - 0\n0 d/big - 3145728\n0 d/small - 5\n2 d/s ../up 0\n"
                                "3 h d/small 0\n0 d/.wh.gone - 0\n";

static void layer_source__scan_seeks_in_plain_files(void **state)
{
    struct layer_fixture *f = *state;
    struct scanned s = {OL_BUF_INIT};

    add_for_scan(&f->tar);
    tarball_end(&f->tar);
    assert_ok(ol_layer_scan(&OL_INPUT_FD(tarball_fd(&f->tar)), NULL, note, &s, &f->res, &f->err),
              &f->err);
    assert_string_equal(ol_buf_str(&s.text), scan_want);
    assert_string_equal(f->res.diff_id, "");
    assert_int_equal(f->res.stream_bytes, f->tar.len);
    assert_int_equal(f->res.entries, 6);
    assert_int_equal(f->res.regular, 2);
    assert_int_equal(f->res.whiteouts, 1);
    ol_buf_fini(&s.text);
}

static void layer_source__scan_digests_compressed_input(void **state)
{
    struct layer_fixture *f = *state;
    struct scanned s = {OL_BUF_INIT};
    char want[OL_DIGEST_SIZE];

    add_for_scan(&f->tar);
    tarball_end(&f->tar);
    assert_int_equal(ol_digest_of(f->tar.data, f->tar.len, want, NULL), 0);
    tarball_compress(&f->tar, TARBALL_ZSTD);
    assert_ok(ol_layer_scan(&OL_INPUT_FD(tarball_fd(&f->tar)), NULL, note, &s, &f->res, &f->err),
              &f->err);
    assert_string_equal(ol_buf_str(&s.text), scan_want);
    assert_string_equal(f->res.diff_id, want);
    ol_buf_fini(&s.text);
}

static void layer_source__scan_digests_when_told(void **state)
{
    struct layer_fixture *f = *state;
    char want[OL_DIGEST_SIZE];

    add_for_scan(&f->tar);
    tarball_end(&f->tar);
    assert_int_equal(ol_digest_of(f->tar.data, f->tar.len, want, NULL), 0);
    assert_ok(ol_layer_scan_digest(&OL_INPUT_FD(tarball_fd(&f->tar)), OL_SCAN_DIGEST, NULL, NULL,
                                   NULL, &f->res, &f->err),
              &f->err);
    assert_string_equal(f->res.diff_id, want); /* of a file whose contents could be skipped */
    assert_int_equal(f->res.entries, 6);
    tarball_compress(&f->tar, TARBALL_ZSTD);
    assert_ok(ol_layer_scan_digest(&OL_INPUT_FD(tarball_fd(&f->tar)), OL_SCAN_NO_DIGEST, NULL, NULL,
                                   NULL, &f->res, &f->err),
              &f->err);
    assert_string_equal(f->res.diff_id, "");
    assert_int_equal(f->res.entries, 6);
}

static void layer_source__scan_notices_truncated_content(void **state)
{
    struct layer_fixture *f = *state;

    add_for_scan(&f->tar);
    tarball_cut(&f->tar, f->tar.len - 2 * OL_IO_BLOCK); /* inside d/big */
    assert_int_equal(
        ol_layer_scan(&OL_INPUT_FD(tarball_fd(&f->tar)), NULL, NULL, NULL, NULL, &f->err),
        -EBADMSG);
    assert_message(&f->err, "truncated");
    assert_message(&f->err, "d/big");
}

static void layer_source__scan_takes_an_end_in_the_padding(void **state)
{
    struct layer_fixture *f = *state;

    add_for_scan(&f->tar);
    tarball_add_file(&f->tar, "last", "content");
    tarball_cut(&f->tar, TARBALL_BLOCK - strlen("content"));
    assert_ok(ol_layer_scan(&OL_INPUT_FD(tarball_fd(&f->tar)), NULL, NULL, NULL, &f->res, &f->err),
              &f->err);
    assert_int_equal(f->res.entries, 7);
}

static int stop(const struct ol_entry *e, void *data, struct ol_error *err)
{
    (void)e, (void)data;
    return ol_error_set(err, -ECANCELED, "enough");
}

static void layer_source__scan_stops_when_told(void **state)
{
    struct layer_fixture *f = *state;

    add_for_scan(&f->tar);
    assert_int_equal(
        ol_layer_scan(&OL_INPUT_FD(tarball_fd(&f->tar)), NULL, stop, NULL, NULL, &f->err),
        -ECANCELED);
    assert_message(&f->err, "enough");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_source__decodes_every_format),
        cmocka_unit_test(layer_source__passes_plain_bytes),
        cmocka_unit_test(layer_source__joins_members),
        cmocka_unit_test(layer_source__ignores_zero_padding),
        cmocka_unit_test(layer_source__refuses_trailing_garbage),
        cmocka_unit_test(layer_source__notices_truncation_everywhere),
        cmocka_unit_test(layer_source__notices_flipped_bits),
        cmocka_unit_test(layer_source__takes_input_byte_by_byte),
        cmocka_unit_test(layer_source__reads_a_part_of_a_file),
        cmocka_unit_test(layer_source__keeps_to_the_total_limit),
        TEST(layer_source__plain_tar_named_like_bzip2_is_plain),
        TEST(layer_source__applies_compressed_archives),
        TEST(layer_source__failure_does_not_wait_for_the_writer),
        TEST(layer_source__scan_seeks_in_plain_files),
        TEST(layer_source__scan_digests_compressed_input),
        TEST(layer_source__scan_digests_when_told),
        TEST(layer_source__scan_notices_truncated_content),
        TEST(layer_source__scan_takes_an_end_in_the_padding),
        TEST(layer_source__scan_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
