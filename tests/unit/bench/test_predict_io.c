/* SPDX-License-Identifier: Apache-2.0 */
/* How much of an archive a prediction reads: headers of an uncompressed one, however large it is.
 */
#include "support/support.h"
#include "support/tarball.h"

#include "bench/harness/predict.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FILES = 64 };
static const uint64_t FILE_BYTES = 16u << 20; /* 1 GiB of contents in all */

static char *const engines[] = {(char[]){"overlay"}, (char[]){"overlay2"}, (char[]){"snapshot"},
                                (char[]){"vfs"}};

static off_t put_header(int fd, off_t at, const char *name, uint64_t size)
{
    char block[TARBALL_BLOCK];

    tarball_fill_header(
        block,
        &(struct tarball_entry){
            .name = name, .type = '0', .mode = 0644, .mtime = 1000000000, .size = (int64_t)size},
        TARBALL_USTAR);
    assert_int_equal(pwrite(fd, block, sizeof block, at), sizeof block);
    return at + TARBALL_BLOCK;
}

static off_t put_file(int fd, off_t at, const char *name, const char *content)
{
    size_t len = strlen(content);

    at = put_header(fd, at, name, len);
    assert_int_equal(pwrite(fd, content, len, at), (ssize_t)len);
    return at + (off_t)((len + TARBALL_BLOCK - 1) / TARBALL_BLOCK * TARBALL_BLOCK);
}

/* A docker-archive of one layer whose contents are holes in the file. */
static off_t write_large(const struct test_dir *dir)
{
    static const char config[] =
        "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]}}";
    ol_auto_fd int fd = openat(dir->fd, "large.tar", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const uint64_t layer = FILES * (FILE_BYTES + TARBALL_BLOCK) + 2 * TARBALL_BLOCK;
    char name[32];
    off_t at = 0;

    assert_true(fd >= 0);
    at = put_file(fd, at, "config.json", config);
    at = put_file(fd, at, "manifest.json",
                  "[{\"Config\":\"config.json\",\"Layers\":[\"layer.tar\"]}]");
    at = put_header(fd, at, "layer.tar", layer);
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "usr/file%u", i);
        at = put_header(fd, at, name, FILE_BYTES) + (off_t)FILE_BYTES;
    }
    at += 4 * TARBALL_BLOCK; /* the ends of both archives */
    assert_int_equal(ftruncate(fd, at), 0);
    return at;
}

/* Bytes this process asked read(2) and its kin for, and got, so far. */
static uint64_t bytes_read(void)
{
    ol_auto_free char *text = test_read(AT_FDCWD, "/proc/self/io");
    uint64_t bytes = 0;

    assert_int_equal(sscanf(text, "rchar: %" SCNu64, &bytes), 1);
    return bytes;
}

static long peak_kib(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void predict__skips_file_contents(void **state)
{
    struct test_dir dir;
    ol_auto_free char *path = NULL;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *images[1];
    const struct ol_predict_options options = {
        .images = images,
        .n_images = 1,
        .engines = engines,
        .n_engines = OL_ARRAY_LEN(engines),
        .workload = {.seed = 1},
        .tmp_dir = "/nonexistent",
    };
    struct ol_prediction found;
    uint64_t before;
    uint64_t read;
    off_t size;
    long memory;

    (void)state;
    test_dir_make(&dir);
    size = write_large(&dir);
    assert_true(size > INT64_C(1) << 30);
    assert_true(asprintf(&path, "%s/large.tar", dir.path) > 0);
    images[0] = path;
    memory = peak_kib();
    before = bytes_read();
    assert_ok(ol_predict(&options, &found, &err), &err);
    read = bytes_read() - before;
    memory = peak_kib() - memory;
    assert_int_equal(found.images[0].report.image.layers[0].entries, FILES);
    assert_int_equal(found.images[0].cost.layers[0].under[OL_LAW_OVERLAY2].bytes,
                     FILES * FILE_BYTES);
    print_message("%" PRIu64 " of %jd bytes read, %ld KiB more memory\n", read, (intmax_t)size,
                  memory);
    assert_true(read < (uint64_t)size / 1000);
    assert_true(memory < 64 << 10); /* follows the number of entries, not their size */
    ol_prediction_fini(&found);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predict__skips_file_contents),
    };

    return cmocka_run_group_tests_name("predict_io", tests, NULL, NULL);
}
