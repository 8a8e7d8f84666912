/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The equivalence suite: the same layers through every driver give the same merged tree - type,
 * mode, owner, times, xattrs, links, content. The plain copies of vfs are what the others are held
 * against. Every layer of a chain is looked at again when the chain is complete, so that a driver
 * that shares inodes cannot change an older layer unseen.
 */
#include "chain.h"
#include "support/support.h"
#include "support/tarball.h"
#include "support/treecmp.h"

#include "drivers/rootfs.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHAIN_MAX = 12 };

struct engine {
    const char *spec;
    struct test_dir dir;
    struct ol_driver *drv;
    struct ol_store *store;
    struct ol_store_layer layers[CHAIN_MAX];
    char *trees[CHAIN_MAX]; /* owned; described right after the layer was registered */
    size_t count;
};

/* Where this run is: "--userns" enters a user namespace before anything else. */
static enum ol_view view = OL_VIEW_KERNEL;

static bool can_mount(void)
{
    return view == OL_VIEW_USERNS || can_mount_overlay();
}

static const char *const specs[] = {"vfs", "overlay", "overlay:diff=upper,clone=all", "overlay2"};
enum { ENGINES = OL_ARRAY_LEN(specs) };

static void engine_open(struct engine *e, const char *spec)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;
    ol_auto_free char *db = NULL;
    struct ol_driver_config config = {.view = view, .keep_owner = can_chown()};

    memset(e, 0, sizeof *e);
    e->spec = spec;
    test_dir_make(&e->dir);
    assert_true(asprintf(&home, "%s/home", e->dir.path) > 0);
    assert_true(asprintf(&db, "%s/db", e->dir.path) > 0);
    config.home = home;
    assert_ok(ol_driver_open(spec, &config, &e->drv, &err), &err);
    assert_ok(ol_store_open(db, e->drv, NULL, &e->store, &err), &err);
}

static void engine_close(struct engine *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->trees[i]);
    ol_store_close(e->store);
    ol_driver_close(e->drv);
    test_dir_remove(&e->dir);
}

/* The root directory is left out: one of moby's two engines applies an entry for it, the other
 * ignores it, and neither exports one. */
static char *describe(struct engine *e, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    char *text;

    assert_ok(ol_driver_get(e->drv, id, &path, &err), &err);
    text = treecmp_describe(path, TREECMP_NO_ROOT);
    assert_ok(ol_driver_put(e->drv, id, &err), &err);
    return text;
}

static void engine_apply(struct engine *e, struct tarball *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_input input = OL_INPUT_FD(tarball_fd(tar));
    const char *parent = e->count > 0 ? e->layers[e->count - 1].chain_id : NULL;
    struct ol_store_layer *layer = &e->layers[e->count];

    assert_true(e->count < CHAIN_MAX);
    if (ol_store_register(e->store, parent, &input, NULL, layer, NULL, NULL, NULL, &err) < 0)
        fail_msg("%s, layer %zu: %s", e->spec, e->count, ol_error_text(&err));
    e->trees[e->count++] = describe(e, layer->cache_id);
}

/* All engines of one test. */
struct suite {
    struct engine engines[ENGINES];
};

static void suite_open(struct suite *s)
{
    for (size_t i = 0; i < ENGINES; i++)
        engine_open(&s->engines[i], specs[i]);
}

/* Add one layer to every engine and compare; tar is released. */
static void suite_apply(struct suite *s, struct tarball *tar)
{
    const struct engine *first = &s->engines[0];

    tarball_end(tar);
    for (size_t i = 0; i < ENGINES; i++) {
        struct engine *e = &s->engines[i];
        engine_apply(e, tar);
        assert_trees_equal(first->spec, first->trees[first->count - 1], e->spec,
                           e->trees[e->count - 1]);
    }
    tarball_fini(tar);
    *tar = (struct tarball)TARBALL_INIT;
}

/* The merged tree of the last layer has a line that begins like this. */
static void assert_line(const struct suite *s, const char *start)
{
    const struct engine *e = &s->engines[0];
    const char *text = e->trees[e->count - 1];
    size_t len = strlen(start);

    for (const char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n') + 1)
        if (strncmp(p, start, len) == 0)
            return;
    fail_msg("no line '%s' in:\n%s", start, text);
}

static void assert_no_line(const struct suite *s, const char *start)
{
    const struct engine *e = &s->engines[0];
    const char *text = e->trees[e->count - 1];
    size_t len = strlen(start);

    for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1)
        if (strncmp(p, start, len) == 0)
            fail_msg("there is a line '%s' in:\n%s", start, text);
}

/* Older layers are what they were when they were made. */
static void suite_close(struct suite *s)
{
    for (size_t i = 0; i < ENGINES; i++) {
        struct engine *e = &s->engines[i];
        for (size_t j = 0; j < e->count; j++) {
            ol_auto_free char *now = describe(e, e->layers[j].cache_id);
            assert_trees_equal("before", e->trees[j], "at the end", now);
        }
        engine_close(e);
    }
}

#define REQUIRE_MOUNTS() OL_REQUIRE(can_mount, "mounting overlayfs needs CAP_SYS_ADMIN")

static void equivalence__whiteouts(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_add_dir(&tar, "etc/");
    tarball_add_file(&tar, "etc/a", "a");
    tarball_add_file(&tar, "etc/b", "b");
    tarball_add_dir(&tar, "etc/sub/");
    tarball_add_file(&tar, "etc/sub/x", "x");
    tarball_add_symlink(&tar, "etc/link", "a");
    suite_apply(&s, &tar);
    tarball_add_dir(&tar, "etc/");
    tarball_add_file(&tar, "etc/.wh.a", "");
    tarball_add_file(&tar, "etc/.wh.sub", "");
    tarball_add_file(&tar, "etc/.wh.link", "");
    tarball_add_file(&tar, "etc/.wh.never-there", "");
    suite_apply(&s, &tar);
    assert_no_line(&s, "/etc/a ");
    assert_no_line(&s, "/etc/sub");
    assert_no_line(&s, "/etc/link ");
    assert_line(&s, "/etc/b ");
    tarball_add_dir(&tar, "etc/"); /* what was deleted comes back, empty */
    tarball_add_dir(&tar, "etc/sub/");
    tarball_add_file(&tar, "etc/a", "again");
    suite_apply(&s, &tar);
    assert_line(&s, "/etc/sub dir");
    assert_no_line(&s, "/etc/sub/x");
    assert_line(&s, "/etc/a file size=5");
    suite_close(&s);
}

static void equivalence__whiteout_then_file_of_that_name(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_add_dir(&tar, "d/");
    tarball_add_dir(&tar, "d/x/");
    tarball_add_file(&tar, "d/x/in", "1");
    suite_apply(&s, &tar);
    tarball_add_dir(&tar, "d/");
    tarball_add_file(&tar, "d/.wh.x", "");
    tarball_add_file(&tar, "d/x", "a file now");
    suite_apply(&s, &tar);
    assert_line(&s, "/d/x file");
    suite_close(&s);
}

static void equivalence__opaque_directories(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_add_dir(&tar, "d/");
    tarball_add_file(&tar, "d/old", "1");
    tarball_add_dir(&tar, "d/sub/");
    tarball_add_file(&tar, "d/sub/old", "1");
    suite_apply(&s, &tar);
    tarball_add_dir_mode(&tar, "d/", 0700);
    tarball_add_file(&tar, "d/new", "2");
    tarball_add_dir(&tar, "d/sub/");
    tarball_add_file(&tar, "d/sub/new", "2");
    tarball_add_file(&tar, "d/.wh..wh..opq", ""); /* any position is legal */
    suite_apply(&s, &tar);
    assert_no_line(&s, "/d/old");
    assert_no_line(&s, "/d/sub/old");
    assert_line(&s, "/d/new ");
    assert_line(&s, "/d/sub/new ");
    tarball_add_dir(&tar, "d/"); /* a layer above sees the opaque one, not the first */
    tarball_add_file(&tar, "d/third", "3");
    suite_apply(&s, &tar);
    assert_no_line(&s, "/d/old");
    assert_line(&s, "/d/new ");
    suite_close(&s);
}

static void equivalence__type_changes(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_add_file(&tar, "file-dir", "1");
    tarball_add_dir(&tar, "dir-file/");
    tarball_add_file(&tar, "dir-file/in", "1");
    tarball_add_dir(&tar, "dir-link/");
    tarball_add_file(&tar, "dir-link/in", "1");
    tarball_add_symlink(&tar, "link-dir", "dir-link");
    tarball_add_symlink(&tar, "link-file", "dir-link/in");
    tarball_add_file(&tar, "file-fifo", "1");
    suite_apply(&s, &tar);
    tarball_add_dir(&tar, "file-dir/");
    tarball_add_file(&tar, "file-dir/in", "2");
    tarball_add_file(&tar, "dir-file", "2");
    tarball_add_symlink(&tar, "dir-link", "nowhere");
    tarball_add_dir(&tar, "link-dir/");
    tarball_add_file(&tar, "link-dir/in", "2");
    tarball_add_file(&tar, "link-file", "2");
    tarball_add_fifo(&tar, "file-fifo");
    suite_apply(&s, &tar);
    tarball_add_dir(&tar, "dir-file/"); /* and back: the first content must not come through */
    tarball_add_dir(&tar, "dir-link/");
    suite_apply(&s, &tar);
    assert_line(&s, "/dir-file dir");
    assert_no_line(&s, "/dir-file/in");
    assert_no_line(&s, "/dir-link/in");
    suite_close(&s);
}

static void equivalence__hard_links(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_add_dir(&tar, "d/");
    tarball_add_file(&tar, "d/a", "linked");
    tarball_add_hardlink(&tar, "d/b", "d/a");
    tarball_add_hardlink(&tar, "c", "/d/a");
    suite_apply(&s, &tar);
    assert_line(&s, "/d/a file size=6");
    tarball_add_dir(&tar, "d/"); /* replacing one name leaves the others */
    tarball_add_file(&tar, "d/a", "replaced");
    suite_apply(&s, &tar);
    tarball_add_file(&tar, "e", "new");
    tarball_add_hardlink_mode(&tar, "f", "e", 0640, 7);
    tarball_add_dir(&tar, "d/");
    tarball_add_hardlink_mode(&tar, "d/a", "e", 0640, 7);
    suite_apply(&s, &tar);
    assert_line(&s, "/f file size=3");
    suite_close(&s);
}

static void equivalence__specials_owners_modes_times(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    OL_REQUIRE(can_mknod, "device nodes need CAP_MKNOD");
    suite_open(&s);
    tarball_add_fifo(&tar, "fifo");
    tarball_add_device(&tar, "null", '3', 1, 3);
    tarball_add_device(&tar, "loop", '4', 7, 200);
    tarball_add_file_mode(&tar, "setuid", 04755, "x");
    tarball_add_dir_mode(&tar, "sticky/", 01777);
    tarball_add(
        &tar,
        &(struct tarball_entry){
            .name = "owned", .type = '0', .mode = 0, .uid = 123456, .gid = 4000000000, .mtime = 1});
    tarball_pax_text(&tar, "mtime", "1234567890.987654321");
    tarball_add_file(&tar, "precise", "x");
    tarball_pax_text(&tar, "mtime", "4294967296.5");
    tarball_add_symlink(&tar, "link", "owned");
    suite_apply(&s, &tar);
    assert_line(&s, "/precise file size=1");
    tarball_add_dir_mode(&tar, "sticky/", 02750);
    tarball_add_device(&tar, "fifo", '3', 1, 5);
    tarball_add_file_mode(&tar, "setuid", 0111, "y");
    suite_apply(&s, &tar);
    assert_line(&s, "/sticky dir 2750");
    assert_line(&s, "/fifo char 1:5");
    suite_close(&s);
}

static void equivalence__file_capabilities(void **state)
{
    static const unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
    struct suite s;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_xattr(&tar, "security.capability", capability, sizeof capability);
    tarball_add_file_mode(&tar, "ping", 0755, "x");
    suite_apply(&s, &tar);
    tarball_add_file(&tar, "other", "the next layer copies it, or links it");
    suite_apply(&s, &tar);
    if (strstr(s.engines[0].trees[1], "security.capability=") == NULL)
        print_message("SKIP %s: this file system keeps no file capabilities\n", __func__);
    suite_close(&s);
}

/* moby's tree copy carries security.capability and overlay's own attributes only, so vfs loses
 * user.* in the next layer; the two overlay drivers keep them. */
static void equivalence__user_xattrs_of_the_overlay_drivers(void **state)
{
    struct engine legacy;
    struct engine current;
    struct tarball tar = TARBALL_INIT;

    (void)state;
    REQUIRE_MOUNTS();
    OL_REQUIRE(can_user_xattr, "the file system keeps no user.* attributes");
    engine_open(&legacy, "overlay");
    engine_open(&current, "overlay2");
    for (int layer = 0; layer < 2; layer++) {
        tarball_xattr(&tar, "user.test", "a\0b", 3);
        tarball_xattr(&tar, "trusted.overlay.opaque", "y", 1); /* never taken from an archive */
        tarball_add_file(&tar, layer == 0 ? "f" : "g", "x");
        tarball_end(&tar);
        engine_apply(&legacy, &tar);
        engine_apply(&current, &tar);
        assert_trees_equal("overlay", legacy.trees[layer], "overlay2", current.trees[layer]);
        tarball_fini(&tar);
    }
    assert_non_null(strstr(legacy.trees[1], "user.test=a\\x00b"));
    engine_close(&legacy);
    engine_close(&current);
}

/* W1: a hard-link entry that reaches a file of the layer below, with metadata of its own. overlay2
 * refuses it as moby does; with shared inodes it must not change the older layer. */
static void equivalence__hard_link_into_an_older_layer(void **state)
{
    static const char *const sharing[] = {"vfs", "overlay", "overlay:clone=all"};
    ol_auto_free char *want = NULL;

    (void)state;
    REQUIRE_MOUNTS();
    for (size_t i = 0; i < OL_ARRAY_LEN(sharing); i++) {
        struct engine e;
        struct tarball tar = TARBALL_INIT;
        ol_auto_free char *now = NULL;
        engine_open(&e, sharing[i]);
        tarball_add_dir(&tar, "etc/");
        tarball_add_file_mode(&tar, "etc/secret", 0600, "secret");
        tarball_end(&tar);
        engine_apply(&e, &tar);
        tarball_fini(&tar);
        tarball_add_hardlink_mode(&tar, "h", "etc/secret", 0666, 1000);
        tarball_end(&tar);
        engine_apply(&e, &tar);
        tarball_fini(&tar);
        now = describe(&e, e.layers[0].cache_id);
        assert_trees_equal("before", e.trees[0], "after", now);
        if (want == NULL)
            want = strdup(e.trees[1]);
        assert_trees_equal("vfs", want, e.spec, e.trees[1]);
        engine_close(&e);
    }
}

/* The same changes made in a container, committed: the new layers hold the same tree. */
static void equivalence__commits(void **state)
{
    struct suite s;
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *want = NULL;

    (void)state;
    REQUIRE_MOUNTS();
    suite_open(&s);
    tarball_add_dir(&tar, "etc/");
    tarball_add_file(&tar, "etc/a", "a");
    tarball_add_file(&tar, "etc/b", "b");
    tarball_add_dir(&tar, "etc/sub/");
    tarball_add_file(&tar, "etc/sub/x", "x");
    suite_apply(&s, &tar);
    for (size_t i = 0; i < ENGINES; i++) {
        struct engine *e = &s.engines[i];
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_free char *tree = NULL;
        struct ol_store_container c;
        struct ol_store_commit commit;
        struct ol_rootfs *fs = NULL;
        const struct timespec when = {.tv_sec = 1500000000, .tv_nsec = 0};
        assert_ok(ol_store_container_create(e->store, e->layers[0].chain_id, &c, &err), &err);
        assert_ok(ol_driver_rootfs(e->drv, c.mount_id, &fs, &err), &err);
        assert_ok(ol_rootfs_write(fs, "etc/a", "changed", 7, &err), &err);
        assert_ok(ol_rootfs_unlink(fs, "etc/b", &err), &err);
        assert_ok(ol_rootfs_remove_tree(fs, "etc/sub", &err), &err);
        assert_ok(ol_rootfs_mkdir(fs, "etc/sub", 0750, &err), &err);
        assert_ok(ol_rootfs_create(fs, "etc/sub/new", 0604, "n", 1, &err), &err);
        assert_ok(ol_rootfs_symlink(fs, "a", "etc/link", &err), &err);
        assert_ok(ol_rootfs_link(fs, "etc/a", "etc/hard", &err), &err);
        if (can_chown())
            assert_ok(ol_rootfs_chown(fs, "etc/sub/new", 12, 34, &err), &err);
        assert_ok(ol_rootfs_set_mtime(fs, "etc/a", when, &err), &err);
        assert_ok(ol_rootfs_set_mtime(fs, "etc/sub/new", when, &err), &err);
        assert_ok(ol_rootfs_set_mtime(fs, "etc/link", when, &err), &err);
        assert_ok(ol_rootfs_set_mtime(fs, "etc/sub", when, &err), &err);
        assert_ok(ol_rootfs_set_mtime(fs, "etc", when, &err), &err);
        assert_ok(ol_rootfs_close(fs, &err), &err);
        if (ol_store_commit(e->store, c.id, &commit, &err) < 0)
            fail_msg("%s: %s", e->spec, ol_error_text(&err));
        tree = describe(e, commit.layer.cache_id);
        if (want == NULL)
            want = strdup(tree);
        assert_trees_equal("vfs", want, e->spec, tree);
    }
    assert_null(strstr(want, "/etc/b "));
    assert_null(strstr(want, "/etc/sub/x"));
    assert_non_null(strstr(want, "/etc/sub/new file size=1"));
    suite_close(&s);
}

static void random_chain(uint64_t seed, unsigned layers)
{
    struct chain *chain = chain_new(seed, can_chown(), can_mknod());
    struct suite s;

    print_message("seed %llu\n", (unsigned long long)seed); /* what to run again after a failure */
    suite_open(&s);
    for (unsigned i = 0; i < layers; i++) {
        struct tarball tar = TARBALL_INIT;
        const struct engine *first = &s.engines[0];
        chain_next_layer(chain, &tar);
        for (size_t j = 0; j < ENGINES; j++) {
            struct engine *e = &s.engines[j];
            engine_apply(e, &tar);
            assert_trees_equal(first->spec, first->trees[i], e->spec, e->trees[i]);
        }
        tarball_fini(&tar);
    }
    suite_close(&s);
    chain_free(chain);
}

static void equivalence__random_chains(void **state)
{
    const char *seed = getenv("OL_TEST_SEED");

    (void)state;
    REQUIRE_MOUNTS();
    if (seed != NULL) {
        random_chain(strtoull(seed, NULL, 10), CHAIN_MAX);
        return;
    }
    for (uint64_t i = 1; i <= 12; i++)
        random_chain(i, 3 + (unsigned)(i % (CHAIN_MAX - 2)));
}

/* The whole of it once more where mounts are a user namespace's: false, with the reason printed,
 * when that is not possible here. */
static bool enter_userns(void)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *tmp = getenv("TMPDIR");
    enum ol_view chosen;
    int r = ol_view_choose(tmp != NULL ? tmp : "/tmp", OL_VIEW_USERNS, &chosen, &err);

    if (r == 0)
        r = ol_view_enter_userns(&err);
    if (r < 0)
        print_message("SKIP equivalence__in_a_user_namespace: %s\n", ol_error_text(&err));
    view = OL_VIEW_USERNS;
    return r == 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equivalence__whiteouts),
        cmocka_unit_test(equivalence__whiteout_then_file_of_that_name),
        cmocka_unit_test(equivalence__opaque_directories),
        cmocka_unit_test(equivalence__type_changes),
        cmocka_unit_test(equivalence__hard_links),
        cmocka_unit_test(equivalence__specials_owners_modes_times),
        cmocka_unit_test(equivalence__file_capabilities),
        cmocka_unit_test(equivalence__user_xattrs_of_the_overlay_drivers),
        cmocka_unit_test(equivalence__hard_link_into_an_older_layer),
        cmocka_unit_test(equivalence__commits),
        cmocka_unit_test(equivalence__random_chains),
    };

    if (argc > 1 && strcmp(argv[1], "--userns") == 0 && !enter_userns())
        return 0;
    return cmocka_run_group_tests_name("equivalence", tests, NULL, NULL);
}
