/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unmounted overlay against the kernel's: the same random operations are carried out through a
 * real overlay mount and by hand, on the same lower layers. Every result must be the same, and
 * afterwards the two upper directories, their inode counts with work/, and the two merged views.
 */
#include "support/support.h"

#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "drivers/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { LOWERS = 3, SEEDS = 40, OPS_PER_SESSION = 60, SESSIONS = 3, OLD_TIME = 1000000000 };

/* One half of the experiment: an upper and a work directory. */
struct side {
    const char *name;
    int upper_fd, work_fd, home_fd;
    struct ol_rootfs *fs;
};

struct lab {
    struct test_dir dir;
    enum ol_overlay_ns ns;
    int lower_fd[LOWERS];
    struct side kernel, hand;
    uint64_t random;
};

static unsigned pick(struct lab *lab, unsigned n)
{
    lab->random = lab->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(lab->random >> 33) % n;
}

/* A path of one to three components from few names, so that operations meet each other. */
static const char *some_path(struct lab *lab, char buf[static 32])
{
    static const char *const names[] = {"a", "b", "c", "d", "l"};
    unsigned depth = 1 + pick(lab, 3);

    *buf = '\0';
    for (unsigned i = 0; i < depth; i++) {
        size_t len = strlen(buf);
        (void)snprintf(buf + len, 32 - len, "%s%s", i > 0 ? "/" : "",
                       names[pick(lab, OL_ARRAY_LEN(names))]);
    }
    return buf;
}

static int open_sub(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void make_side(struct lab *lab, struct side *s, const char *name)
{
    s->name = name;
    test_mkdir(lab->dir.fd, name, 0755);
    s->home_fd = open_sub(lab->dir.fd, name);
    test_mkdir(s->home_fd, "upper", 0755);
    test_mkdir(s->home_fd, "work", 0700);
    test_mkdir(s->home_fd, "merged", 0700);
    s->upper_fd = open_sub(s->home_fd, "upper");
    s->work_fd = open_sub(s->home_fd, "work");
}

static void set_old(int fd, const char *path, unsigned offset)
{
    const struct timespec times[2] = {{OLD_TIME + offset, 5}, {OLD_TIME + offset, 7}};

    assert_int_equal(utimensat(fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Parents may be missing and names be taken: part of the randomness. */
static void may_fail(int r)
{
    (void)r;
}

/* Something random at a random place of one lower layer. */
static void fill_lower(struct lab *lab, int fd, bool bottom)
{
    char path[32];
    char other[32];
    (void)some_path(lab, path);

    switch (pick(lab, bottom ? 6 : 8)) {
    case 0:
    case 1:
    case 2:
        may_fail(mkdirat(fd, path, pick(lab, 2) ? 0755 : 02711));
        break;
    case 3:
        may_fail(symlinkat(pick(lab, 2) ? "a/b" : "/b", fd, path));
        break;
    case 4:
        may_fail(linkat(fd, path, fd, some_path(lab, other), 0));
        break;
    case 6:
        may_fail(mknodat(fd, path, S_IFCHR, makedev(0, 0)));
        break;
    case 7: {
        struct stat st;
        if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            may_fail(ol_xattr_set(fd, path, ol_whiteout_opaque_attr(lab->ns), "y", 1));
        break;
    }
    default: {
        struct stat st;
        if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            ol_auto_fd int file = openat(fd, path, O_WRONLY | O_CREAT | O_EXCL, 0640);
            if (file >= 0) {
                assert_int_equal(write(file, path, strlen(path)), strlen(path));
                assert_int_equal(fsetxattr(file, "user.mark", path, strlen(path), 0), 0);
                assert_int_equal(fchown(file, 11, 22), 0);
                assert_int_equal(fchmod(file, pick(lab, 2) ? 0444 : 04755), 0);
            }
        }
    }
    }
}

/* Old times everywhere, so that copies made now and kept times can be told apart. */
static void age_tree(int dir_fd)
{
    int fd = open_sub(dir_fd, ".");
    ol_auto_dir DIR *dir = fdopendir(fd);
    struct dirent *d;

    while ((d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (d->d_type == DT_DIR) {
            ol_auto_fd int sub = open_sub(fd, d->d_name);
            age_tree(sub);
        }
        set_old(fd, d->d_name, (unsigned char)d->d_name[0]);
    }
}

static void make_lab(struct lab *lab, enum ol_overlay_ns ns, uint64_t seed)
{
    *lab = (struct lab){.ns = ns, .random = seed};
    test_dir_make(&lab->dir);
    for (int i = 0; i < LOWERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "lower%d", i);
        test_mkdir(lab->dir.fd, name, 0755);
        lab->lower_fd[i] = open_sub(lab->dir.fd, name);
        for (int n = 0; n < 40; n++)
            fill_lower(lab, lab->lower_fd[i], i == LOWERS - 1);
        age_tree(lab->lower_fd[i]);
    }
    make_side(lab, &lab->kernel, "kernel");
    make_side(lab, &lab->hand, "hand");
}

static void drop_lab(struct lab *lab)
{
    struct side *sides[] = {&lab->kernel, &lab->hand};

    for (int i = 0; i < LOWERS; i++)
        ol_fd_close(&lab->lower_fd[i]);
    for (size_t i = 0; i < OL_ARRAY_LEN(sides); i++) {
        ol_fd_close(&sides[i]->home_fd);
        ol_fd_close(&sides[i]->upper_fd);
        ol_fd_close(&sides[i]->work_fd);
    }
    test_dir_remove(&lab->dir);
}

static void open_session(struct lab *lab)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *options = NULL;
    ol_auto_free char *target = NULL;
    const char *p = lab->dir.path;
    const int fds[] = {lab->hand.upper_fd, lab->lower_fd[0], lab->lower_fd[1], lab->lower_fd[2]};
    const struct ol_stack stack = {
        .fds = fds, .count = OL_ARRAY_LEN(fds), .overlay = true, .ns = lab->ns};

    assert_true(asprintf(&options,
                         "%slowerdir=%s/lower0:%s/lower1:%s/lower2,upperdir=%s/kernel/upper,"
                         "workdir=%s/kernel/work",
                         lab->ns == OL_OVERLAY_USER ? "userxattr," : "", p, p, p, p, p) > 0);
    assert_true(asprintf(&target, "%s/kernel/merged", p) > 0);
    if (mount("overlay", target, "overlay", 0, options) < 0)
        fail_msg("cannot mount '%s': %s", options, strerror(errno));
    assert_ok(ol_rootfs_open_dir(open_sub(AT_FDCWD, target), &lab->kernel.fs, &err), &err);
    assert_ok(ol_rootfs_open_overlay(&stack, lab->hand.work_fd, &lab->hand.fs, &err), &err);
}

static void close_session(struct lab *lab)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *target = NULL;

    assert_ok(ol_rootfs_close(lab->hand.fs, &err), &err);
    lab->hand.fs = NULL;
    assert_ok(ol_rootfs_close(lab->kernel.fs, &err), &err);
    lab->kernel.fs = NULL;
    assert_true(asprintf(&target, "%s/kernel/merged", lab->dir.path) > 0);
    assert_int_equal(umount(target), 0);
}

struct op {
    unsigned kind;
    char path[32], target[32];
    unsigned arg;
};

static int run_op(struct ol_rootfs *fs, const struct op *op)
{
    char data[64];

    (void)snprintf(data, sizeof data, "content %u", op->arg);
    switch (op->kind) {
    case 0:
    case 1:
        return ol_rootfs_unlink(fs, op->path, NULL);
    case 2:
        return ol_rootfs_rmdir(fs, op->path, NULL);
    case 3:
        return ol_rootfs_mkdir(fs, op->path, 0750, NULL);
    case 4:
        return ol_rootfs_create(fs, op->path, 0640, data, strlen(data), NULL);
    case 5:
        return ol_rootfs_write(fs, op->path, data, strlen(data), NULL);
    case 6:
        return ol_rootfs_append(fs, op->path, data, strlen(data), NULL);
    case 7:
        return ol_rootfs_symlink(fs, "c/../b", op->path, NULL);
    case 8:
        return ol_rootfs_link(fs, op->path, op->target, NULL);
    case 9:
    case 10:
    case 11:
        return ol_rootfs_rename(fs, op->path, op->target, NULL);
    case 12:
        return ol_rootfs_chmod(fs, op->path, 0700 | (op->arg & 077), NULL);
    case 13:
        return ol_rootfs_chown(fs, op->path, op->arg, op->arg + 1, NULL);
    case 14:
        return ol_rootfs_set_mtime(fs, op->path, (struct timespec){OLD_TIME - 5, op->arg}, NULL);
    default:
        return ol_rootfs_remove_tree(fs, op->path, NULL);
    }
}

static const char *op_name(unsigned kind)
{
    static const char *const names[] = {"unlink", "unlink",  "rmdir", "mkdir",  "create", "write",
                                        "append", "symlink", "link",  "rename", "rename", "rename",
                                        "chmod",  "chown",   "mtime", "remove"};
    return names[kind];
}

static void one_op(struct lab *lab)
{
    struct op op = {.kind = pick(lab, 16), .arg = pick(lab, 1000)};
    int by_kernel;
    int by_hand;

    (void)some_path(lab, op.path);
    (void)some_path(lab, op.target);
    by_kernel = run_op(lab->kernel.fs, &op);
    by_hand = run_op(lab->hand.fs, &op);
    if (by_kernel != by_hand)
        fail_msg("%s %s %s: kernel says %s, by hand %s", op_name(op.kind), op.path, op.target,
                 strerror(-by_kernel), strerror(-by_hand));
}

/* One line per object of a directory tree, from below: what must be the same on both sides. */
static void describe(int dir_fd, const char *prefix, const struct lab *lab, struct ol_buf *out)
{
    struct dirent **list = NULL;
    int n = scandirat(dir_fd, ".", &list, NULL, alphasort);

    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        ol_auto_free char *name = strdup(list[i]->d_name);
        ol_auto_free char *path = NULL;
        char text[64] = "";
        struct stat st;
        free(list[i]);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || name[0] == '#')
            continue;
        assert_true(asprintf(&path, "%s/%s", prefix, name) > 0);
        assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        if (S_ISLNK(st.st_mode))
            assert_true(readlinkat(dir_fd, name, text, sizeof text - 1) > 0);
        assert_int_equal(ol_buf_printf(out, "%s %o %u:%u dev %jx mtime %jd.%ld opaque %d %s", path,
                                       st.st_mode, st.st_uid, st.st_gid, (uintmax_t)st.st_rdev,
                                       (intmax_t)(st.st_mtime < OLD_TIME + 256 ? st.st_mtime : 0),
                                       st.st_mtime < OLD_TIME + 256 ? st.st_mtim.tv_nsec : 0,
                                       ol_whiteout_is_opaque(dir_fd, name, lab->ns), text),
                         0);
        if (S_ISREG(st.st_mode)) {
            ol_auto_free char *content = test_read(dir_fd, name);
            ssize_t len = ol_xattr_get(dir_fd, name, "user.mark", text, sizeof text);
            assert_int_equal(ol_buf_printf(out, " links %ju '%s' mark %zd", (uintmax_t)st.st_nlink,
                                           content, len),
                             0);
        }
        assert_int_equal(ol_buf_putc(out, '\n'), 0);
        if (S_ISDIR(st.st_mode)) {
            ol_auto_fd int sub = open_sub(dir_fd, name);
            describe(sub, path, lab, out);
        }
    }
    free(list);
}

/* Distinct inodes at and below dir_fd; only whiteouts and files with several names need a set. */
static unsigned count_inodes(int dir_fd, uint64_t *seen, unsigned *n_seen)
{
    int fd = open_sub(dir_fd, ".");
    ol_auto_dir DIR *dir = fdopendir(fd);
    unsigned count = 0;
    struct dirent *d;

    while ((d = readdir(dir)) != NULL) {
        bool known = false;
        struct stat st;
        if (strcmp(d->d_name, "..") == 0 || strcmp(d->d_name, ".") == 0)
            continue;
        assert_int_equal(fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
        for (unsigned i = 0; i < *n_seen; i++)
            known = known || seen[i] == st.st_ino;
        if (known)
            continue;
        assert_true(*n_seen < 1000);
        seen[(*n_seen)++] = st.st_ino;
        count++;
        if (S_ISDIR(st.st_mode)) {
            ol_auto_fd int sub = open_sub(fd, d->d_name);
            count += count_inodes(sub, seen, n_seen);
        }
    }
    return count;
}

static unsigned inodes(int fd)
{
    uint64_t seen[1000];
    unsigned n = 0;

    return count_inodes(fd, seen, &n);
}

/* The merged view through the interface, recursively. */
static void describe_view(struct ol_rootfs *fs, const char *path, struct ol_buf *out)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **names = NULL;

    assert_ok(ol_rootfs_list(fs, path, &names, &err), &err);
    for (char **name = names; *name != NULL; name++) {
        ol_auto_buf struct ol_buf sub = OL_BUF_INIT;
        ol_auto_buf struct ol_buf content = OL_BUF_INIT;
        struct stat st;
        int r;
        assert_int_equal(ol_buf_printf(&sub, "%s%s%s", path, *path ? "/" : "", *name), 0);
        /* A directory that only one lower layer has is listed by the kernel as it is, whiteouts
         * included, although they cannot be looked up. */
        r = ol_rootfs_lstat(fs, sub.data, &st, &err);
        if (r == -ENOENT)
            continue;
        assert_ok(r, &err);
        if (S_ISREG(st.st_mode))
            assert_ok(ol_rootfs_read(fs, sub.data, 4096, &content, &err), &err);
        assert_int_equal(ol_buf_printf(out, "%s %o %u:%u '%s'\n", sub.data, st.st_mode, st.st_uid,
                                       st.st_gid, ol_buf_str(&content)),
                         0);
        if (S_ISDIR(st.st_mode))
            describe_view(fs, sub.data, out);
    }
    ol_rootfs_names_free(names);
}

static void assert_same(const char *what, const struct ol_buf *kernel, const struct ol_buf *hand)
{
    if (strcmp(ol_buf_str(kernel), ol_buf_str(hand)) != 0)
        fail_msg("%s differs\n--- kernel\n%s--- by hand\n%s", what, ol_buf_str(kernel),
                 ol_buf_str(hand));
}

static void compare_views(struct lab *lab)
{
    ol_auto_buf struct ol_buf kernel = OL_BUF_INIT;
    ol_auto_buf struct ol_buf hand = OL_BUF_INIT;

    describe_view(lab->kernel.fs, "", &kernel);
    describe_view(lab->hand.fs, "", &hand);
    assert_same("the merged view", &kernel, &hand);
}

static void compare_uppers(struct lab *lab)
{
    ol_auto_buf struct ol_buf kernel = OL_BUF_INIT;
    ol_auto_buf struct ol_buf hand = OL_BUF_INIT;

    describe(lab->kernel.upper_fd, "", lab, &kernel);
    describe(lab->hand.upper_fd, "", lab, &hand);
    assert_same("the upper directory", &kernel, &hand);
    assert_int_equal(inodes(lab->kernel.home_fd), inodes(lab->hand.home_fd));
    describe(lab->kernel.work_fd, "work", lab, &kernel);
    describe(lab->hand.work_fd, "work", lab, &hand);
    assert_same("the work directory", &kernel, &hand);
}

static void same_as_kernel(struct lab *lab, enum ol_overlay_ns ns)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        make_lab(lab, ns, seed);
        for (int session = 0; session < SESSIONS; session++) {
            open_session(lab);
            compare_views(lab);
            for (int i = 0; i < OPS_PER_SESSION; i++)
                one_op(lab);
            compare_views(lab);
            close_session(lab);
            compare_uppers(lab);
        }
        drop_lab(lab);
    }
}

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct lab));
    return *state != NULL ? 0 : -1;
}

/* After a failure the session is still open. */
static int teardown(void **state)
{
    struct lab *lab = *state;

    (void)ol_rootfs_close(lab->hand.fs, NULL); /* the test has failed already */
    (void)ol_rootfs_close(lab->kernel.fs, NULL);
    if (lab->dir.path != NULL) {
        ol_auto_free char *target = NULL;
        if (asprintf(&target, "%s/kernel/merged", lab->dir.path) > 0)
            (void)umount2(target, MNT_DETACH); /* may not be mounted */
        drop_lab(lab);
    }
    free(lab);
    return 0;
}

static void rootfs_overlay__same_as_kernel_trusted(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    same_as_kernel(*state, OL_OVERLAY_TRUSTED);
}

static void rootfs_overlay__same_as_kernel_user(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    OL_REQUIRE(can_user_xattr, "user.overlay.* attributes need a file system with user.*");
    same_as_kernel(*state, OL_OVERLAY_USER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rootfs_overlay__same_as_kernel_trusted, setup, teardown),
        cmocka_unit_test_setup_teardown(rootfs_overlay__same_as_kernel_user, setup, teardown),
    };
    return cmocka_run_group_tests_name("rootfs_kernel", tests, NULL, NULL);
}
