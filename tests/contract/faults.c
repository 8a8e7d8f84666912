/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failed calls leave nothing behind: the first, second, third… call that changes the world inside
 * an operation fails, until the operation succeeds. After each failure the home is as before, or
 * for an apply the layer is empty, and nothing is mounted. And a process killed at any instant
 * leaves whole layers only.
 */
#include "contract/contract.h"

#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { FAULTS_MAX = 5000 }; /* an operation that never succeeds is a bug of the test */

static void add_tree(struct tarball *tar, const char *text)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/a", text);
    tarball_add_file(tar, "d/b", text);
    tarball_add_symlink(tar, "d/s", "a");
    tarball_add_dir(tar, "d/e/");
    tarball_add_hardlink(tar, "d/e/h", "d/a");
    tarball_add_file(tar, "f", text);
}

static void load_tree(struct contract *c, const char *id, const char *parent, const char *text)
{
    struct tarball tar = TARBALL_INIT;

    add_tree(&tar, text);
    (void)contract_load(c, id, parent, &tar);
}

/* Disarm; true when the fault was delivered. A fault the operation survives is fine. */
static bool disarm(void)
{
    bool delivered = ol_fault_delivered();

    ol_fault_arm(0);
    return delivered;
}

static void require_faults(void)
{
#if !OL_FAULTS
    print_message("SKIP: this build has no fault points (OL_FAULTS)\n");
    skip();
#endif
}

static void assert_as_before(struct contract *c, const char *before)
{
    ol_auto_free char *after = contract_listing(c);

    assert_string_equal(after, before);
    assert_int_equal(contract_mounts(c), 0);
}

/* ---- create ---- */

static void create_fails(struct contract *c, const char *parent)
{
    const struct ol_layer_spec spec = {.id = "new", .parent = parent};
    ol_auto_free char *before = contract_listing(c);
    int r = -1;

    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        ol_fault_arm(n);
        r = ol_driver_create(c->drv, &spec, NULL);
        if (!disarm())
            break;
        assert_int_equal(r, -EIO); /* every step of a create counts */
        assert_as_before(c, before);
        assert_false(ol_driver_exists(c->drv, "new"));
    }
    assert_int_equal(r, 0);
    contract_remove(c, "new");
}

static void faults__create_of_a_base_layer(void **state)
{
    require_faults();
    create_fails(*state, NULL);
}

static void faults__create_on_an_image_layer(void **state)
{
    struct contract *c = *state;

    require_faults();
    load_tree(c, "base", NULL, "base");
    create_fails(c, "base");
}

static void faults__create_on_a_container_layer(void **state)
{
    struct contract *c = *state;

    require_faults();
    load_tree(c, "base", NULL, "base");
    contract_create(c, "init", "base");
    contract_write(c, "init", "etc", "x");
    contract_rm(c, "init", "d/a");
    create_fails(c, "init"); /* legacy overlay copies the upper */
}

/* ---- apply ---- */

static int apply(struct contract *c, const char *id, const char *parent, struct tarball *tar)
{
    const struct ol_input input = OL_INPUT_FD(tarball_fd(tar));

    return ol_driver_apply_diff(c->drv, id, parent, &input, NULL, NULL);
}

/* overlay2 tries the kernel once, when first asked; keep that out of what is tested. */
static void make_kernel_check(struct contract *c)
{
    ol_auto_pairs struct ol_pairs status = {NULL, 0};

    assert_int_equal(ol_driver_status(c->drv, &status, NULL), 0);
}

/* An empty layer that was mounted once (work/work is there), and what the home then looks like. */
static char *new_layer(struct contract *c, const char *parent)
{
    contract_create(c, "new", parent);
    contract_close(contract_root(c, "new"));
    make_kernel_check(c);
    return contract_listing(c);
}

static void assert_applied(struct contract *c, const char *parent)
{
    contract_assert_content(c, "new", "d/b", "new content");
    contract_assert_content(c, "new", "g", "g");
    if (parent != NULL)
        contract_assert_gone(c, "new", "old");
}

/* A fault the apply survived hit what it leaves to the next open; start over with a new layer. */
static char *apply_survived(struct contract *c, const char *parent)
{
    assert_applied(c, parent);
    contract_reopen(c);
    assert_applied(c, parent);
    contract_remove(c, "new");
    return new_layer(c, parent);
}

static void apply_fails(struct contract *c, const char *parent)
{
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *before = NULL;
    int r = -1;

    add_tree(&tar, "new content");
    tarball_add_file(&tar, "g", "g");
    if (parent != NULL)
        tarball_add_file(&tar, ".wh.old", "");
    tarball_end(&tar);
    before = new_layer(c, parent);
    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        ol_fault_arm(n);
        r = apply(c, "new", parent, &tar);
        if (!disarm())
            break;
        if (r < 0) {
            assert_as_before(c, before);
        } else {
            free(before);
            before = apply_survived(c, parent);
        }
    }
    assert_int_equal(r, 0);
    assert_applied(c, parent);
    tarball_fini(&tar);
}

static void faults__apply_to_a_base_layer(void **state)
{
    require_faults();
    apply_fails(*state, NULL);
}

static void faults__apply_on_an_image_layer(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;

    require_faults();
    add_tree(&tar, "base");
    tarball_add_file(&tar, "old", "old");
    (void)contract_load(c, "base", NULL, &tar);
    apply_fails(c, "base");
    contract_assert_content(c, "base", "d/b", "base");
}

/* Legacy overlay goes through the mounted layer then, as moby's naive ApplyDiff. */
static bool applies_on_a_container_layer(const struct contract_target *target)
{
    return !contract_on_overlay(target) || contract_on_mounts(target);
}

static void faults__apply_on_a_container_layer(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;

    require_faults();
    add_tree(&tar, "base");
    tarball_add_file(&tar, "old", "old");
    tarball_add_file(&tar, "gone", "gone");
    (void)contract_load(c, "base", NULL, &tar);
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "own", "of ctr");
    contract_rm(c, "ctr", "gone");
    apply_fails(c, "ctr");
    contract_assert_content(c, "new", "own", "of ctr");
    contract_assert_gone(c, "new", "gone");
}

static void faults__truncated_archive_leaves_an_empty_layer(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *before = NULL;

    load_tree(c, "base", NULL, "base");
    before = new_layer(c, "base");
    add_tree(&tar, "a text that is cut");
    tarball_cut(&tar, TARBALL_BLOCK - 3); /* inside the last file's data */
    assert_true(apply(c, "new", "base", &tar) < 0);
    assert_as_before(c, before);
    contract_assert_content(c, "new", "f", "base");
    tarball_fini(&tar);
}

/* ---- get and put ---- */

static void faults__get(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = NULL;
    ol_auto_free char *path = NULL;
    int r = -1;

    require_faults();
    load_tree(c, "base", NULL, "base");
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "x", "x"); /* work/work is there from now on */
    before = contract_listing(c);
    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        ol_fault_arm(n);
        r = ol_driver_get(c->drv, "ctr", &path, NULL);
        if (!disarm())
            break;
        assert_int_equal(r, -EIO);
        assert_null(path);
        assert_as_before(c, before);
    }
    assert_int_equal(r, 0);
    assert_int_equal(ol_driver_put(c->drv, "ctr", NULL), 0);
    assert_as_before(c, before);
}

static void faults__put_can_be_repeated(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = NULL;
    int r = -1;

    require_faults();
    load_tree(c, "base", NULL, "base");
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "x", "x");
    before = contract_listing(c);
    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        ol_auto_free char *path = NULL;
        assert_int_equal(ol_driver_get(c->drv, "ctr", &path, NULL), 0);
        ol_fault_arm(n);
        r = ol_driver_put(c->drv, "ctr", NULL);
        if (!disarm())
            break;
        assert_int_equal(ol_driver_put(c->drv, "ctr", NULL), 0);
        assert_as_before(c, before);
    }
    assert_int_equal(r, 0);
    assert_as_before(c, before);
}

/* ---- diff ---- */

static void faults__diff(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = NULL;
    int r = -1;

    require_faults();
    load_tree(c, "base", NULL, "base");
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "x", "x");
    (void)close(contract_diff_fd(c, "ctr", "base", NULL)); /* work/work of every mounted layer */
    before = contract_listing(c);
    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        ol_auto_fd int out_fd = memfd_create("out", MFD_CLOEXEC);
        ol_fault_arm(n);
        r = ol_driver_diff(c->drv, "ctr", "base", &out_fd, NULL, NULL);
        if (!disarm())
            break;
        if (r == 0) /* it hit a put, after the work was done; closing tries again */
            contract_reopen(c);
        (void)close(contract_diff_fd(c, "ctr", "base", NULL)); /* in the direct view: work/work */
        assert_as_before(c, before);
    }
    assert_int_equal(r, 0);
}

/* ---- remove ---- */

static void faults__remove_is_whole_or_can_be_repeated(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *empty = NULL;
    int r = -1;

    require_faults();
    load_tree(c, "base", NULL, "base");
    contract_create(c, "probe", "base"); /* the parent is marked as one */
    contract_remove(c, "probe");
    empty = contract_listing(c);
    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        contract_create(c, "ctr", "base");
        contract_write(c, "ctr", "d/new", "x");
        ol_fault_arm(n);
        r = ol_driver_remove(c->drv, "ctr", NULL);
        if (!disarm())
            break;
        if (ol_driver_exists(c->drv, "ctr")) /* then it is whole */
            contract_assert_content(c, "ctr", "d/new", "x");
        contract_remove(c, "ctr");
        assert_as_before(c, empty);
    }
    assert_int_equal(r, 0);
    assert_as_before(c, empty);
}

/* ---- killed ---- */

enum { KILLS = 25, KILL_FILES = 60 };

/* The child's work: make, apply and remove layers until it is killed. */
static void churn(struct contract *c, int tar_fd)
{
    const struct ol_input input = {.fd = tar_fd, .offset = 0, .length = UINT64_MAX};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver *drv = NULL;

    if (contract_open(c, &drv, &err) < 0)
        _exit(1);
    for (;;) {
        const struct ol_layer_spec spec = {.id = "churn", .parent = "base"};
        if (ol_driver_create(drv, &spec, &err) < 0 ||
            ol_driver_apply_diff(drv, "churn", "base", &input, NULL, &err) < 0 ||
            ol_driver_remove(drv, "churn", &err) < 0)
            _exit(1);
    }
}

static int is_known(const char *id, void *data)
{
    (void)data;
    return strcmp(id, "base") == 0 || strcmp(id, "churn") == 0 ? 0 : -EINVAL;
}

/* A layer that is there is empty as create made it, or whole. */
static void assert_whole(struct contract *c)
{
    struct ol_rootfs *fs;
    struct stat st;
    unsigned found = 0;
    char name[32];

    assert_int_equal(ol_driver_list(c->drv, is_known, NULL, NULL), 0);
    assert_int_equal(contract_mounts(c), 0);
    contract_assert_content(c, "base", "f", "base");
    if (!ol_driver_exists(c->drv, "churn"))
        return;
    fs = contract_root(c, "churn");
    for (unsigned i = 0; i < KILL_FILES; i++) {
        (void)snprintf(name, sizeof(name), "file-%u", i);
        found += ol_rootfs_lstat(fs, name, &st, NULL) == 0;
    }
    contract_close(fs);
    if (found != 0)
        assert_int_equal(found, KILL_FILES);
    contract_remove(c, "churn");
}

static void faults__killed_process_leaves_whole_layers(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;
    char name[32];
    int tar_fd;

    load_tree(c, "base", NULL, "base");
    for (unsigned i = 0; i < KILL_FILES; i++) {
        (void)snprintf(name, sizeof(name), "file-%u", i);
        tarball_add_file(&tar, name, "content");
    }
    tarball_end(&tar);
    tar_fd = tarball_fd(&tar);
    for (unsigned i = 0; i < KILLS; i++) {
        const struct timespec wait = {.tv_nsec = 1000000 + i * 2700000L};
        int status = 0;
        pid_t pid;

        ol_driver_close(c->drv);
        c->drv = NULL;
        pid = fork();
        if (pid == 0)
            churn(c, tar_fd);
        assert_true(pid > 0);
        (void)nanosleep(&wait, NULL); /* any instant will do */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status)); /* and did not fail by itself */
        contract_reopen(c);
        assert_whole(c);
    }
    tarball_fini(&tar);
}

int contract_run_faults(void)
{
    static const struct contract_case cases[] = {
        contract_test(faults__create_of_a_base_layer),
        contract_test(faults__create_on_an_image_layer),
        contract_test(faults__create_on_a_container_layer),
        contract_test(faults__apply_to_a_base_layer),
        contract_test(faults__apply_on_an_image_layer),
        contract_test_on(faults__apply_on_a_container_layer, applies_on_a_container_layer),
        contract_test(faults__truncated_archive_leaves_an_empty_layer),
        contract_test_on(faults__get, contract_on_mounts),
        contract_test_on(faults__put_can_be_repeated, contract_on_mounts),
        contract_test(faults__diff),
        contract_test(faults__remove_is_whole_or_can_be_repeated),
        contract_test(faults__killed_process_leaves_whole_layers),
    };
    return contract_run("faults", cases, OL_ARRAY_LEN(cases));
}
