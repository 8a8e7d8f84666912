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
#include "common/io.h"
#include "common/layer/export.h"
#include "support/support.h"
#include "unit/layer/random_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 512 };

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
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "new", 0755);
    test_mkdir(f->dir.fd, "old", 0755);
    test_mkdir(f->dir.fd, "outside", 0755);
    f->new_fd = open_dir(f->dir.fd, "new");
    f->old_fd = open_dir(f->dir.fd, "old");
    f->outside_fd = open_dir(f->dir.fd, "outside");
    *state = f;
    return 0;
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
    const struct ol_export_options options = {.now = 1, .host_names = f->host_names};
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

/* ---- comparing ---- */

struct stream {
    unsigned char *data; /* owned: a private mapping */
    size_t len;
};

static struct stream map_stream(int fd)
{
    struct stream s = {NULL, 0};
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    s.len = (size_t)st.st_size;
    assert_true(s.len >= (size_t)2 * BLOCK && s.len % BLOCK == 0);
    s.data = mmap(NULL, s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(s.data != MAP_FAILED);
    return s;
}

static uint64_t octal(const unsigned char *field, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (field[i] - '0');
    return value;
}

/* Blocks of content after a header; links, devices and the like have none whatever they say. */
static size_t payload(const unsigned char *header)
{
    uint64_t size = strchr("0x", header[156]) != NULL ? octal(header + 124, 12) : 0;

    return (size_t)((size + BLOCK - 1) / BLOCK) * BLOCK;
}

/* Offset of the header that the byte at `where` belongs to. */
static size_t header_of(const struct stream *s, size_t where)
{
    size_t at = 0, next = BLOCK + payload(s->data);

    while (next <= where && next < s->len) {
        at = next;
        next = at + BLOCK + payload(s->data + at);
    }
    return at;
}

/*
 * The time of whiteouts, and the sum it enters. A naive diff's whiteout is told by its mode, which
 * is zero: no object has a mode without type bits.
 */
static void mask_whiteout_times(struct stream *s)
{
    for (size_t at = 0; at < s->len; at += BLOCK + payload(s->data + at)) {
        unsigned char *header = s->data + at;

        if (header[156] != '0' || memcmp(header + 100, "0000000", 8) != 0)
            continue;
        memset(header + 136, 'M', 12);
        memset(header + 148, 'M', 8);
    }
}

static void assert_same(const struct stream *ours, const struct stream *theirs, const char *how)
{
    size_t len = ours->len < theirs->len ? ours->len : theirs->len;
    size_t at = 0;
    const unsigned char *o, *t;

    while (at < len && ours->data[at] == theirs->data[at])
        at++;
    if (at == len && ours->len == theirs->len)
        return;
    o = ours->data + header_of(ours, at < len ? at : ours->len - 1);
    t = theirs->data + header_of(theirs, at < len ? at : theirs->len - 1);
    fail_msg("%s: %zu bytes, moby %zu, different from byte %zu on: '%.100s' type '%c' link "
             "'%.100s', moby '%.100s' type '%c' link '%.100s' (byte %zu of the header)",
             how, ours->len, theirs->len, at, (const char *)o, o[156], (const char *)o + 157,
             (const char *)t, t[156], (const char *)t + 157, at - (size_t)(t - theirs->data));
}

static void compare(const struct fixture *f, enum how how)
{
    ol_auto_fd int ours_fd = write_ours(f, how);
    ol_auto_fd int theirs_fd = write_theirs(f, how);
    struct stream ours = map_stream(ours_fd), theirs = map_stream(theirs_fd);

    if (how == CHANGES) {
        mask_whiteout_times(&ours);
        mask_whiteout_times(&theirs);
    }
    assert_same(&ours, &theirs, how_names[how]);
    assert_int_equal(munmap(ours.data, ours.len), 0);
    assert_int_equal(munmap(theirs.data, theirs.len), 0);
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
    REQUIRE_ALL();
    compare_all(*state);
}

#define SAME_TREE(test, make)                                                                      \
    static void same_bytes__##test(void **state)                                                   \
    {                                                                                              \
        struct fixture *f = *state;                                                                \
        REQUIRE_ALL();                                                                             \
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
    struct stream ours;
    ol_auto_fd int fd = -1;

    REQUIRE_ALL();
    random_layer_draw(f->new_fd, 3, false);
    random_layer_draw(f->old_fd, 3, false);
    fd = write_ours(f, CHANGES);
    ours = map_stream(fd);
    assert_int_equal(ours.len, 2 * BLOCK);
    assert_int_equal(munmap(ours.data, ours.len), 0);
    compare(f, CHANGES);
}

static void same_bytes__random_names_and_metadata(void **state)
{
    struct fixture *f = *state;
    const char *seed = getenv("OL_SEED");

    REQUIRE_ALL();
    for (uint64_t i = 1; i <= 8; i++) {
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

enum { HEAD = 8 * BLOCK }; /* a PAX header, its records, the header, the first content */

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
        CASE(same_bytes__header_of_a_file_of_more_than_8_gib),
    };
    return cmocka_run_group_tests_name("same_bytes", tests, NULL, NULL);
}
