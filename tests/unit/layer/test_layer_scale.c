/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of extraction: 16 MiB up to 200,000 entries, 64 MiB for a million entries or a 10 GiB
 * stream. The archives are generated into a pipe, and the peak is that of a child of its own.
 */
#include "layer_fixture.h"

#include "common/io.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_PER_DIRECTORY = 200 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* What the writing child sends. */
struct plan {
    unsigned files;
    uint64_t skipped_bytes; /* of one aufs metadata entry: read, digested, not extracted */
};

struct out {
    int fd;
    char *data;
    size_t len;
};

enum { OUT_SIZE = 1 << 20 };

static void out_flush(struct out *out)
{
    if (ol_io_write(out->fd, out->data, out->len) < 0)
        _exit(1);
    out->len = 0;
}

static char *out_block(struct out *out)
{
    if (out->len == OUT_SIZE)
        out_flush(out);
    out->len += TARBALL_BLOCK;
    return memset(out->data + out->len - TARBALL_BLOCK, 0, TARBALL_BLOCK);
}

static void send_archive(int fd, const struct plan *plan)
{
    struct out out = {.fd = fd, .data = malloc(OUT_SIZE)};
    char name[64];

    if (out.data == NULL)
        _exit(1);
    for (unsigned i = 0; i < plan->files; i++) {
        unsigned dir = i / FILES_PER_DIRECTORY;
        if (i % FILES_PER_DIRECTORY == 0) {
            (void)snprintf(name, sizeof name, "directory-%05u", dir);
            tarball_fill_header(out_block(&out),
                                &(struct tarball_entry){.name = name, .type = '5', .mode = 0755},
                                TARBALL_PAX);
        }
        (void)snprintf(name, sizeof name, "directory-%05u/file-with-a-name-%u", dir, i);
        tarball_fill_header(
            out_block(&out),
            &(struct tarball_entry){.name = name, .type = '0', .mode = 0644, .content_len = 0},
            TARBALL_PAX);
    }
    if (plan->skipped_bytes > 0)
        tarball_fill_header(out_block(&out),
                            &(struct tarball_entry){.name = ".wh..wh.big",
                                                    .type = '0',
                                                    .size = (int64_t)plan->skipped_bytes},
                            TARBALL_PAX);
    for (uint64_t n = 0; n < plan->skipped_bytes; n += TARBALL_BLOCK)
        (void)out_block(&out);
    (void)out_block(&out);
    (void)out_block(&out);
    out_flush(&out);
}

static pid_t start_writer(int ends[2], const struct plan *plan)
{
    pid_t pid;

    assert_int_equal(ol_io_pipe(ends, NULL), 0);
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        send_archive(ends[1], plan);
        _exit(0);
    }
    assert_true(pid > 0);
    close(ends[1]);
    return pid;
}

static void run_reader(struct layer_fixture *f, int fd, const struct plan *plan, bool scan)
{
    unsigned dirs = (plan->files + FILES_PER_DIRECTORY - 1) / FILES_PER_DIRECTORY;
    int r = scan ? ol_layer_scan(&OL_INPUT_FD(fd), NULL, NULL, NULL, &f->res, &f->err)
                 : ol_layer_apply(f->root_fd, &OL_INPUT_FD(fd), &f->options, &f->res, &f->err);

    if (r < 0)
        print_error("%s\n", ol_error_text(&f->err));
    _exit(r == 0 && f->res.entries == plan->files + dirs + (plan->skipped_bytes > 0) ? 0 : 1);
}

/* Peak resident memory of applying or scanning, in KiB. */
static long peak_kib(struct layer_fixture *f, const struct plan *plan, bool scan)
{
    struct rusage usage;
    int ends[2];
    int status = 0;
    pid_t writer = start_writer(ends, plan);
    pid_t reader = fork();

    if (reader == 0)
        run_reader(f, ends[0], plan, scan);
    assert_true(reader > 0);
    close(ends[0]);
    assert_int_equal(wait4(reader, &status, 0, &usage), reader);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    return usage.ru_maxrss;
}

static void assert_peak(struct layer_fixture *f, const struct plan *plan, bool scan, long mib)
{
    long peak = peak_kib(f, plan, scan);

    print_message("%u files, %llu bytes skipped: %ld KiB\n", plan->files,
                  (unsigned long long)plan->skipped_bytes, peak);
    if (!SANITIZED && peak > mib << 10)
        fail_msg("%ld KiB are more than %ld MiB", peak, mib);
}

static void layer_scale__200000_entries_fit_in_16_mib(void **state)
{
    assert_peak(*state, &(struct plan){.files = 199000}, false, 16);
}

static void layer_scale__a_million_entries_fit_in_64_mib(void **state)
{
    assert_peak(*state, &(struct plan){.files = 1000000}, false, 64);
}

static void layer_scale__10_gib_fit_in_16_mib(void **state)
{
    assert_peak(*state, &(struct plan){.files = 10, .skipped_bytes = 10ull << 30}, false, 16);
}

static void layer_scale__scanning_needs_no_memory_per_entry(void **state)
{
    assert_peak(*state, &(struct plan){.files = 1000000}, true, 14);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(layer_scale__200000_entries_fit_in_16_mib),
        TEST(layer_scale__a_million_entries_fit_in_64_mib),
        TEST(layer_scale__10_gib_fit_in_16_mib),
        TEST(layer_scale__scanning_needs_no_memory_per_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
