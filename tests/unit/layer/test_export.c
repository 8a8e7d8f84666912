/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fault.h"
#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "common/io.h"
#include "common/layer/export.h"
#include "export_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What moby 20.10.24's pkg/archive writes for the trees of export_tree.c, user names blanked, the
 * whiteouts' time 1700000000. */
#define MOBY_DIFF  "sha256:e3daf826317d11445e489f24fb8930790b1fc7869834f31fa124bbc52d4af67f"
#define MOBY_TREE  "sha256:78adc9ca2ca5ed816a139396b8bf9e038c5ba22c5d5a1fc716d081906619ca72"
#define MOBY_UPPER "sha256:91a23d0b4f02a86bf664c735edf916cafaea96cedca3c8e37ba30be1b5447467"

static const struct ol_export_options options = {.now = 1700000000};

struct fixture {
    struct test_dir dir;
    int now, was, out;
};

static int open_dir(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "new", 0755);
    test_mkdir(f->dir.fd, "old", 0755);
    f->now = open_dir(f->dir.fd, "new");
    f->was = open_dir(f->dir.fd, "old");
    f->out = openat(f->dir.fd, "out.tar", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(f->out >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_fd_close(&f->now);
    ol_fd_close(&f->was);
    ol_fd_close(&f->out);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static struct ol_stack plain(const int *fd)
{
    return (struct ol_stack){fd, 1, false, OL_OVERLAY_TRUSTED};
}

/* The diff of the fixture's trees into f->out. */
static int export_diff(struct fixture *f, struct ol_tar_result *ret, struct ol_error *err)
{
    const struct ol_stack now = plain(&f->now), was = plain(&f->was);
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    int r = ol_changes_compare(&now, &was, 0, &changes, err);

    return r < 0 ? r : ol_export_changes(&now, &changes, f->out, &options, ret, err);
}

/* "TYPE NAME" and " -> LINK" of the nth entry of a stream without PAX headers. */
static void assert_entry(struct fixture *f, unsigned block, char type, const char *name,
                         const char *link)
{
    char b[512];

    assert_int_equal(ol_io_pread(f->out, b, sizeof b, (int64_t)block * 512), sizeof b);
    assert_string_equal(b, name);
    assert_int_equal(b[156], type);
    assert_string_equal(b + 157, link);
}

#define REQUIRE_ROOT()                                                                             \
    do {                                                                                           \
        OL_REQUIRE(can_chown, "the tree has several owners and capabilities");                     \
        OL_REQUIRE(can_mknod, "the tree has device nodes");                                        \
    } while (0)

static void export_changes__has_the_bytes_of_moby(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    REQUIRE_ROOT();
    export_tree_make(f->now, f->was);
    assert_ok(export_diff(f, &result, &err), &err);
    assert_string_equal(result.diff_id, MOBY_DIFF);
}

static void export_tree__has_the_bytes_of_moby(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    REQUIRE_ROOT();
    export_tree_make(f->now, f->was);
    assert_ok(ol_export_tree(f->now, f->out, &options, &result, &err), &err);
    assert_string_equal(result.diff_id, MOBY_TREE);
}

static void export_upper__has_the_bytes_of_moby(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    REQUIRE_ROOT();
    OL_REQUIRE(can_mount_overlay, "trusted.overlay.opaque needs CAP_SYS_ADMIN");
    export_upper_make(f->now);
    assert_ok(ol_export_upper(f->now, OL_OVERLAY_TRUSTED, f->out, &options, &result, &err), &err);
    assert_string_equal(result.diff_id, MOBY_UPPER);
}

static void export_changes__result_is_that_of_the_stream(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;
    char digest[OL_DIGEST_SIZE], all[8192];

    test_write(f->now, "a", "12345");
    test_write(f->was, "b", "");
    assert_ok(export_diff(f, &result, &err), &err);
    assert_int_equal(result.entries, 2);
    assert_int_equal(result.bytes, 512 + 512 + 512 + 1024);
    assert_int_equal(ol_io_pread(f->out, all, sizeof all, 0), (ssize_t)result.bytes);
    assert_ok(ol_digest_of(all, result.bytes, digest, &err), &err);
    assert_string_equal(result.diff_id, digest);
    assert_entry(f, 0, '0', "a", "");
    assert_entry(f, 2, '0', ".wh.b", "");
    assert_string_equal(all + 1024 + 100, "0000000");     /* a deletion has no mode, */
    assert_string_equal(all + 1024 + 136, "14524770400"); /* but a time */
}

static void export_changes__links_names_of_one_inode_within_the_tar(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    test_write(f->now, "b", "1");
    assert_int_equal(linkat(f->now, "b", f->now, "a", 0), 0);
    assert_int_equal(linkat(f->now, "b", f->was, "outside", 0), 0);
    assert_ok(export_diff(f, &result, &err), &err);
    assert_entry(f, 0, '0', "a", "");
    assert_entry(f, 2, '1', "b", "a");
    assert_entry(f, 3, '0', ".wh.outside", "");
}

static void export_changes__leaves_out_sockets_and_what_vanished(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack now = plain(&f->now), was = plain(&f->was);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    struct ol_tar_result result;

    assert_int_equal(mknodat(f->now, "socket", S_IFSOCK | 0600, 0), 0);
    test_write(f->now, "vanishes", "1");
    test_mkdir(f->now, "dir", 0755);
    test_write(f->now, "dir/below", "1");
    assert_ok(ol_changes_compare(&now, &was, 0, &changes, &err), &err);
    assert_int_equal(changes.count, 4);
    assert_int_equal(unlinkat(f->now, "vanishes", 0), 0);
    assert_int_equal(unlinkat(f->now, "dir/below", 0), 0);
    assert_int_equal(unlinkat(f->now, "dir", AT_REMOVEDIR), 0);
    assert_ok(ol_export_changes(&now, &changes, f->out, &options, &result, &err), &err);
    assert_int_equal(result.entries, 0);
    assert_string_equal(result.diff_id, OL_EMPTY_DIFF_ID);
}

/* Content comes from whichever layer has the file, and never from a hidden one. */
static void export_changes__reads_content_through_the_stack(void **state)
{
    struct fixture *f = *state;
    const int fds[2] = {f->now, f->was};
    const struct ol_stack now = {fds, 2, true, OL_OVERLAY_TRUSTED};
    const struct ol_stack none = {NULL, 0, false, OL_OVERLAY_TRUSTED};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    struct ol_tar_result result;

    OL_REQUIRE(can_mknod, "whiteouts are device nodes");
    test_mkdir(f->now, "d", 0755);
    test_mkdir(f->was, "d", 0755);
    test_write(f->was, "d/lower", "L");
    test_write(f->was, "d/gone", "G");
    test_write(f->now, "d/upper", "U");
    assert_int_equal(ol_whiteout_make(f->now, "d/gone"), 0);
    assert_ok(ol_changes_compare(&now, &none, 0, &changes, &err), &err);
    assert_ok(ol_export_changes(&now, &changes, f->out, &options, &result, &err), &err);
    assert_int_equal(result.entries, 3);
    assert_entry(f, 0, '5', "d/", "");
    assert_entry(f, 1, '0', "d/lower", "");
    assert_entry(f, 3, '0', "d/upper", "");
}

static void export_upper__shared_whiteouts_carry_the_first_name_as_moby_does(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    OL_REQUIRE(can_mknod, "whiteouts are device nodes");
    assert_int_equal(ol_whiteout_make(f->now, "a"), 0);
    assert_int_equal(linkat(f->now, "a", f->now, "b", 0), 0);
    assert_ok(ol_export_upper(f->now, OL_OVERLAY_TRUSTED, f->out, &options, &result, &err), &err);
    assert_int_equal(result.entries, 2);
    assert_entry(f, 0, '0', ".wh.a", "");
    assert_entry(f, 1, '0', ".wh.b", "a");
}

static void export_upper__user_namespace_attribute_is_told_apart(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result user, trusted;

    OL_REQUIRE(can_user_xattr, "user.overlay.opaque needs user attributes");
    test_mkdir(f->now, "d", 0755);
    assert_int_equal(ol_xattr_set(f->now, "d", "user.overlay.opaque", "y", 1), 0);
    assert_ok(ol_export_upper(f->now, OL_OVERLAY_USER, f->out, &options, &user, &err), &err);
    assert_ok(ol_export_upper(f->now, OL_OVERLAY_TRUSTED, -1, &options, &trusted, &err), &err);
    assert_int_equal(user.entries, 2);
    assert_int_equal(trusted.entries, 1);
    assert_entry(f, 1, '0', "d/.wh..wh..opq", "");
}

enum { DEEP = 1200 };

/* Paths beyond PATH_MAX go into PAX records; a single chain has one order in every export. */
static void export__deep_trees_have_no_path_limit(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack none = {NULL, 0, false, OL_OVERLAY_TRUSTED}, now = plain(&f->now);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    const struct ol_export_options one_thread = {.threads = 1};
    struct ol_tar_result walked, listed;
    ol_auto_fd int at = dup(f->now);

    for (int i = 0; i < DEEP; i++) {
        int next;
        test_mkdir(at, "deeper--", 0755);
        next = open_dir(at, "deeper--");
        ol_fd_close(&at);
        at = next;
    }
    test_write(at, "end", "12345");
    assert_ok(ol_changes_compare(&now, &none, 0, &changes, &err), &err);
    assert_ok(ol_export_changes(&now, &changes, -1, &options, &listed, &err), &err);
    assert_ok(ol_export_tree(f->now, -1, &one_thread, &walked, &err), &err);
    assert_int_equal(listed.entries, DEEP + 1);
    assert_string_equal(listed.diff_id, walked.diff_id);
    assert_int_equal(listed.bytes, walked.bytes);
}

static void export_tree__of_an_empty_directory_is_the_empty_layer(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;

    assert_ok(ol_export_tree(f->now, f->out, &options, &result, &err), &err);
    assert_string_equal(result.diff_id, OL_EMPTY_DIFF_ID);
    assert_ok(ol_export_tree(f->now, f->out, &options, NULL, &err), &err);
}

/* A file that is truncated while we read it must not pass for whole. */
struct shrinker {
    int read_fd, tree_fd;
    bool shrunk;
};

static void *shrink(void *data)
{
    struct shrinker *s = data;
    static char block[1 << 16];
    size_t total = 0;
    ssize_t n;

    while ((n = read(s->read_fd, block, sizeof block)) > 0) {
        total += (size_t)n;
        if (total >= sizeof block && s->tree_fd >= 0) { /* the pipe is full: the writer waits */
            ol_auto_fd int fd = openat(s->tree_fd, "big", O_WRONLY | O_CLOEXEC);
            s->shrunk = ftruncate(fd, 1000) == 0;
            s->tree_fd = -1;
        }
    }
    return NULL;
}

static void export_tree__shrinking_file_is_an_error_that_names_it(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result result;
    struct shrinker s;
    pthread_t thread;
    int ends[2];
    ol_auto_fd int fd = openat(f->now, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    assert_ok(ol_io_pipe(ends, &err), &err);
    s = (struct shrinker){ends[0], f->now, false};
    assert_int_equal(pthread_create(&thread, NULL, shrink, &s), 0);
    assert_int_equal(ol_export_tree(f->now, ends[1], &options, &result, &err), -ENODATA);
    assert_message(&err, "'big'");
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(s.shrunk);
    assert_int_equal(close(ends[0]), 0);
}

static void export_tree__reader_that_goes_away_is_epipe(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int ends[2];

    assert_ok(ol_io_pipe(ends, &err), &err);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(ol_export_tree(f->now, ends[1], &options, NULL, &err), -EPIPE);
    assert_int_equal(close(ends[1]), 0);
}

/* More than a thread starts at, and more than its pipe holds. */
static void make_many_small_files(struct fixture *f)
{
    for (int i = 0; i < 4000; i++) {
        ol_auto_free char *name = NULL;
        assert_true(asprintf(&name, "file-%04d", i) > 0);
        test_write(f->now, name, i % 7 == 0 ? "" : name);
    }
    assert_int_equal(linkat(f->now, "file-0001", f->now, "file-3999-too", 0), 0);
}

static void export_tree__many_small_files_are_the_same_with_one_thread(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_export_options alone = {.threads = 1};
    struct ol_tar_result many, one;

    make_many_small_files(f);
    assert_ok(ol_export_tree(f->now, f->out, &options, &many, &err), &err);
    assert_ok(ol_export_tree(f->now, -1, &alone, &one, &err), &err);
    assert_int_equal(many.entries, 4001);
    assert_int_equal(lseek(f->out, 0, SEEK_END), (off_t)many.bytes);
    assert_string_equal(many.diff_id, one.diff_id);
}

static void *close_after_a_while(void *data)
{
    int *fd = data;
    static char block[1 << 20];

    for (size_t total = 0; total < sizeof block;) {
        ssize_t n = read(*fd, block, sizeof block - total);
        if (n <= 0)
            break;
        total += (size_t)n;
    }
    (void)close(*fd);
    return NULL;
}

static void export_tree__reader_that_goes_away_late_is_epipe(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    pthread_t thread;
    int ends[2];

    make_many_small_files(f);
    assert_ok(ol_io_pipe(ends, &err), &err);
    assert_int_equal(pthread_create(&thread, NULL, close_after_a_while, &ends[0]), 0);
    assert_int_equal(ol_export_tree(f->now, ends[1], &options, NULL, &err), -EPIPE);
    assert_message(&err, "tar stream");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(close(ends[1]), 0);
}

#if OL_FAULTS
static void export_changes__failed_write_is_reported(void **state)
{
    struct fixture *f = *state;
    unsigned long nth = 0;
    int r;

    for (int i = 0; i < 3; i++) {
        ol_auto_free char *name = NULL;
        ol_auto_fd int fd = -1;
        assert_true(asprintf(&name, "f%d", i) > 0);
        fd = openat(f->now, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, 1 << 20), 0);
    }
    do {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_tar_result result;
        ol_fault_arm(++nth);
        r = export_diff(f, &result, &err);
        assert_true(r == 0 || r == -EIO);
        assert_true(r == 0 || err.message != NULL);
    } while (r < 0);
    ol_fault_arm(0);
    assert_true(nth > 10); /* 3 MiB are a dozen blocks */
}
#endif

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(export_changes__has_the_bytes_of_moby),
        CASE(export_tree__has_the_bytes_of_moby),
        CASE(export_upper__has_the_bytes_of_moby),
        CASE(export_changes__result_is_that_of_the_stream),
        CASE(export_changes__links_names_of_one_inode_within_the_tar),
        CASE(export_changes__leaves_out_sockets_and_what_vanished),
        CASE(export_changes__reads_content_through_the_stack),
        CASE(export_upper__shared_whiteouts_carry_the_first_name_as_moby_does),
        CASE(export_upper__user_namespace_attribute_is_told_apart),
        CASE(export__deep_trees_have_no_path_limit),
        CASE(export_tree__of_an_empty_directory_is_the_empty_layer),
        CASE(export_tree__shrinking_file_is_an_error_that_names_it),
        CASE(export_tree__reader_that_goes_away_is_epipe),
        CASE(export_tree__many_small_files_are_the_same_with_one_thread),
        CASE(export_tree__reader_that_goes_away_late_is_epipe),
#if OL_FAULTS
        CASE(export_changes__failed_write_is_reported),
#endif
    };
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
