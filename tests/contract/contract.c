/* SPDX-License-Identifier: Apache-2.0 */
/* The program around the cases, and their helpers; see contract.h. */
#include "contract/contract.h"

#include "common/buf.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct contract_target target; /* set once by main */

const struct contract_target *contract_target(void)
{
    return &target;
}

int contract_group_setup(void **state)
{
    *state = &target;
    return 0;
}

/* ---- the fixture ---- */

int contract_open(const struct contract *c, struct ol_driver **ret, struct ol_error *err)
{
    const struct ol_driver_config config = {
        .home = c->home,
        .view = c->target->view,
        .keep_owner = can_chown(),
    };

    return ol_driver_open(c->target->spec, &config, ret, err);
}

void contract_reopen(struct contract *c)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    ol_driver_close(c->drv);
    c->drv = NULL;
    assert_ok(contract_open(c, &c->drv, &err), &err);
}

int contract_setup(void **state)
{
    struct contract *c = calloc(1, sizeof(*c));
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_non_null(c);
    c->target = contract_target();
    test_dir_make(&c->dir);
    assert_true(asprintf(&c->home, "%s/home", c->dir.path) > 0);
    assert_ok(contract_open(c, &c->drv, &err), &err);
    *state = c;
    return 0;
}

int contract_teardown(void **state)
{
    struct contract *c = *state;

    ol_driver_close(c->drv);
    test_dir_remove(&c->dir); /* fails when something is still mounted */
    free(c->home);
    free(c);
    return 0;
}

bool contract_target_is(const struct contract_target *t, const char *driver)
{
    size_t len = strlen(driver);

    return strncmp(t->spec, driver, len) == 0 && (t->spec[len] == '\0' || t->spec[len] == ':');
}

bool contract_is(const struct contract *c, const char *driver)
{
    return contract_target_is(c->target, driver);
}

bool contract_has_option(const struct contract *c, const char *option)
{
    return strstr(c->target->spec, option) != NULL;
}

bool contract_on_overlay(const struct contract_target *t)
{
    return contract_target_is(t, "overlay");
}

bool contract_on_overlay2(const struct contract_target *t)
{
    return contract_target_is(t, "overlay2");
}

bool contract_on_mounts(const struct contract_target *t)
{
    return t->view != OL_VIEW_DIRECT;
}

bool contract_not_vfs(const struct contract_target *t)
{
    return !contract_target_is(t, "vfs");
}

int contract_run(const char *group, const struct contract_case *cases, size_t count)
{
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    size_t n = 0;
    int failures;

    assert_non_null(tests);
    for (size_t i = 0; i < count; i++)
        if (cases[i].on == NULL || cases[i].on(&target))
            tests[n++] = cases[i].test;
    failures = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
    free(tests);
    return failures;
}

/* ---- layers ---- */

void contract_create(struct contract *c, const char *id, const char *parent)
{
    const struct ol_layer_spec spec = {.id = id, .parent = parent};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_driver_create(c->drv, &spec, &err), &err);
}

void contract_remove(struct contract *c, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_driver_remove(c->drv, id, &err), &err);
    assert_false(ol_driver_exists(c->drv, id));
}

struct ol_rootfs *contract_root(struct contract *c, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = NULL;

    assert_ok(ol_driver_rootfs(c->drv, id, &fs, &err), &err);
    return fs;
}

void contract_close(struct ol_rootfs *fs)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_rootfs_close(fs, &err), &err);
}

void root_write(struct ol_rootfs *fs, const char *path, const char *content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    size_t len = strlen(content);
    struct stat st;

    if (ol_rootfs_lstat(fs, path, &st, NULL) == 0)
        assert_ok(ol_rootfs_write(fs, path, content, len, &err), &err);
    else
        assert_ok(ol_rootfs_create(fs, path, 0644, content, len, &err), &err);
}

void root_mkdir(struct ol_rootfs *fs, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_rootfs_mkdir(fs, path, 0755, &err), &err);
}

void root_rm(struct ol_rootfs *fs, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_rootfs_remove_tree(fs, path, &err), &err);
}

void contract_write(struct contract *c, const char *id, const char *path, const char *content)
{
    struct ol_rootfs *fs = contract_root(c, id);

    root_write(fs, path, content);
    contract_close(fs);
}

void contract_rm(struct contract *c, const char *id, const char *path)
{
    struct ol_rootfs *fs = contract_root(c, id);

    root_rm(fs, path);
    contract_close(fs);
}

void contract_assert_content(struct contract *c, const char *id, const char *path,
                             const char *content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    struct ol_rootfs *fs = contract_root(c, id);

    assert_ok(ol_rootfs_read(fs, path, 1 << 20, &text, &err), &err);
    assert_string_equal(ol_buf_str(&text), content);
    contract_close(fs);
}

void contract_assert_gone(struct contract *c, const char *id, const char *path)
{
    struct ol_rootfs *fs = contract_root(c, id);
    struct stat st;

    assert_int_equal(ol_rootfs_lstat(fs, path, &st, NULL), -ENOENT);
    contract_close(fs);
}

struct stat contract_stat(struct contract *c, const char *id, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = contract_root(c, id);
    struct stat st;

    assert_ok(ol_rootfs_lstat(fs, path, &st, &err), &err);
    contract_close(fs);
    return st;
}

/* ---- tars ---- */

struct ol_apply_result contract_load(struct contract *c, const char *id, const char *parent,
                                     struct tarball *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_apply_result result;
    struct ol_input input;

    tarball_end(tar);
    input = OL_INPUT_FD(tarball_fd(tar));
    contract_create(c, id, parent);
    assert_ok(ol_driver_apply_diff(c->drv, id, parent, &input, &result, &err), &err);
    tarball_fini(tar);
    return result;
}

int contract_diff_fd(struct contract *c, const char *id, const char *parent,
                     struct ol_tar_result *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int fd = memfd_create("diff", MFD_CLOEXEC);
    int out_fd = dup(fd);

    assert_true(out_fd >= 0);
    assert_ok(ol_driver_diff(c->drv, id, parent, &out_fd, ret, &err), &err);
    assert_int_equal(out_fd, -1);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

struct ol_apply_result contract_commit(struct contract *c, const char *id, const char *parent,
                                       const char *new_id, const char *base)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tar_result tar;
    ol_auto_fd int fd = contract_diff_fd(c, id, parent, &tar);
    const struct ol_input input = OL_INPUT_FD(fd);
    struct ol_apply_result result;

    contract_create(c, new_id, base);
    assert_ok(ol_driver_apply_diff(c->drv, new_id, base, &input, &result, &err), &err);
    assert_string_equal(result.layer.diff_id, tar.diff_id);
    return result;
}

char *contract_changes(struct contract *c, const char *id, const char *parent)
{
    static const char letters[] = {
        [OL_CHANGE_MODIFY] = 'C', [OL_CHANGE_ADD] = 'A', [OL_CHANGE_DELETE] = 'D'};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    assert_ok(ol_driver_changes(c->drv, id, parent, &changes, &err), &err);
    assert_int_equal(ol_buf_puts(&text, ""), 0);
    for (size_t i = 0; i < changes.count; i++)
        assert_int_equal(
            ol_buf_printf(&text, "%c %s\n", letters[changes.items[i].kind], changes.items[i].path),
            0);
    return text.len > 0 ? ol_buf_steal(&text) : strdup("");
}

/* ---- what is on disk ---- */

static int open_home(const struct contract *c)
{
    int fd = open(c->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

uint64_t contract_inodes(const struct contract *c)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = open_home(c);
    struct ol_tree_usage usage;

    assert_ok(ol_tree_usage(fd, false, &usage, &err), &err);
    return usage.inodes - 1 - (faccessat(fd, "l", F_OK, 0) == 0);
}

static int list_entry(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    struct ol_buf *text = data;
    const struct stat *st = entry->st;
    intmax_t size = S_ISREG(st->st_mode) ? (intmax_t)st->st_size : 0;
    unsigned links = S_ISDIR(st->st_mode) ? 0 : (unsigned)st->st_nlink;

    (void)err;
    /* the kernel empties work/work and names its whiteouts as it likes: only that it is there */
    if (entry->depth > 2 && strstr(entry->path, "/work/work/") != NULL)
        return 0;
    return ol_buf_printf(text, "%06o %jd %u %s\n", (unsigned)st->st_mode, size, links, entry->path);
}

char *contract_listing(const struct contract *c)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_fd int fd = open_home(c);

    assert_ok(ol_tree_walk(fd, list_entry, &text, &err), &err);
    return ol_buf_steal(&text);
}

size_t contract_mounts(const struct contract *c)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **list = NULL;
    size_t count = 0;

    assert_ok(ol_mount_list_below(c->home, &list, &count, &err), &err);
    ol_mount_list_free(list);
    return count;
}

/* ---- the program ---- */

/* Why this machine cannot do the combination: NULL when it can. */
static const char *missing_probe;
static char *missing_why;

static void contract__runs_in_this_view(void **state)
{
    (void)state;
    if (missing_probe != NULL)
        ol_require_failed(missing_probe, target.spec, missing_why);
}

static void lacks(const char *probe, const char *why)
{
    missing_probe = probe;
    assert_true(asprintf(&missing_why, "no %s view here: %s", ol_view_name(target.view), why) > 0);
}

static void enter_view(void)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (target.view == OL_VIEW_KERNEL && !can_mount_overlay())
        lacks("can_mount_overlay", "mounting overlay needs CAP_SYS_ADMIN");
    else if (target.view == OL_VIEW_DIRECT && !can_user_xattr())
        lacks("can_user_xattr", "the file system keeps no user.* attributes");
    else if (target.view == OL_VIEW_USERNS && !can_user_namespace())
        lacks("can_user_namespace", "user namespaces are not allowed");
    else if (target.view == OL_VIEW_USERNS && ol_view_enter_userns(&err) < 0)
        lacks("can_user_namespace", ol_error_text(&err));
}

int main(int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct CMUnitTest tests[] = {cmocka_unit_test(contract__runs_in_this_view)};
    int failures;

    if (argc != 3 || ol_view_parse(argv[2], &target.view, &err) < 0) {
        fprintf(stderr, "usage: test_contract DRIVER VIEW\n");
        return 2;
    }
    target.spec = argv[1];
    enter_view();
    failures = cmocka_run_group_tests_name("contract", tests, NULL, NULL);
    if (missing_probe == NULL) {
        failures += contract_run_graphtest();
        failures += contract_run_changes();
        failures += contract_run_layers();
        failures += contract_run_faults();
        failures += contract_run_inodes();
    }
    free(missing_why);
    return failures == 0 ? 0 : 1;
}
