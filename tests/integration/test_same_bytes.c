/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers have the same bytes as moby's own code gives them: each tree is written by overlab and by
 * bench/peers/mobyops, which is built from moby's packages, three times: as a plain tree
 * (TarWithOptions), as changes against another tree (ChangesDirs, ExportChanges: legacy overlay and
 * vfs), as an overlay upper directory (TarWithOptions with overlay's whiteouts: overlay2).
 *
 * One field is masked: the time of a naive diff's whiteouts is the time of the diff.
 */
#include "byte_trees.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/io.h"
#include "common/layer/export.h"
#include "common/layer/layer.h"
#include "store/image.h"
#include "support/support.h"
#include "tar_compare.h"
#include "unit/layer/random_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
    int new_fd, old_fd, outside_fd;
    bool host_names; /* as distribution builds of dockerd write them */
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
    f->new_fd = f->old_fd = f->outside_fd = -1;
    *state = f;
    return 0;
}

/* Once it is known that the test runs: there is no teardown after a skip. */
static void make_dirs(struct fixture *f)
{
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "new", 0755);
    test_mkdir(f->dir.fd, "old", 0755);
    test_mkdir(f->dir.fd, "outside", 0755);
    f->new_fd = open_dir(f->dir.fd, "new");
    f->old_fd = open_dir(f->dir.fd, "old");
    f->outside_fd = open_dir(f->dir.fd, "outside");
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_fd_close(&f->new_fd);
    ol_fd_close(&f->old_fd);
    ol_fd_close(&f->outside_fd);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static bool have_mobyops(void)
{
    return access(OL_MOBYOPS, X_OK) == 0;
}

#define REQUIRE_ALL()                                                                              \
    do {                                                                                           \
        OL_REQUIRE(have_mobyops,                                                                   \
                   "moby's packages and go are not installed (scripts/setup peers)");              \
        OL_REQUIRE(can_chown, "the trees have several owners");                                    \
        OL_REQUIRE(can_mknod, "the trees have device nodes");                                      \
        OL_REQUIRE(can_mount_overlay, "trusted.overlay.* attributes need CAP_SYS_ADMIN");          \
    } while (0)

/* ---- the two writers ---- */

enum how { TREE, CHANGES, UPPER };

static const char *const moby_commands[] = {"export", "naive-tar", "native-tar"};
static const char *const how_names[] = {"as a tree", "as changes", "as an upper directory"};

/*
 * Start mobyops with the fixture's directory as working directory, or as its root: there it finds
 * no user database, and the names of owners stay empty as upstream's own archive/tar leaves them.
 */
static pid_t moby_start(const struct fixture *f, enum how how, int out_fd, int err_fd)
{
    char *const no_environment[] = {NULL};
    char program_name[] = "mobyops", now[] = "new", was[] = "old", command[16];
    char *const argv[] = {program_name, command, now, how == CHANGES ? was : NULL, NULL};
    pid_t pid;

    (void)snprintf(command, sizeof command, "%s", moby_commands[how]);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int program = open(OL_MOBYOPS, O_PATH | O_CLOEXEC);

        if (program >= 0 && dup2(out_fd, STDOUT_FILENO) >= 0 && dup2(err_fd, STDERR_FILENO) >= 0 &&
            fchdir(f->dir.fd) == 0 && (f->host_names || chroot(".") == 0))
            (void)execveat(program, "", argv, no_environment, AT_EMPTY_PATH); /* or the end below */
        _exit(126);
    }
    return pid;
}

static int new_file(const struct fixture *f, const char *name)
{
    int fd = openat(f->dir.fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

static int write_theirs(const struct fixture *f, enum how how)
{
    int fd = new_file(f, "theirs.tar");
    ol_auto_fd int log_fd = new_file(f, "theirs.log"); /* also names the sockets it leaves out */
    int status = 0;
    pid_t pid = moby_start(f, how, fd, log_fd);

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        ol_auto_free char *log = test_read(f->dir.fd, "theirs.log");
        fail_msg("mobyops %s: status %#x\n%s", moby_commands[how], (unsigned)status, log);
    }
    return fd;
}

static int export_to(const struct fixture *f, enum how how, int out_fd, struct ol_error *err)
{
    const struct ol_export_options options = {.now = time(NULL), .host_names = f->host_names};
    const struct ol_stack now = {&f->new_fd, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->old_fd, 1, false, OL_OVERLAY_TRUSTED};
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    int r;

    if (how == TREE)
        return ol_export_tree(f->new_fd, out_fd, &options, NULL, err);
    if (how == UPPER)
        return ol_export_upper(f->new_fd, OL_OVERLAY_TRUSTED, out_fd, &options, NULL, err);
    r = ol_changes_compare(&now, &was, 0, &changes, err);
    return r < 0 ? r : ol_export_changes(&now, &changes, out_fd, &options, NULL, err);
}

static int write_ours(const struct fixture *f, enum how how)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int fd = new_file(f, "ours.tar");

    assert_ok(export_to(f, how, fd, &err), &err);
    return fd;
}

static void compare(const struct fixture *f, enum how how)
{
    ol_auto_fd int ours_fd = write_ours(f, how);
    ol_auto_fd int theirs_fd = write_theirs(f, how);

    tar_assert_same(ours_fd, theirs_fd, how == CHANGES, how_names[how]);
}

/* The new tree in all three ways, without names and with them: as changes it is compared with the
 * old one, or with nothing. */
static void compare_all(struct fixture *f)
{
    for (int names = 0; names < 2; names++) {
        f->host_names = names == 1;
        compare(f, TREE);
        compare(f, CHANGES);
        compare(f, UPPER);
    }
}

/* ---- the tests ---- */

static void same_bytes__empty_layer(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ALL();
    make_dirs(f);
    compare_all(f);
}

#define SAME_TREE(test, make)                                                                      \
    static void same_bytes__##test(void **state)                                                   \
    {                                                                                              \
        struct fixture *f = *state;                                                                \
        REQUIRE_ALL();                                                                             \
        make_dirs(f);                                                                              \
        make;                                                                                      \
        compare_all(f);                                                                            \
    }
SAME_TREE(long_names, byte_tree_long_names(f->new_fd))
SAME_TREE(names_beyond_ascii, byte_tree_odd_names(f->new_fd))
SAME_TREE(long_link_names, byte_tree_link_names(f->new_fd))
SAME_TREE(owners_and_times_beyond_octal, byte_tree_numbers(f->new_fd))
SAME_TREE(types_and_permissions, byte_tree_types(f->new_fd))
SAME_TREE(hard_links, byte_tree_hard_links(f->new_fd, f->outside_fd))
SAME_TREE(capabilities_and_dropped_attributes, byte_tree_attributes(f->new_fd))
SAME_TREE(names_that_look_like_whiteouts, byte_tree_whiteout_names(f->new_fd))
SAME_TREE(opaque_directories, byte_tree_opaques(f->new_fd))
SAME_TREE(whiteouts_alone_and_hard_linked, byte_tree_whiteouts(f->new_fd))
SAME_TREE(deletions_and_replacements, byte_trees_changed(f->new_fd, f->old_fd))

static void same_bytes__unchanged_tree_is_the_empty_layer(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    ol_auto_fd int fd = -1;

    REQUIRE_ALL();
    make_dirs(f);
    random_layer_draw(f->new_fd, 3, false);
    random_layer_draw(f->old_fd, 3, false);
    fd = write_ours(f, CHANGES);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 1024);
    compare(f, CHANGES);
}

static void same_bytes__random_names_and_metadata(void **state)
{
    struct fixture *f = *state;
    const char *seed = getenv("OL_SEED");

    REQUIRE_ALL();
    make_dirs(f);
    for (uint64_t i = 1; i <= 16; i++) { /* past where a second thread writes */
        uint64_t s = seed != NULL ? strtoull(seed, NULL, 10) + i - 1 : i;
        char name[32];
        ol_auto_fd int sub = -1;

        (void)snprintf(name, sizeof name, "seed-%llu", (unsigned long long)s);
        test_mkdir(f->new_fd, name, 0755);
        sub = open_dir(f->new_fd, name);
        byte_tree_random(sub, s);
        ol_fd_close(&sub);
        test_mkdir(f->old_fd, name, 0755);
        sub = open_dir(f->old_fd, name);
        if (i % 2 == 0)
            byte_tree_random(sub, s + 1000000);
    }
    compare_all(f);
}

/* Few names, so that the two sides hide, replace and merge each other's objects often. */
static void same_bytes__random_layers(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ALL();
    make_dirs(f);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        char name[32];
        ol_auto_fd int new_fd = -1;
        ol_auto_fd int old_fd = -1;

        (void)snprintf(name, sizeof name, "seed-%llu", (unsigned long long)seed);
        test_mkdir(f->new_fd, name, 0755);
        test_mkdir(f->old_fd, name, 0755);
        new_fd = open_dir(f->new_fd, name);
        old_fd = open_dir(f->old_fd, name);
        random_layer_draw(new_fd, seed, seed % 2 == 0);
        random_layer_draw(old_fd, seed + 5000, false);
    }
    compare_all(f);
}

/* ---- a real image ---- */

static const char *real_image(void)
{
    const char *path = getenv("OL_REAL_IMAGE");

    return path != NULL ? path : "/var/cache/overlab/debian-real.tar";
}

static bool have_real_image(void)
{
    return access(real_image(), R_OK) == 0;
}

/* Layers [from, to) of the image into fd. */
static void apply_layers(const struct ol_image *image, size_t from, size_t to, int fd,
                         enum ol_layer_target target)
{
    const struct ol_layer_options options = {.target = target, .keep_owner = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    for (size_t i = from; i < to; i++) {
        struct ol_image_stream stream;
        struct ol_layer_result result;

        assert_ok(ol_image_layer_open(image, i, &stream, &err), &err);
        assert_ok(ol_layer_apply(fd, &stream.input, &options, &result, &err), &err);
        assert_ok(ol_image_layer_close(&stream, &err), &err);
    }
}

static void same_bytes__real_image(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image *image = NULL;
    size_t layers;

    OL_REQUIRE(have_real_image, "OL_REAL_IMAGE names no image (scripts/real-image makes one)");
    REQUIRE_ALL();
    make_dirs(f);
    assert_ok(ol_image_open(real_image(), f->dir.path, &image, &err), &err);
    layers = ol_image_layer_count(image);
    apply_layers(image, 0, layers, f->new_fd, OL_LAYER_TREE);
    apply_layers(image, 0, layers - 1, f->old_fd, OL_LAYER_TREE);
    for (int names = 0; names < 2; names++) {
        f->host_names = names == 1;
        compare(f, TREE);
        compare(f, CHANGES);
    }
    assert_ok(ol_tree_remove(f->dir.fd, "new", &err), &err);
    test_mkdir(f->dir.fd, "new", 0755);
    ol_fd_close(&f->new_fd);
    f->new_fd = open_dir(f->dir.fd, "new");
    apply_layers(image, layers - 1, layers, f->new_fd, OL_LAYER_UPPER);
    compare(f, UPPER);
    ol_image_free(image);
}

/* ---- a file too large to compare whole ---- */

struct writer {
    const struct fixture *f;
    int fd;
    int result;
};

static void *export_into_pipe(void *data)
{
    struct writer *w = data;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    w->result = export_to(w->f, UPPER, w->fd, &err);
    ol_fd_close(&w->fd);
    return NULL;
}

enum { HEAD = 8 * 512 }; /* a PAX header, its records, the header, the first content */

static void head_of_ours(const struct fixture *f, unsigned char head[static HEAD])
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct writer w = {.f = f};
    pthread_t thread;
    int ends[2];

    assert_ok(ol_io_pipe(ends, &err), &err);
    w.fd = ends[1];
    assert_int_equal(pthread_create(&thread, NULL, export_into_pipe, &w), 0);
    assert_int_equal(ol_io_read(ends[0], head, HEAD), HEAD);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(w.result, -EPIPE);
}

static void head_of_theirs(const struct fixture *f, unsigned char head[static HEAD])
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int log_fd = new_file(f, "theirs.log");
    int ends[2];
    pid_t pid;

    assert_ok(ol_io_pipe(ends, &err), &err);
    pid = moby_start(f, UPPER, ends[1], log_fd);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(ol_io_read(ends[0], head, HEAD), HEAD);
    assert_int_equal(close(ends[0]), 0); /* which ends it */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void same_bytes__header_of_a_file_of_more_than_8_gib(void **state)
{
    static const int64_t sizes[] = {8589934591, 8589934592, 1099511627776};
    struct fixture *f = *state;

    REQUIRE_ALL();
    make_dirs(f);
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal */
    for (size_t i = 0; i < OL_ARRAY_LEN(sizes); i++) {
        unsigned char ours[HEAD], theirs[HEAD];
        ol_auto_fd int fd = openat(f->new_fd, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        head_of_ours(f, ours);
        head_of_theirs(f, theirs);
        assert_int_equal(ours[156], sizes[i] < 8589934592 ? '0' : 'x');
        assert_memory_equal(ours, theirs, HEAD);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(same_bytes__empty_layer),
        CASE(same_bytes__long_names),
        CASE(same_bytes__names_beyond_ascii),
        CASE(same_bytes__long_link_names),
        CASE(same_bytes__owners_and_times_beyond_octal),
        CASE(same_bytes__types_and_permissions),
        CASE(same_bytes__hard_links),
        CASE(same_bytes__capabilities_and_dropped_attributes),
        CASE(same_bytes__names_that_look_like_whiteouts),
        CASE(same_bytes__opaque_directories),
        CASE(same_bytes__whiteouts_alone_and_hard_linked),
        CASE(same_bytes__deletions_and_replacements),
        CASE(same_bytes__unchanged_tree_is_the_empty_layer),
        CASE(same_bytes__random_names_and_metadata),
        CASE(same_bytes__random_layers),
        CASE(same_bytes__real_image),
        CASE(same_bytes__header_of_a_file_of_more_than_8_gib),
    };
    return cmocka_run_group_tests_name("same_bytes", tests, NULL, NULL);
}
