/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation that changes something, killed at every point at which it is about to change the
 * world, and on a file system that is full, at every distance from it. Afterwards the store is as
 * before or as after the operation, every snapshot has its directory, and the operation works.
 */
#include "support.h"

#include "common/buf.h"
#include "support/crash.h"
#include "support/tarball.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { POINTS_MAX = 300, LEFT_MAX = 120, TMPFS_BYTES = 4 << 20 };

/* ---- the operations ---- */

static struct tarball layer = TARBALL_INIT;

static int do_cleanup(struct snap *s)
{
    return ol_snapshots_cleanup(s->sn, NULL, NULL);
}

static int do_apply(struct snap *s)
{
    const struct ol_input input = OL_INPUT_FD(tarball_fd(&layer));

    return ol_snapshots_apply(s->sn, "active", &input, NULL, NULL);
}

static int open_store(struct snap *s)
{
    const struct ol_snapshots_config config = {.root = s->root, .no_sync = true};

    return ol_snapshots_open(&config, &s->sn, NULL);
}

static int do_open(struct snap *s)
{
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    return open_store(s);
}

static void close_without_lock(struct snap *s)
{
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_int_equal(unlinkat(s->dir.fd, "store/metadata.mdb-lock", 0), 0);
}

static const struct operation {
    const char *name;
    int (*run)(struct snap *s);
    const char *after; /* the snapshots when it was done, as picture() has them */
} operations[] = {
    {"prepare", snap_do_prepare, "Active:active Committed:base Active:new "},
    {"view", snap_do_view, "Active:active Committed:base View:new "},
    {"commit", snap_do_commit, "Committed:base Committed:done "},
    {"remove", snap_do_remove, "Committed:base "},
    {"update", snap_do_update, "Active:active Committed:base "},
    {"cleanup", do_cleanup, "Active:active Committed:base "},
    {"apply", do_apply, "Active:active Committed:base "},
    {"open", do_open, "Active:active Committed:base "},
};
static const char before[] = "Active:active Committed:base ";

/* ---- a store, and what is in it ---- */

static char *picture(struct snap *s)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    assert_int_equal(ol_snapshots_walk(s->sn, NULL, 0, snap_note_name, &text, NULL), 0);
    return strdup(ol_buf_str(&text));
}

/* Two snapshots, an orphan of a removal, and what a killed prepare left. */
static void populate(struct snap *s)
{
    snap_committed(s, "base", NULL);
    snap_prepare(s, "active", "base");
    test_mkdir(s->dir.fd, "store/snapshots/new-abc", 0700);
    test_mkdir(s->dir.fd, "store/snapshots/new-abc/fs", 0700);
}

static void make_layer(void)
{
    tarball_fini(&layer);
    tarball_add_dir(&layer, "d/");
    tarball_add_bytes(&layer, "d/large", NULL, 40000);
    tarball_add_symlink(&layer, "d/link", "large");
    tarball_add_hardlink(&layer, "d/again", "d/large");
    tarball_end(&layer);
    assert_true(tarball_fd(&layer) >= 0);
}

static size_t count_words(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += *text == ' ';
    return n;
}

/* Before or after, never between; each has its directory; nothing is in the way of the same again.
 */
static void assert_whole(struct snap *s, const struct operation *op, bool *ret_done)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *now = picture(s);
    ol_auto_free char *later = NULL;
    int r;

    *ret_done = strcmp(now, op->after) == 0;
    if (!*ret_done)
        assert_string_equal(now, before);
    assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, NULL, &err), 0);
    r = *ret_done && strcmp(op->after, before) != 0 ? 0 : op->run(s);
    if (r < 0)
        fail_msg("%s does not work afterwards: %s", op->name, strerror(-r));
    later = picture(s);
    assert_string_equal(later, op->after);
    assert_ok(ol_snapshots_cleanup(s->sn, NULL, &err), &err);
    assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, NULL, &err), 0);
    assert_int_equal(snap_dirs(s), count_words(later));
}

/* ---- kill -9 ---- */

/* The two steps of one operation, for crash.h. */
struct doing {
    struct snap s;
    const struct operation *op;
};

static int begin(void *data)
{
    struct doing *doing = data;

    return open_store(&doing->s);
}

static int run(void *data)
{
    struct doing *doing = data;

    return doing->op->run(&doing->s);
}

/* @return false when the operation has fewer than n points */
static bool kill_at(const struct operation *op, unsigned long n)
{
    const struct crash crash = {op->name, begin, run};
    struct doing doing = {.op = op};
    struct snap *s = &doing.s;
    bool done;
    bool killed;

    test_dir_make(&s->dir);
    assert_true(asprintf(&s->root, "%s/store", s->dir.path) > 0);
    snap_open(s);
    populate(s);
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    killed = crash_kill_at(&crash, &doing, n);
    snap_open(s);
    assert_whole(s, op, &done);
    assert_true(done || killed);
    ol_snapshots_free(s->sn);
    test_dir_remove(&s->dir);
    free(s->root);
    return killed;
}

static void kill__at_every_point_of_every_operation(void **state)
{
    (void)state;
    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS)");
    make_layer();
    for (size_t i = 0; i < OL_ARRAY_LEN(operations); i++) {
        unsigned long n = 1;

        while (n < POINTS_MAX && kill_at(&operations[i], n))
            n++;
        assert_true(n > 2 && n < POINTS_MAX);
    }
    tarball_fini(&layer);
}

/* ---- a full file system ---- */

/* Leave so many blocks, or inodes, of the file system that holds the store. */
static void fill(struct snap *s, unsigned left, bool inodes)
{
    ol_auto_free char *path = NULL;
    ol_auto_fd int fd = -1;
    struct statvfs st;
    off_t size;

    assert_true(asprintf(&path, "%s/filler", s->dir.path) > 0);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && statvfs(s->dir.path, &st) == 0);
    for (unsigned i = 0; inodes && st.f_ffree > left;
         i++, assert_int_equal(statvfs(s->dir.path, &st), 0)) {
        char name[32];

        (void)snprintf(name, sizeof name, "inode-%u", i);
        test_write(s->dir.fd, name, "");
    }
    size = ((off_t)st.f_bavail - left) * (off_t)st.f_bsize;
    if (!inodes && size > 0)
        assert_int_equal(posix_fallocate(fd, 0, size), 0);
}

static void make_room(struct snap *s)
{
    char name[32];

    assert_int_equal(unlinkat(s->dir.fd, "filler", 0), 0);
    for (unsigned i = 0;; i++) {
        (void)snprintf(name, sizeof name, "inode-%u", i);
        if (unlinkat(s->dir.fd, name, 0) < 0)
            return;
    }
}

/* In a mount namespace of its own. @return true when the operation succeeded */
static bool run_full(const struct operation *op, unsigned left, bool inodes)
{
    struct snap s = {0};
    ol_auto_free char *now = NULL;
    char options[64];
    bool done;
    int r;

    test_dir_make(&s.dir);
    (void)snprintf(options, sizeof options, "size=%d,nr_inodes=200", (int)TMPFS_BYTES);
    assert_int_equal(mount("tmpfs", s.dir.path, "tmpfs", 0, options), 0);
    ol_fd_close(&s.dir.fd);
    s.dir.fd = open(s.dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(asprintf(&s.root, "%s/store", s.dir.path) > 0);
    snap_open(&s);
    populate(&s);
    if (op->run == do_open) /* LMDB makes the lock file again, and writes to it through a map */
        close_without_lock(&s);
    fill(&s, left, inodes);
    r = op->run(&s);
    if (r < 0 && r != -ENOSPC)
        fail_msg("%s with %u left: %s, not ENOSPC", op->name, left, strerror(-r));
    make_room(&s);
    if (s.sn == NULL)
        assert_int_equal(open_store(&s), 0);
    now = picture(&s);
    assert_string_equal(now, r == 0 ? op->after : before);
    assert_whole(&s, op, &done);
    ol_snapshots_free(s.sn);
    free(s.root);
    ol_fd_close(&s.dir.fd);
    assert_int_equal(umount2(s.dir.path, MNT_DETACH), 0);
    assert_int_equal(rmdir(s.dir.path), 0);
    free(s.dir.path);
    return r == 0;
}

/* Until it has had room enough, a few times over. */
static void fill_up(const struct operation *op, bool inodes)
{
    unsigned good = 0;

    for (unsigned left = 0; left < LEFT_MAX && good < 4; left++)
        good = run_full(op, left, inodes) ? good + 1 : 0;
    assert_int_equal(good, 4);
}

static void in_namespace(const struct operation *op, bool inodes)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        crash_in_child();
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(2);
        fill_up(op, inodes);
        _exit(0);
    }
    status = crash_wait(pid);
    if (status != 0)
        fail_msg("%s on a full disk (%s): status %#x", op->name, inodes ? "inodes" : "blocks",
                 (unsigned)status);
}

static void disk__full_at_every_block_of_every_operation(void **state)
{
    (void)state;
    OL_REQUIRE(can_mount_overlay, "a small file system is mounted: that needs CAP_SYS_ADMIN");
    make_layer();
    for (size_t i = 0; i < OL_ARRAY_LEN(operations); i++)
        in_namespace(&operations[i], false);
    tarball_fini(&layer);
}

static void disk__without_inodes_at_every_one_of_every_operation(void **state)
{
    (void)state;
    OL_REQUIRE(can_mount_overlay, "a small file system is mounted: that needs CAP_SYS_ADMIN");
    make_layer();
    for (size_t i = 0; i < OL_ARRAY_LEN(operations); i++)
        in_namespace(&operations[i], true);
    tarball_fini(&layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill__at_every_point_of_every_operation),
        cmocka_unit_test(disk__full_at_every_block_of_every_operation),
        cmocka_unit_test(disk__without_inodes_at_every_one_of_every_operation),
    };
    return cmocka_run_group_tests_name("snapshot crash", tests, NULL, NULL);
}
