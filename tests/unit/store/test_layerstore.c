/* SPDX-License-Identifier: Apache-2.0 */
/* store/layerstore.c, layerdb.c, register.c: layers come, stay and go, whatever fails. */
#include "fixture.h"

#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DRIVER "vfs"
#define VIEW   OL_VIEW_DIRECT

static int setup(void **state)
{
    struct store_fixture *f = malloc(sizeof *f);

    fixture_open(f, DRIVER, VIEW);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static void layerstore__register_computes_chain_ids(void **state)
{
    struct store_fixture *f = *state;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer top = fixture_add(f, base.chain_id, "b", "2");
    char want[OL_DIGEST_SIZE];

    assert_string_equal(base.chain_id, base.diff_id);
    assert_string_equal(base.parent, "");
    assert_int_equal(base.depth, 1);
    assert_int_equal(ol_chain_id(base.chain_id, top.diff_id, want, NULL), 0);
    assert_string_equal(top.chain_id, want);
    assert_string_equal(top.parent, base.chain_id);
    assert_int_equal(top.depth, 2);
    assert_int_equal(top.size_bytes, 1);
    fixture_assert_holds(f, 2, 0);
}

/* The format other programs read: docs/formats/layerdb.md. */
static void layerstore__files_are_as_documented(void **state)
{
    struct store_fixture *f = *state;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer top = fixture_add(f, base.chain_id, "b", "12345");
    ol_auto_free char *dir = NULL;
    ol_auto_fd int fd = -1;

    assert_true(asprintf(&dir, "db/sha256/%s", ol_digest_hex(top.chain_id)) > 0);
    fd = openat(f->dir.fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_content(fd, "diff", top.diff_id);
    assert_content(fd, "cache-id", top.cache_id);
    assert_content(fd, "parent", base.chain_id);
    assert_content(fd, "size", "5");
    free(dir);
    assert_true(asprintf(&dir, "db/sha256/%s/parent", ol_digest_hex(base.chain_id)) > 0);
    assert_absent(f->dir.fd, dir);
}

static int collect(const struct ol_store_layer *layer, void *data)
{
    struct ol_store_layer *list = data;

    while (list->chain_id[0] != '\0')
        list++;
    *list = *layer;
    return 0;
}

static void layerstore__reload_gives_the_same_layers(void **state)
{
    struct store_fixture *f = *state;
    struct ol_store_layer before[4] = {0};
    struct ol_store_layer after[4] = {0};
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer top = fixture_add(f, base.chain_id, "b", "2");

    (void)fixture_add(f, top.chain_id, "c", "3");
    assert_int_equal(ol_store_layer_list(f->store, collect, before, NULL), 0);
    fixture_reopen(f, DRIVER, VIEW);
    assert_int_equal(ol_store_layer_list(f->store, collect, after, NULL), 0);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(ol_store_layer_remove(f->store, base.chain_id, NULL), -EBUSY);
}

static void layerstore__same_layer_twice_is_kept_once(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer first = fixture_add(f, NULL, "a", "1");
    struct ol_store_layer second;
    struct tarball tar = TARBALL_INIT;
    struct ol_input input;
    bool existed = false;

    tarball_add_file(&tar, "a", "1");
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    assert_ok(ol_store_register(f->store, NULL, &input, NULL, &second, NULL, NULL, &existed, &err),
              &err);
    assert_true(existed);
    assert_memory_equal(&first, &second, sizeof first);
    fixture_assert_holds(f, 1, 0);
    tarball_fini(&tar);
}

static void refuse(struct store_fixture *f, const char *parent, struct tarball *tar,
                   const char *want_diff_id, int want, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_input input = OL_INPUT_FD(tarball_fd(tar));
    struct ol_store_layer layer;
    int r = ol_store_register(f->store, parent, &input, want_diff_id, &layer, NULL, NULL, NULL,
                              &err);

    assert_int_equal(r, want);
    assert_message(&err, text);
    tarball_fini(tar);
}

static void layerstore__refuses_another_diff_id(void **state)
{
    struct store_fixture *f = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_file(&tar, "a", "1");
    tarball_end(&tar);
    refuse(f, NULL, &tar, OL_EMPTY_DIFF_ID, -EBADMSG, OL_EMPTY_DIFF_ID);
    fixture_assert_holds(f, 0, 0);
}

static void layerstore__refuses_a_cut_layer(void **state)
{
    struct store_fixture *f = *state;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    struct tarball tar = TARBALL_INIT;

    tarball_add_file(&tar, "cut", "some content");
    tarball_end(&tar);
    tarball_cut(&tar, 1024 + TARBALL_BLOCK - 6); /* inside the content */
    refuse(f, base.chain_id, &tar, NULL, -EBADMSG, "cut");
    fixture_assert_holds(f, 1, 0);
}

static void layerstore__refuses_a_missing_parent(void **state)
{
    struct store_fixture *f = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_end(&tar);
    refuse(f, OL_EMPTY_DIFF_ID, &tar, NULL, -ENOENT, OL_EMPTY_DIFF_ID);
    fixture_assert_holds(f, 0, 0);
}

/* The null driver keeps nothing, but what is registered over it has its true DiffID. */
static void layerstore__null_driver_digests_what_it_drops(void **state)
{
    struct store_fixture *f = *state;
    struct store_fixture null;
    const struct ol_store_layer real = fixture_add(f, NULL, "a", "content");
    struct ol_store_layer layer;

    fixture_open(&null, "null", VIEW);
    layer = fixture_add(&null, NULL, "a", "content");
    assert_string_equal(layer.diff_id, real.diff_id);
    fixture_close(&null);
}

static void layerstore__refuses_the_126th_layer(void **state)
{
    struct store_fixture f;
    struct ol_store_layer layer = {.chain_id = ""};
    struct tarball tar = TARBALL_INIT;

    (void)state;
    fixture_open(&f, "null", VIEW);
    for (int i = 0; i < OL_MAX_IMAGE_LAYERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        layer = fixture_add(&f, i > 0 ? layer.chain_id : NULL, name, "");
    }
    assert_int_equal(layer.depth, OL_MAX_IMAGE_LAYERS);
    tarball_end(&tar);
    refuse(&f, layer.chain_id, &tar, NULL, -E2BIG, "125");
    fixture_close(&f);
}

static void layerstore__remove_needs_no_children(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer top = fixture_add(f, base.chain_id, "b", "2");

    assert_int_equal(ol_store_layer_remove(f->store, base.chain_id, &err), -EBUSY);
    assert_message(&err, base.chain_id);
    fixture_assert_holds(f, 2, 0);
    assert_ok(ol_store_layer_remove(f->store, top.chain_id, &err), &err);
    assert_ok(ol_store_layer_remove(f->store, base.chain_id, &err), &err);
    fixture_assert_holds(f, 0, 0);
    assert_int_equal(ol_store_layer_remove(f->store, base.chain_id, &err), -ENOENT);
}

static void layerstore__second_opener_is_told(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_store *second = NULL;

    assert_int_equal(ol_store_open(f->db, f->drv, NULL, &second, &err), -EBUSY);
    assert_message(&err, "in use by another process");
}

/* Put junk into one file of a layer: the store must refuse and name the file. */
static void refuse_damage(struct store_fixture *f, const char *record, const char *file,
                          const char *junk)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_free char *good = NULL;
    struct ol_store *store = NULL;

    assert_true(asprintf(&path, "db/%s/%s", record, file) > 0);
    good = test_read(f->dir.fd, path);
    test_write(f->dir.fd, path, junk);
    assert_int_equal(ol_store_open(f->db, f->drv, NULL, &store, &err), -EBADMSG);
    assert_message(&err, file);
    test_write(f->dir.fd, path, good);
}

static void layerstore__refuses_damaged_files(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer top = fixture_add(f, base.chain_id, "b", "2");
    struct ol_store_container c;
    char layer[80];
    char mount[80];

    assert_ok(ol_store_container_create(f->store, top.chain_id, &c, &err), &err);
    (void)snprintf(layer, sizeof layer, "sha256/%s", ol_digest_hex(top.chain_id));
    (void)snprintf(mount, sizeof mount, "mounts/%s", c.id);
    ol_store_close(f->store);
    f->store = NULL;
    refuse_damage(f, layer, "diff", "sha256:../../../etc");
    refuse_damage(f, layer, "diff", OL_EMPTY_DIFF_ID);
    refuse_damage(f, layer, "parent", "");
    refuse_damage(f, layer, "cache-id", "../../../../etc");
    refuse_damage(f, layer, "cache-id", "");
    refuse_damage(f, layer, "size", "-1");
    refuse_damage(f, layer, "size", "99999999999999999999999");
    refuse_damage(f, layer, "size", "12 ");
    refuse_damage(f, mount, "mount-id", "abc");
    refuse_damage(f, mount, "init-id", "x-init");
    refuse_damage(f, mount, "parent", "sha256:");
    fixture_reopen(f, DRIVER, VIEW);
    fixture_assert_holds(f, 2, 1);
}

static void layerstore__refuses_two_owners_of_one_driver_layer(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer top = fixture_add(f, base.chain_id, "b", "2");
    char path[128];
    struct ol_store *store = NULL;

    (void)snprintf(path, sizeof path, "db/sha256/%s/cache-id", ol_digest_hex(top.chain_id));
    ol_store_close(f->store);
    f->store = NULL;
    test_write(f->dir.fd, path, base.cache_id);
    assert_int_equal(ol_store_open(f->db, f->drv, NULL, &store, &err), -EBADMSG);
    assert_message(&err, "two owners");
}

static void layerstore__open_finishes_what_was_left(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_layer keep = fixture_add(f, NULL, "a", "1");
    const struct ol_store_layer gone = fixture_add(f, keep.chain_id, "b", "2");
    char id[OL_HEX_SIZE];
    char from[128];
    char to[256];

    /* killed while registering: a write set and its driver layer */
    assert_ok(ol_random_id(id, &err), &err);
    (void)snprintf(to, sizeof to, "db/tmp/write-set-%s", id);
    test_mkdir(f->dir.fd, to, 0700);
    assert_ok(ol_driver_create(f->drv, &(struct ol_layer_spec){.id = id}, &err), &err);
    /* killed while removing: renamed aside, the driver layer still there */
    (void)snprintf(from, sizeof from, "db/sha256/%s", ol_digest_hex(gone.chain_id));
    (void)snprintf(to, sizeof to, "%s-%s-removing", from, gone.cache_id);
    assert_int_equal(renameat(f->dir.fd, from, f->dir.fd, to), 0);
    fixture_reopen(f, DRIVER, VIEW);
    fixture_assert_holds(f, 1, 0);
    assert_ok(ol_store_layer_remove(f->store, keep.chain_id, &err), &err);
}

/* Every call that changes the world fails once: each time nothing is left. */
static void layerstore__failed_register_leaves_nothing(void **state)
{
    struct store_fixture *f = *state;
    const struct ol_store_layer base = fixture_add(f, NULL, "a", "1");
    struct tarball tar = TARBALL_INIT;
    unsigned long n = 0;
    bool delivered = true;

    tarball_add_dir(&tar, "d/");
    tarball_add_file(&tar, "d/f", "content");
    tarball_end(&tar);
    while (delivered && n < 1000) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        const struct ol_input input = OL_INPUT_FD(tarball_fd(&tar));
        struct ol_store_layer layer;
        int r;
        ol_fault_arm(++n);
        r = ol_store_register(f->store, base.chain_id, &input, NULL, &layer, NULL, NULL, NULL,
                              &err);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        if (r < 0)
            assert_non_null(err.message);
        else
            assert_ok(ol_store_layer_remove(f->store, layer.chain_id, &err), &err);
        fixture_assert_holds(f, 1, 0);
    }
    assert_false(delivered);
#if OL_FAULTS
    assert_true(n > 5);
#endif
    tarball_fini(&tar);
}

/* On a file system of its own with this much room: a layer that does not fit leaves nothing, one
 * that does goes in afterwards. */
static void fill(const char *options, size_t files, size_t bytes)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct store_fixture f = {.dir = {NULL, -1}};
    struct tarball tar = TARBALL_INIT;
    struct ol_input input;
    struct ol_store_layer layer;

    test_dir_make(&f.dir);
    if (mount("tmpfs", f.dir.path, "tmpfs", 0, options) < 0)
        fail_msg("cannot mount a tmpfs: %s", strerror(errno));
    assert_true(asprintf(&f.home, "%s/home", f.dir.path) > 0);
    assert_true(asprintf(&f.db, "%s/db", f.dir.path) > 0);
    fixture_reopen(&f, DRIVER, VIEW);
    (void)fixture_add(&f, NULL, "fits", "x");
    for (size_t i = 0; i < files; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "f%zu", i);
        tarball_add_bytes(&tar, name, NULL, bytes);
    }
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    assert_int_equal(ol_store_register(f.store, NULL, &input, NULL, &layer, NULL, NULL, NULL, &err),
                     -ENOSPC);
    assert_message(&err, "No space left on device");
    fixture_assert_holds(&f, 1, 0);
    (void)fixture_add(&f, NULL, "fits too", "y");
    fixture_assert_holds(&f, 2, 0);
    tarball_fini(&tar);
    fixture_shut(&f);
    assert_int_equal(umount2(f.dir.path, MNT_DETACH), 0);
    fixture_close(&f);
}

static void layerstore__full_disk_leaves_nothing(void **state)
{
    (void)state;
    OL_REQUIRE(can_mount_overlay, "mounting a tmpfs needs CAP_SYS_ADMIN");
    fill("size=2m", 40, 1 << 20);
}

static void layerstore__no_inodes_leaves_nothing(void **state)
{
    (void)state;
    OL_REQUIRE(can_mount_overlay, "mounting a tmpfs needs CAP_SYS_ADMIN");
    fill("nr_inodes=60", 100, 0);
}

/* A failed removal leaves a layer that is gone, and that the next start finishes. */
static void layerstore__failed_removal_is_finished_at_open(void **state)
{
    struct store_fixture *f = *state;
    unsigned long n = 0;
    int r = -1;

    while (r != 0) {
        const struct ol_store_layer layer = fixture_add(f, NULL, "a", "1");
        ol_fault_arm(++n);
        r = ol_store_layer_remove(f->store, layer.chain_id, NULL);
        ol_fault_arm(0);
        if (ol_store_layer_get(f->store, layer.chain_id, &(struct ol_store_layer){0}, NULL) == 0)
            assert_int_equal(ol_store_layer_remove(f->store, layer.chain_id, NULL), 0);
        fixture_reopen(f, DRIVER, VIEW);
        fixture_assert_holds(f, 0, 0);
        assert_true(n < 1000);
    }
}

/* What a child does until it is killed: layers and containers come and go. */
static void churn(struct store_fixture *f)
{
    for (unsigned i = 0;; i++) {
        struct ol_store_container c;
        struct ol_store_layer layer;
        char name[16];
        (void)snprintf(name, sizeof name, "f%u", i);
        layer = fixture_add(f, NULL, name, name);
        if (ol_store_container_create(f->store, layer.chain_id, &c, NULL) == 0 &&
            ol_store_container_remove(f->store, c.id, NULL) == 0 && i % 2 == 0)
            (void)ol_store_layer_remove(f->store, layer.chain_id, NULL);
    }
}

static void layerstore__a_kill_at_any_time_leaves_whole_layers(void **state)
{
    struct store_fixture *f = *state;

    fixture_shut(f);
    for (unsigned i = 0; i < 25; i++) {
        pid_t pid = fork();
        int status = 0;
        assert_true(pid >= 0);
        if (pid == 0) {
            fixture_reopen(f, DRIVER, VIEW);
            churn(f);
            _exit(1);
        }
        (void)usleep(3000 + 1700 * i);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        fixture_reopen(f, DRIVER, VIEW);
        fixture_assert_holds(f, fixture_records(f, "sha256"), fixture_records(f, "mounts"));
        fixture_shut(f);
    }
}

static void layerstore__reports_times(void **state)
{
    struct store_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;
    struct ol_store_times t;
    struct ol_apply_result apply;
    struct ol_input input;

    tarball_add_file(&tar, "a", "12345");
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    assert_ok(ol_store_register(f->store, NULL, &input, NULL, &layer, &apply, &t, NULL, &err),
              &err);
    assert_true(t.create_ns > 0 && t.apply_ns > 0 && t.metadata_ns > 0);
    assert_int_equal(t.diff_ns, 0);
    assert_true(t.total_ns >= t.create_ns + t.apply_ns + t.metadata_ns);
    assert_int_equal(apply.layer.regular, 1);
    tarball_fini(&tar);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(layerstore__register_computes_chain_ids),
        TEST(layerstore__files_are_as_documented),
        TEST(layerstore__reload_gives_the_same_layers),
        TEST(layerstore__same_layer_twice_is_kept_once),
        TEST(layerstore__refuses_another_diff_id),
        TEST(layerstore__refuses_a_cut_layer),
        TEST(layerstore__refuses_a_missing_parent),
        TEST(layerstore__null_driver_digests_what_it_drops),
        cmocka_unit_test(layerstore__refuses_the_126th_layer),
        TEST(layerstore__remove_needs_no_children),
        TEST(layerstore__second_opener_is_told),
        TEST(layerstore__refuses_damaged_files),
        TEST(layerstore__refuses_two_owners_of_one_driver_layer),
        TEST(layerstore__open_finishes_what_was_left),
        TEST(layerstore__failed_register_leaves_nothing),
        cmocka_unit_test(layerstore__full_disk_leaves_nothing),
        cmocka_unit_test(layerstore__no_inodes_leaves_nothing),
        TEST(layerstore__failed_removal_is_finished_at_open),
        TEST(layerstore__a_kill_at_any_time_leaves_whole_layers),
        TEST(layerstore__reports_times),
    };

    return cmocka_run_group_tests_name("layerstore", tests, NULL, NULL);
}
