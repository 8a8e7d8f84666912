/* SPDX-License-Identifier: Apache-2.0 */
/* Compressing streams, and the CRC of tar-split. */
#include "common/buf.h"
#include "common/layer/compress.h"
#include "common/layer/crc64.h"
#include "common/layer/layer.h"
#include "support/support.h"

#include <sys/mman.h>
#include <unistd.h>

enum { LONG = 3 << 20 };

static int keep(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    struct ol_buf *out = data;

    (void)err;
    return ol_buf_append(out, bytes, len);
}

static char *long_text(void)
{
    char *text = malloc(LONG);

    assert_non_null(text);
    for (size_t i = 0; i < LONG; i++)
        text[i] = (char)(i * i >> 7);
    return text;
}

static struct ol_buf compress(enum ol_compression kind, const char *text, size_t len, size_t step)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_buf out = OL_BUF_INIT;
    struct ol_compress *c = NULL;

    assert_ok(ol_compress_new(kind, 0, keep, &out, &c, &err), &err);
    for (size_t at = 0; at < len; at += step)
        assert_ok(ol_compress_write(c, text + at, len - at < step ? len - at : step, &err), &err);
    assert_ok(ol_compress_finish(c, &err), &err);
    ol_compress_free(c);
    return out;
}

static void assert_decodes(const struct ol_buf *bytes, const char *text, size_t len)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char want[OL_DIGEST_SIZE], got[OL_DIGEST_SIZE];
    ol_auto_fd int fd = memfd_create("compressed", MFD_CLOEXEC);

    assert_int_equal(ol_io_write(fd, bytes->data, bytes->len), 0);
    assert_ok(ol_digest_of(text, len, want, &err), &err);
    assert_ok(ol_layer_decompress(&(struct ol_input){fd, 0, UINT64_MAX}, -1, NULL, got, &err),
              &err);
    assert_string_equal(got, want);
}

static void compress__decodes_to_the_same_bytes(void **state)
{
    static const enum ol_compression kinds[] = {OL_COMPRESS_NONE, OL_COMPRESS_GZIP,
                                                OL_COMPRESS_ZSTD};
    ol_auto_free char *text = long_text();

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++) {
        ol_auto_buf struct ol_buf whole = compress(kinds[i], text, LONG, LONG);
        ol_auto_buf struct ol_buf nothing = compress(kinds[i], text, 0, 1);
        assert_decodes(&whole, text, LONG);
        assert_decodes(&nothing, text, 0);
    }
}

static void compress__depends_on_the_bytes_alone(void **state)
{
    static const enum ol_compression kinds[] = {OL_COMPRESS_GZIP, OL_COMPRESS_ZSTD};
    ol_auto_free char *text = long_text();

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++) {
        ol_auto_buf struct ol_buf whole = compress(kinds[i], text, LONG, LONG);
        ol_auto_buf struct ol_buf pieces = compress(kinds[i], text, LONG, 4099);
        assert_int_equal(whole.len, pieces.len);
        assert_memory_equal(whole.data, pieces.data, whole.len);
    }
}

static int refuse(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    (void)data, (void)bytes, (void)len;
    return ol_error_set(err, -ENOSPC, "no room");
}

static void compress__passes_on_why_the_sink_failed(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *text = long_text();
    struct ol_compress *c = NULL;

    (void)state;
    assert_ok(ol_compress_new(OL_COMPRESS_ZSTD, 0, refuse, NULL, &c, &err), &err);
    assert_int_equal(ol_compress_write(c, text, LONG, &err), -ENOSPC);
    assert_message(&err, "no room");
    ol_compress_free(c);
}

static void crc64__is_that_of_go(void **state)
{
    static const char digits[] = "123456789";

    (void)state;
    /* crc64.Checksum([]byte("123456789"), crc64.MakeTable(crc64.ISO)) */
    assert_true(ol_crc64(0, digits, 9) == 0xb90956c775a41001);
    assert_true(ol_crc64_plain(0, digits, 9) == 0xb90956c775a41001);
    assert_true(ol_crc64(ol_crc64(0, digits, 4), digits + 4, 5) == 0xb90956c775a41001);
    assert_true(ol_crc64(0, digits, 0) == 0);
}

static void crc64__is_the_same_with_and_without_isal(void **state)
{
    ol_auto_free char *text = long_text();

    (void)state;
    for (size_t len = 0; len < 600; len++)
        assert_true(ol_crc64(7, text + len, len) == ol_crc64_plain(7, text + len, len));
    assert_true(ol_crc64(0, text, LONG) == ol_crc64_plain(0, text, LONG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compress__decodes_to_the_same_bytes),
        cmocka_unit_test(compress__depends_on_the_bytes_alone),
        cmocka_unit_test(compress__passes_on_why_the_sink_failed),
        cmocka_unit_test(crc64__is_that_of_go),
        cmocka_unit_test(crc64__is_the_same_with_and_without_isal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
