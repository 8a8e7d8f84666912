/* SPDX-License-Identifier: Apache-2.0 */
/* Test support; see support.h. */
#include "support/support.h"

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

void ol_assert_ok_at(int r, const struct ol_error *err, const char *what, const char *file,
                     int line)
{
    if (r >= 0)
        return;
    print_error("%s = %d: %s\n", what, r, err != NULL ? ol_error_text(err) : "(no error object)");
    _fail(file, line);
}

void ol_assert_message_at(const struct ol_error *err, const char *text, const char *file, int line)
{
    if (err->message != NULL && strstr(err->message, text) != NULL)
        return;
    print_error("message '%s' does not contain '%s'\n", ol_error_text(err), text);
    _fail(file, line);
}

void ol_assert_present_at(int dir_fd, const char *name, bool want, const char *file, int line)
{
    struct stat st;
    bool present = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

    if (present == want)
        return;
    print_error("'%s' is %s\n", name, present ? "there" : "missing");
    _fail(file, line);
}

void test_dir_make(struct test_dir *dir)
{
    const char *tmp = getenv("TMPDIR");

    if (asprintf(&dir->path, "%s/overlab-test.XXXXXX", tmp != NULL ? tmp : "/tmp") < 0)
        fail_msg("out of memory");
    if (mkdtemp(dir->path) == NULL)
        fail_msg("cannot make '%s': %s", dir->path, strerror(errno));
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir->fd >= 0);
}

/* Works without the code under test, so that a broken ol_tree_remove() cannot hide itself. */
static void run_command(char *const argv[])
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Lazily unmount whatever is mounted below path; returns how many there were. */
static unsigned unmount_below(const char *path)
{
    ol_auto_file FILE *table = fopen("/proc/self/mountinfo", "re");
    ol_auto_free char *line = NULL;
    size_t cap = 0;
    unsigned found = 0;
    size_t len = strlen(path);

    if (table == NULL)
        return 0;
    while (getline(&line, &cap, table) > 0) {
        char *save = NULL;
        char *field = strtok_r(line, " ", &save);
        for (int i = 0; i < 4 && field != NULL; i++)
            field = strtok_r(NULL, " ", &save);
        if (field == NULL || strncmp(field, path, len) != 0 || field[len] != '/')
            continue;
        found++;
        (void)umount2(field, MNT_DETACH); /* nested ones go with their parent */
    }
    return found;
}

void test_dir_remove(struct test_dir *dir)
{
    unsigned leaked;

    if (dir->path == NULL)
        return;
    leaked = unmount_below(dir->path);
    ol_fd_close(&dir->fd);
    run_command((char *[]){(char[]){"chmod"}, (char[]){"-R"}, (char[]){"u+rwX"}, dir->path, NULL});
    run_command((char *[]){(char[]){"rm"}, (char[]){"-rf"}, dir->path, NULL});
    free(dir->path);
    dir->path = NULL;
    if (leaked > 0)
        fail_msg("%u mounts were left behind", leaked);
}

size_t test_count_names(const char *path)
{
    ol_auto_dir DIR *dir = opendir(path);
    size_t count = 0;

    if (dir == NULL)
        fail_msg("cannot open '%s': %s", path, strerror(errno));
    while (readdir(dir) != NULL)
        count++;
    return count - 2;
}

size_t test_resources(void)
{
    return test_count_names("/proc/self/fd") + test_count_names("/proc/self/task");
}

/* A joined thread may stay in /proc for a moment: the kernel wakes the joiner first. */
void assert_resources(size_t before)
{
    for (int i = 0; i < 10000 && test_resources() > before; i++)
        (void)sched_yield();
    assert_int_equal(test_resources(), before);
}

void test_write(int dir_fd, const char *path, const char *content)
{
    ol_auto_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t len = strlen(content);

    if (fd < 0)
        fail_msg("cannot create '%s': %s", path, strerror(errno));
    assert_int_equal(write(fd, content, len), len);
}

void test_mkdir(int dir_fd, const char *path, unsigned mode)
{
    if (mkdirat(dir_fd, path, mode) < 0 || fchmodat(dir_fd, path, mode, 0) < 0)
        fail_msg("cannot make directory '%s': %s", path, strerror(errno));
}

void test_symlink(int dir_fd, const char *target, const char *path)
{
    if (symlinkat(target, dir_fd, path) < 0)
        fail_msg("cannot make symlink '%s': %s", path, strerror(errno));
}

char *test_read(int dir_fd, const char *path)
{
    ol_auto_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t len = 0;
    size_t cap = 0;
    ssize_t n;

    if (fd < 0)
        fail_msg("cannot open '%s': %s", path, strerror(errno));
    do {
        if (cap - len < 4096) {
            cap += 65536;
            text = realloc(text, cap);
            assert_non_null(text);
        }
        n = read(fd, text + len, cap - len - 1);
        assert_true(n >= 0);
        len += (size_t)n;
    } while (n > 0);
    text[len] = '\0';
    return text;
}

/* Runs try() in a child with a fresh directory; remembers the answer in *known (0 unknown, 1, -1).
 */
static bool probe(int *known, int (*try)(const char *path))
{
    struct test_dir dir = {NULL, -1};
    int status = 1;
    pid_t pid;

    if (*known != 0)
        return *known > 0;
    test_dir_make(&dir);
    pid = fork();
    if (pid == 0)
        _exit(try(dir.path) == 0 ? 0 : 1);
    if (pid > 0)
        (void)waitpid(pid, &status, 0); /* status stays 1: the probe says no */
    (void)unmount_below(dir.path);
    test_dir_remove(&dir);
    *known = status == 0 ? 1 : -1;
    return *known > 0;
}

static int try_overlay(const char *path)
{
    static const char options[] = "lowerdir=l,upperdir=u,workdir=w";

    if (chdir(path) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -1;
    if (mkdir("l", 0755) < 0 || mkdir("u", 0755) < 0 || mkdir("w", 0755) < 0 ||
        mkdir("m", 0755) < 0)
        return -1;
    if (setxattr("u", "trusted.overlay.test", "y", 1, 0) < 0)
        return -1;
    return mount("overlay", "m", "overlay", 0, options);
}

bool can_mount_overlay(void)
{
    static int known;
    return probe(&known, try_overlay);
}

static int try_chown(const char *path)
{
    return chown(path, 12345, 54321);
}

bool can_chown(void)
{
    static int known;
    return probe(&known, try_chown);
}

static int try_mknod(const char *path)
{
    return chdir(path) == 0 ? mknod("null", S_IFCHR | 0600, makedev(1, 3)) : -1;
}

bool can_mknod(void)
{
    static int known;
    return probe(&known, try_mknod);
}

static int try_userns(const char *path)
{
    (void)path;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS);
}

bool can_user_namespace(void)
{
    static int known;
    return probe(&known, try_userns);
}

static int try_user_xattr(const char *path)
{
    return setxattr(path, "user.test", "y", 1, 0);
}

bool can_user_xattr(void)
{
    static int known;
    return probe(&known, try_user_xattr);
}

bool can_inject_faults(void)
{
    return OL_FAULTS;
}

static int try_loop(const char *path)
{
    if (chdir(path) < 0)
        return -1;
    return system("truncate -s 8M i && mkfs.ext4 -q -F i >/dev/null 2>&1 && mkdir m && "
                  "mount -o loop i m && umount m");
}

bool can_loop_mount(void)
{
    static int known;
    return probe(&known, try_loop);
}

static bool required(const char *probe_name)
{
    const char *list = getenv("OL_TEST_REQUIRE");

    return list != NULL && (strcmp(list, "all") == 0 || strstr(list, probe_name) != NULL);
}

void ol_require_failed(const char *probe_name, const char *test, const char *why)
{
    if (required(probe_name))
        fail_msg("%s is required here: %s", probe_name, why);
    print_message("SKIP %s: %s\n", test, why);
    skip();
}
