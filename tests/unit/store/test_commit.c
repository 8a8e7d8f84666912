/* SPDX-License-Identifier: Apache-2.0 */
/* store/container.c, initlayer.c, commit.c: containers, and the two sides of a commit. */
#include "fixture.h"

#include "common/fault.h"
#include "common/fs/tree.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every driver that keeps data, with and without mounts. Each case runs on each of them. */
struct engine {
    const char *spec;
    enum ol_view view;
};
static const struct engine engines[] = {
    {"vfs", OL_VIEW_DIRECT},      {"overlay", OL_VIEW_DIRECT},
    {"overlay2", OL_VIEW_DIRECT}, {"overlay", OL_VIEW_KERNEL},
    {"overlay2", OL_VIEW_KERNEL}, {"overlay:diff=upper,clone=all", OL_VIEW_KERNEL},
};

struct test_case {
    const char *name;
    void (*run)(struct store_fixture *f, const struct engine *engine);
};

/* One case on one engine. */
struct bound {
    const struct test_case *test;
    const struct engine *engine;
    char *name; /* owned */
    struct store_fixture fixture;
};

/* An image with a symlinked /etc/mtab, a real /dev/console and no /proc. */
static struct ol_store_layer add_image(struct store_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;

    tarball_add_dir(&tar, "etc/");
    tarball_add_file(&tar, "etc/hosts", "image hosts\n");
    tarball_add_file(&tar, "etc/gone", "to be deleted\n");
    tarball_add_file(&tar, "etc/keep", "kept\n");
    tarball_add_symlink(&tar, "etc/mtab", "../nowhere");
    tarball_add_dir(&tar, "dev/");
    tarball_add_file(&tar, "dev/console", "not a console");
    tarball_end(&tar);
    layer = fixture_register(f, NULL, &tar);
    tarball_fini(&tar);
    return layer;
}

static struct ol_store_container add_container(struct store_fixture *f, const char *chain)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_store_container c;

    assert_ok(ol_store_container_create(f->store, chain, &c, &err), &err);
    return c;
}

/* Write through the container's root, as a process in it would. */
static void change(struct store_fixture *f, const struct ol_store_container *c, const char *path,
                   const void *data, size_t len)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = NULL;

    assert_ok(ol_driver_rootfs(f->drv, c->mount_id, &fs, &err), &err);
    assert_ok(ol_rootfs_create(fs, path, 0644, data, len, &err), &err);
    assert_ok(ol_rootfs_unlink(fs, "etc/gone", &err), &err);
    assert_ok(ol_rootfs_close(fs, &err), &err);
}

/* Read a file of any layer of the driver. */
static void assert_layer_has(struct store_fixture *f, const char *id, const char *path,
                             const char *want)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    struct ol_rootfs *fs = NULL;
    struct stat st;
    int r;

    assert_ok(ol_driver_rootfs(f->drv, id, &fs, &err), &err);
    r = ol_rootfs_lstat(fs, path, &st, &err);
    if (want == NULL) {
        assert_int_equal(r, -ENOENT);
    } else {
        assert_ok(ol_rootfs_read(fs, path, 1 << 20, &buf, &err), &err);
        assert_string_equal(ol_buf_str(&buf), want);
    }
    assert_ok(ol_rootfs_close(fs, NULL), NULL);
}

static void initlayer__prepares_what_a_runtime_mounts_on(struct store_fixture *f,
                                                         const struct engine *engine)
{
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = NULL;
    struct stat st;

    (void)engine;
    assert_layer_has(f, c.mount_id, "etc/hosts", "");
    assert_layer_has(f, c.mount_id, "dev/console", "");
    assert_layer_has(f, c.mount_id, "etc/keep", "kept\n");
    assert_ok(ol_driver_rootfs(f->drv, c.mount_id, &fs, &err), &err);
    assert_ok(ol_rootfs_lstat(fs, "dev/shm", &st, &err), &err);
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    assert_ok(ol_rootfs_lstat(fs, ".dockerenv", &st, &err), &err);
    assert_int_equal(st.st_mode, S_IFREG | 0755);
    assert_ok(ol_rootfs_lstat(fs, "etc/mtab", &st, &err), &err);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(st.st_size, strlen("/proc/mounts"));
    assert_ok(ol_rootfs_close(fs, &err), &err);
    /* the image itself is as it was */
    assert_layer_has(f, image.cache_id, "etc/hosts", "image hosts\n");
}

/* CVE-2026-41579: a symlinked /dev is replaced by a directory, what it points at is not touched. */
static void initlayer__replaces_symlinked_directories(struct store_fixture *f,
                                                      const struct engine *engine)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer image;
    struct ol_store_container c;
    struct ol_rootfs *fs = NULL;
    struct stat st;

    (void)engine;
    test_mkdir(f->dir.fd, "outside", 0755);
    tarball_add_symlink(&tar, "dev", f->dir.path);
    tarball_add_symlink(&tar, "etc", "../../../outside");
    tarball_end(&tar);
    image = fixture_register(f, NULL, &tar);
    tarball_fini(&tar);
    c = add_container(f, image.chain_id);
    assert_ok(ol_driver_rootfs(f->drv, c.mount_id, &fs, &err), &err);
    assert_ok(ol_rootfs_lstat(fs, "dev", &st, &err), &err);
    assert_true(S_ISDIR(st.st_mode));
    assert_ok(ol_rootfs_lstat(fs, "etc", &st, &err), &err);
    assert_true(S_ISDIR(st.st_mode));
    assert_ok(ol_rootfs_close(fs, &err), &err);
    assert_absent(f->dir.fd, "pts");
    assert_absent(f->dir.fd, "console");
    assert_absent(f->dir.fd, "outside/hosts");
}

static void container__comes_stays_and_goes(struct store_fixture *f, const struct engine *engine)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    struct ol_store_container again;

    fixture_assert_holds(f, 1, 1);
    assert_int_equal(ol_store_layer_remove(f->store, image.chain_id, &err), -EBUSY);
    fixture_reopen(f, engine->spec, engine->view);
    assert_ok(ol_store_container_get(f->store, c.id, &again, &err), &err);
    assert_memory_equal(&c, &again, sizeof c);
    assert_int_equal(ol_store_layer_remove(f->store, image.chain_id, &err), -EBUSY);
    assert_ok(ol_store_container_remove(f->store, c.id, &err), &err);
    fixture_assert_holds(f, 1, 0);
    assert_int_equal(ol_store_container_remove(f->store, c.id, &err), -ENOENT);
    assert_ok(ol_store_layer_remove(f->store, image.chain_id, &err), &err);
    fixture_assert_holds(f, 0, 0);
}

static void commit__adds_the_containers_changes(struct store_fixture *f,
                                                const struct engine *engine)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    struct ol_store_commit commit;

    (void)engine;
    change(f, &c, "etc/new", "written", 7);
    assert_ok(ol_store_commit(f->store, c.id, &commit, &err), &err);
    assert_false(commit.empty);
    assert_false(commit.existed);
    assert_string_equal(commit.layer.parent, image.chain_id);
    assert_string_equal(commit.layer.diff_id, commit.diff.diff_id);
    assert_int_equal(commit.apply.layer.whiteouts, 1);
    assert_int_equal(commit.apply.layer.regular, 1);
    assert_layer_has(f, commit.layer.cache_id, "etc/new", "written");
    assert_layer_has(f, commit.layer.cache_id, "etc/gone", NULL);
    assert_layer_has(f, commit.layer.cache_id, "etc/keep", "kept\n");
    assert_layer_has(f, commit.layer.cache_id, "etc/hosts", "image hosts\n");
    assert_true(commit.times.create_ns > 0 && commit.times.diff_ns > 0 &&
                commit.times.apply_ns > 0 && commit.times.metadata_ns > 0);
    assert_true(commit.times.total_ns >= commit.times.diff_ns);
    fixture_assert_holds(f, 2, 1);
}

/* work/work/#N: what a deletion leaves when the whiteout it became was written over again. */
static unsigned cached_whiteouts(struct store_fixture *f, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_fd int fd = -1;
    struct ol_tree_usage usage;

    assert_true(asprintf(&path, "%s/%s/work", ol_driver_home(f->drv), id) > 0);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(ol_tree_usage(fd, false, &usage, &err), &err);
    return (unsigned)usage.whiteouts;
}

/* The mount that is held for the export empties work/work; the direct view must count the same. */
static void commit__drops_the_cached_whiteout(struct store_fixture *f, const struct engine *engine)
{
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_store_commit result;
    struct ol_rootfs *fs = NULL;

    if (strcmp(engine->spec, "vfs") == 0)
        return; /* no overlay, no work directory */
    assert_ok(ol_driver_rootfs(f->drv, c.mount_id, &fs, &err), &err);
    assert_ok(ol_rootfs_unlink(fs, "etc/keep", &err), &err);
    assert_ok(ol_rootfs_create(fs, "etc/keep", 0644, "new", 3, &err), &err);
    assert_ok(ol_rootfs_close(fs, &err), &err);
    assert_int_equal(cached_whiteouts(f, c.mount_id), 1);
    assert_ok(ol_store_commit(f->store, c.id, &result, &err), &err);
    assert_int_equal(cached_whiteouts(f, c.mount_id), 0);
}

static void commit__of_nothing_adds_no_layer(struct store_fixture *f, const struct engine *engine)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    struct ol_store_commit commit;

    (void)engine;
    assert_ok(ol_store_commit(f->store, c.id, &commit, &err), &err);
    assert_true(commit.empty);
    assert_string_equal(commit.diff.diff_id, OL_EMPTY_DIFF_ID);
    assert_memory_equal(&commit.layer, &image, sizeof image);
    fixture_assert_holds(f, 1, 1);
}

/* The driver's calls fail one after the other; whatever failed, nothing is left of the commit, no
 * descriptor, no thread, and the next commit works. */
static void commit__failed_driver_call_leaves_nothing(struct store_fixture *f,
                                                      const struct engine *engine)
{
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    const size_t fds = count_fds();
    const size_t threads = count_threads();
    unsigned long n = 0;
    bool delivered = true;

    (void)engine;
    change(f, &c, "etc/new", "written", 7);
    while (delivered && n < 100) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_store_commit commit;
        int r;
        ol_driver_fault_arm(f->drv, ++n);
        r = ol_store_commit(f->store, c.id, &commit, &err);
        delivered = ol_driver_fault_delivered(f->drv);
        ol_driver_fault_arm(f->drv, 0);
        if (delivered) {
            assert_int_equal(r, -EIO);
            assert_message(&err, "was told to fail"); /* the cause, not what followed */
        } else {
            assert_ok(r, &err);
            assert_ok(ol_store_layer_remove(f->store, commit.layer.chain_id, &err), &err);
        }
        fixture_assert_holds(f, 1, 1);
        assert_int_equal(count_fds(), fds);
        assert_int_equal(count_threads(), threads);
    }
    assert_false(delivered);
    assert_true(n > 3);
}

static void container__failed_driver_call_leaves_nothing(struct store_fixture *f,
                                                         const struct engine *engine)
{
    const struct ol_store_layer image = add_image(f);
    const size_t fds = count_fds();
    unsigned long n = 0;
    bool delivered = true;

    (void)engine;
    while (delivered && n < 100) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_store_container c;
        int r;
        ol_driver_fault_arm(f->drv, ++n);
        r = ol_store_container_create(f->store, image.chain_id, &c, &err);
        delivered = ol_driver_fault_delivered(f->drv);
        ol_driver_fault_arm(f->drv, 0);
        if (delivered) {
            assert_int_equal(r, -EIO);
            assert_message(&err, "was told to fail");
        } else {
            assert_ok(r, &err);
            assert_ok(ol_store_container_remove(f->store, c.id, &err), &err);
        }
        fixture_assert_holds(f, 1, 0);
        assert_int_equal(count_fds(), fds);
    }
    assert_false(delivered);
}

/* Every call of the helpers that changes the world fails once, in either thread. */
static void commit__failed_helper_leaves_nothing(struct store_fixture *f,
                                                 const struct engine *engine)
{
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    const size_t fds = count_fds();
    unsigned long n = 0;
    bool delivered = true;

    change(f, &c, "etc/new", "written", 7);
    while (delivered && n < 1000) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_store_commit commit;
        int r;
        ol_fault_arm(++n);
        r = ol_store_commit(f->store, c.id, &commit, &err);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        if (r == 0) /* some failures are only logged, as an unmount's */
            assert_ok(ol_store_layer_remove(f->store, commit.layer.chain_id, &err), &err);
        else
            assert_non_null(err.message);
        assert_int_equal(count_fds(), fds);
        assert_int_equal(fixture_records(f, "sha256"), 1);
    }
    assert_false(delivered);
    fixture_reopen(f, engine->spec, engine->view);
    fixture_assert_holds(f, 1, 1);
}

/* More than a pipe holds is still to be written when ApplyDiff fails: the writer must see that its
 * reader is gone, as EPIPE and not as a signal (the default action of SIGPIPE is in force). */
static void commit__survives_a_reader_that_ends_early(struct store_fixture *f,
                                                      const struct engine *engine)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer image = add_image(f);
    const struct ol_store_container c = add_container(f, image.chain_id);
    const size_t len = 8u << 20;
    ol_auto_free char *big = calloc(1, len);
    struct ol_store_commit commit;
    bool failed = false;

    (void)engine;
    (void)signal(SIGPIPE, SIG_DFL);
    assert_non_null(big);
    change(f, &c, "etc/big", big, len);
    /* diff and apply_diff run at the same time: which of them is call 3 and which 4 varies */
    for (unsigned n = 0; n < 200 && !failed; n++) {
        int r;
        ol_driver_fault_arm(f->drv, 3 + n % 2);
        r = ol_store_commit(f->store, c.id, &commit, &err);
        assert_int_equal(r, -EIO);
        failed = strstr(ol_error_text(&err), "(apply_diff)") != NULL;
        assert_message(&err, "was told to fail");
    }
    assert_true(failed);
    ol_driver_fault_arm(f->drv, 0);
}

static void commit__refuses_an_unknown_container(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct store_fixture f;
    struct ol_store_commit commit;

    (void)state;
    fixture_open(&f, "vfs", OL_VIEW_DIRECT);
    assert_int_equal(ol_store_commit(f.store, "../x", &commit, &err), -ENOENT);
    assert_message(&err, "'../x'");
    fixture_close(&f);
}

static void commit__works_on_a_driver_that_keeps_nothing(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct store_fixture f;
    struct ol_store_layer image;
    struct ol_store_container c;
    struct ol_store_commit commit;

    (void)state;
    fixture_open(&f, "null", OL_VIEW_DIRECT);
    image = add_image(&f);
    c = add_container(&f, image.chain_id);
    assert_ok(ol_store_commit(f.store, c.id, &commit, &err), &err);
    assert_true(commit.empty);
    fixture_close(&f);
}

static const struct test_case cases[] = {
    {"initlayer__prepares_what_a_runtime_mounts_on", initlayer__prepares_what_a_runtime_mounts_on},
    {"initlayer__replaces_symlinked_directories", initlayer__replaces_symlinked_directories},
    {"container__comes_stays_and_goes", container__comes_stays_and_goes},
    {"commit__adds_the_containers_changes", commit__adds_the_containers_changes},
    {"commit__drops_the_cached_whiteout", commit__drops_the_cached_whiteout},
    {"commit__of_nothing_adds_no_layer", commit__of_nothing_adds_no_layer},
    {"commit__failed_driver_call_leaves_nothing", commit__failed_driver_call_leaves_nothing},
    {"container__failed_driver_call_leaves_nothing", container__failed_driver_call_leaves_nothing},
    {"commit__failed_helper_leaves_nothing", commit__failed_helper_leaves_nothing},
    {"commit__survives_a_reader_that_ends_early", commit__survives_a_reader_that_ends_early},
};

enum { BOUND = OL_ARRAY_LEN(cases) * OL_ARRAY_LEN(engines) };

static int setup(void **state)
{
    struct bound *b = *state;

    memset(&b->fixture, 0, sizeof b->fixture);
    b->fixture.dir.fd = -1;
    return 0;
}

static int teardown(void **state)
{
    struct bound *b = *state;

    if (b->fixture.dir.path != NULL)
        fixture_close(&b->fixture);
    return 0;
}

static void run(void **state)
{
    struct bound *b = *state;

    if (b->engine->view == OL_VIEW_KERNEL && !can_mount_overlay())
        ol_require_failed("can_mount_overlay", b->name, "mounting overlayfs needs CAP_SYS_ADMIN");
    fixture_open(&b->fixture, b->engine->spec, b->engine->view);
    b->test->run(&b->fixture, b->engine);
}

int main(void)
{
    static struct bound bound[BOUND];
    struct CMUnitTest tests[BOUND + 2] = {
        cmocka_unit_test(commit__refuses_an_unknown_container),
        cmocka_unit_test(commit__works_on_a_driver_that_keeps_nothing),
    };
    int failed;

    for (size_t i = 0; i < BOUND; i++) {
        struct bound *b = &bound[i];
        b->test = &cases[i / OL_ARRAY_LEN(engines)];
        b->engine = &engines[i % OL_ARRAY_LEN(engines)];
        if (asprintf(&b->name, "%s [%s, %s]", b->test->name, b->engine->spec,
                     ol_view_name(b->engine->view)) < 0)
            return 1;
        tests[i + 2] = (struct CMUnitTest){b->name, run, setup, teardown, b};
    }
    failed = cmocka_run_group_tests_name("commit", tests, NULL, NULL);
    for (size_t i = 0; i < BOUND; i++)
        free(bound[i].name);
    return failed;
}
