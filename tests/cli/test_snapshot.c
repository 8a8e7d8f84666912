/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab snapshot …" as a user meets it. */
#include "cli/program.h"

#include "support/tarball.h"

#include "common/buf.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
    struct test_dir dir;
    char *root; /* owned: --root=<dir>/root */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->root, "--root=%s/root", f->dir.path) > 0);
    *state = f;
    return 0;
}

#define snapshot(f, ret, ...) program((ret), (f)->root, "snapshot", __VA_ARGS__)

/* It works, prints nothing to stderr; what it printed to stdout is want, unless that is NULL. */
static void assert_worked(const struct program_result *result, const char *want)
{
    if (result->status != 0)
        fail_msg("status %d: %s", result->status, result->err);
    assert_string_equal(result->err, "");
    if (want != NULL)
        assert_string_equal(result->out, want);
}

#define RUN(f, want, ...)                                                                          \
    do {                                                                                           \
        auto_result struct program_result result_ = {0};                                           \
        snapshot((f), &result_, __VA_ARGS__);                                                      \
        assert_worked(&result_, (want));                                                           \
    } while (0)

#define FAILS(f, status_wanted, text, ...)                                                         \
    do {                                                                                           \
        auto_result struct program_result result_ = {0};                                           \
        snapshot((f), &result_, __VA_ARGS__);                                                      \
        assert_int_equal(result_.status, (status_wanted));                                         \
        assert_string_equal(result_.out, "");                                                      \
        if (strstr(result_.err, (text)) == NULL)                                                   \
            fail_msg("'%s' is not in: %s", (text), result_.err);                                   \
    } while (0)

static int teardown(void **state)
{
    struct fixture *f = *state;

    RUN(f, "", "check");
    test_dir_remove(&f->dir);
    free(f->root);
    free(f);
    return 0;
}

/* A layer on stdin. */
static void apply(struct fixture *f, const char *key, const char *parent, const char *file)
{
    ol_auto_free char *in_path = NULL;
    struct tarball tar = TARBALL_INIT;
    struct program_run run = {0};
    auto_result struct program_result result = {0};

    tarball_add_file(&tar, file, "content");
    tarball_end(&tar);
    assert_true(asprintf(&in_path, "/proc/self/fd/%d", tarball_fd(&tar)) > 0);
    run.args = (const char *const[]){f->root, "snapshot", "apply", key, parent, NULL};
    run.in_path = in_path;
    program_run(&run, &result);
    assert_worked(&result, NULL);
    assert_non_null(strstr(result.out, " sha256:"));
    tarball_fini(&tar);
}

static void ls__of_a_new_store_is_empty(void **state)
{
    struct fixture *f = *state;

    RUN(f, "", "ls");
    RUN(f, "", "tree");
    RUN(f, "", "usage");
    RUN(f, "", "cleanup", "--quiet");
}

static void chain__is_made_committed_and_removed(void **state)
{
    struct fixture *f = *state;

    apply(f, "extract a", NULL, "a");
    RUN(f, "", "commit", "sha256:a", "extract a");
    apply(f, "extract b", "sha256:a", "b");
    RUN(f, "", "commit", "sha256:b", "extract b");
    RUN(f, "", "prepare", "container", "sha256:b");
    assert_content(f->dir.fd, "root/snapshot/snapshots/2/fs/b", "content");
    FAILS(f, 1, "cannot remove snapshot 'sha256:a': it has children", "rm", "sha256:a");
    FAILS(f, 1, "'sha256:b' is committed", "mounts", "sha256:b");
    FAILS(f, 1, "snapshot 'x' does not exist", "info", "x");
    FAILS(f, 1, "'container' exists already", "prepare", "container");
    RUN(f, "", "rm", "container", "sha256:b", "sha256:a");
    RUN(f, "", "ls");
    assert_absent(f->dir.fd, "root/snapshot/snapshots/1");
}

static void mounts__are_those_of_containerd(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *want = NULL;

    RUN(f, "", "prepare", "a");
    snapshot(f, &result, "mounts", "a");
    assert_true(asprintf(&want, "bind %s/root/snapshot/snapshots/1/fs rw,rbind\n", f->dir.path) >
                0);
    assert_worked(&result, want);
}

static void tree__shows_children_below_parents(void **state)
{
    struct fixture *f = *state;
    const struct program_run run = {
        .args = (const char *const[]){f->root, "snapshot", "tree", NULL},
        .env = (const char *const[]){"LC_ALL=C.UTF-8", NULL}, /* decides what is drawn with */
    };
    auto_result struct program_result result = {0};

    RUN(f, "", "prepare", "k");
    RUN(f, "", "commit", "z-base", "k");
    RUN(f, "", "prepare", "k", "z-base");
    RUN(f, "", "commit", "m-middle", "k");
    RUN(f, "", "prepare", "a-container", "m-middle");
    RUN(f, "", "view", "look", "m-middle");
    RUN(f, "", "prepare", "other", "z-base");
    RUN(f, "", "prepare", "alone");
    program_run(&run, &result);
    assert_worked(&result, NULL);
    assert_golden("snapshot-tree.txt", result.out);
}

static void labels__are_set_removed_and_filtered(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result json = {0};
    json_t *root;

    RUN(f, "", "prepare", "a", "--label", "x=1", "-l", "y=2");
    RUN(f, "", "prepare", "b", "-l", "x=2");
    RUN(f, "", "label", "a", "y=", "z=with=equals");
    snapshot(f, &json, "info", "a", "--json");
    assert_worked(&json, NULL);
    root = json_loads(json.out, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "kind")), "Active");
    assert_string_equal(json_string_value(json_object_get(root, "schema")),
                        "overlab.snapshot.info/1");
    assert_int_equal(json_object_size(json_object_get(root, "labels")), 2);
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "labels"), "z")),
                        "with=equals");
    assert_int_equal(json_integer_value(json_object_get(root, "inodes")), 1);
    json_decref(root);
    for (unsigned i = 0; i < 2; i++) {
        auto_result struct program_result ls = {0};

        snapshot(f, &ls, "ls", i == 0 ? "labels.x==1" : "labels.none",
                 i == 0 ? "name==c" : "name==b");
        assert_worked(&ls, NULL);
        assert_non_null(strstr(ls.out, i == 0 ? "\na" : "\nb"));
        assert_null(strstr(ls.out, i == 0 ? "\nb" : "\na"));
    }
    FAILS(f, 1, "filter 'kind='", "ls", "kind=");
}

static void rm__leaves_files_to_cleanup_when_asked(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    RUN(f, "", "prepare", "a");
    RUN(f, "", "rm", "--async", "a");
    assert_present(f->dir.fd, "root/snapshot/snapshots/1/fs");
    snapshot(f, &result, "cleanup");
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err, "overlab snapshot cleanup: 1 directories removed\n");
    assert_absent(f->dir.fd, "root/snapshot/snapshots/1");
}

static void apply__of_a_broken_layer_leaves_no_snapshot(void **state)
{
    struct fixture *f = *state;
    const struct program_run run = {
        .args = (const char *const[]){f->root, "snapshot", "apply", "new", NULL}};
    auto_result struct program_result result = {0};

    program_run(&run, &result); /* from /dev/null */
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "standard input is empty"));
    RUN(f, "", "ls");
}

static void mount__on_a_directory(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *target = NULL;
    bool mounted;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    assert_true(asprintf(&target, "%s/m", f->dir.path) > 0);
    test_mkdir(f->dir.fd, "m", 0755);
    apply(f, "k", NULL, "from-below");
    RUN(f, "", "commit", "c", "k");
    RUN(f, "", "prepare", "a", "c");
    FAILS(f, 1, "cannot mount on '/nonexistent'", "mount", "a", "/nonexistent");
    RUN(f, "", "mount", "a", target);
    mounted = ol_mount_is_point(target);
    if (mounted) {
        assert_content(f->dir.fd, "m/from-below", "content");
        test_write(f->dir.fd, "m/above", "new");
        assert_int_equal(ol_mount_detach(target, NULL), 0);
    }
    assert_true(mounted);
    assert_content(f->dir.fd, "root/snapshot/snapshots/2/fs/above", "new");
}

static void database__that_is_damaged_is_named(void **state)
{
    struct fixture *f = *state;
    char junk[8192];

    memset(junk, 'x', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    RUN(f, "", "prepare", "a");
    assert_int_equal(renameat(f->dir.fd, "root/snapshot/metadata.mdb", f->dir.fd, "saved"), 0);
    test_write(f->dir.fd, "root/snapshot/metadata.mdb", junk);
    FAILS(f, 1, "metadata.mdb' is no database", "ls");
    assert_int_equal(renameat(f->dir.fd, "saved", f->dir.fd, "root/snapshot/metadata.mdb"), 0);
    RUN(f, NULL, "info", "a");
}

static void check__finds_a_missing_directory(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    RUN(f, "", "prepare", "a");
    assert_int_equal(unlinkat(f->dir.fd, "root/snapshot/snapshots/1/work", AT_REMOVEDIR), 0);
    snapshot(f, &result, "check");
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.out, "snapshot 'a' has no directory"));
    RUN(f, "", "rm", "a");
}

/* ---- as an engine of compare ---- */

/* "op inodes bytes, …" of an engine's steps; the caller frees it. */
static char *steps_of(const json_t *engine, bool with_bytes)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    const json_t *step;
    size_t i;

    json_array_foreach(json_object_get(engine, "steps"), i, step)
    {
        int r = ol_buf_printf(&text, "%s %lld", json_string_value(json_object_get(step, "op")),
                              (long long)json_integer_value(json_object_get(step, "inodes")));

        assert_int_equal(r, 0);
        if (with_bytes)
            assert_int_equal(
                ol_buf_printf(&text, " %lld",
                              (long long)json_integer_value(json_object_get(step, "bytes"))),
                0);
        assert_int_equal(ol_buf_puts(&text, ", "), 0);
    }
    return ol_buf_steal(&text);
}

/* An image of 3 directories and 3 files; one commit of 2 new files and a changed one. */
static json_t *compare(struct fixture *f, const char *view, const char *with)
{
    auto_result struct program_result result = {0};
    ol_auto_free char *image = NULL;
    ol_auto_free char *view_option = NULL;
    ol_auto_free char *with_option = NULL;
    json_t *json;

    assert_true(asprintf(&image, "%s/image", f->dir.path) > 0);
    assert_true(asprintf(&view_option, "--view=%s", view) > 0);
    assert_true(asprintf(&with_option, "--with=%s", with != NULL ? with : "") > 0);
    if (mkdirat(f->dir.fd, "image", 0755) == 0) {
        test_mkdir(f->dir.fd, "image/a", 0755);
        test_mkdir(f->dir.fd, "image/b", 0755);
        test_write(f->dir.fd, "image/a/1", "1");
        test_write(f->dir.fd, "image/a/2", "2");
        test_write(f->dir.fd, "image/b/3", "3");
    }
    program(&result, f->root, "compare", image, view_option, "--drivers=snapshot", "--commits=1",
            "--changes=add=2,modify=1", "--rounds=1", "--no-warmup", "--quiet", "--json",
            with != NULL ? with_option : NULL);
    if (result.status != 0)
        fail_msg("status %d: %s", result.status, result.err);
    json = json_loads(result.out, 0, NULL);
    assert_non_null(json);
    return json;
}

static void compare_in(struct fixture *f, const char *view)
{
    json_t *json = compare(f, view, NULL);
    const json_t *engine = json_array_get(json_object_get(json, "engines"), 0);
    ol_auto_free char *steps = steps_of(engine, false);

    assert_string_equal(json_string_value(json_object_get(engine, "kind")), "snapshotter");
    /* The commit adds nothing, and removing all leaves nothing. */
    assert_non_null(strstr(steps, "layer.apply 8, container.create 3, container.mount 1, "));
    assert_non_null(strstr(steps, ", container.unmount 0, commit 0, container.remove 0, "));
    assert_non_null(strstr(steps, ", image.remove -8, "));
    json_decref(json);
}

static void compare__a_commit_adds_no_inode_in_the_kernel_view(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    compare_in(*state, "kernel");
}

static void compare__a_commit_adds_no_inode_in_a_user_namespace(void **state)
{
    OL_REQUIRE(can_user_namespace, "user namespaces are not allowed here");
    compare_in(*state, "userns");
}

static void compare__a_commit_adds_no_inode_in_the_direct_view(void **state)
{
    OL_REQUIRE(can_user_xattr, "the file system keeps no user.* attributes");
    compare_in(*state, "direct");
}

static bool can_run_containerd(void)
{
    return geteuid() == 0 && can_mount_overlay() && access("/usr/bin/containerd", X_OK) == 0 &&
           access("/usr/bin/ctr", X_OK) == 0;
}

static void compare__every_step_has_the_inodes_and_bytes_of_containerd(void **state)
{
    ol_auto_free char *ours = NULL;
    ol_auto_free char *theirs = NULL;
    json_t *json;
    const json_t *engines;

    OL_REQUIRE(can_run_containerd, "containerd is not installed, or this is not root");
    json = compare(*state, "kernel", "containerd");
    engines = json_object_get(json, "engines");
    assert_int_equal(json_array_size(engines), 2);
    ours = steps_of(json_array_get(engines, 0), true);
    theirs = steps_of(json_array_get(engines, 1), true);
    assert_string_equal(ours, theirs);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ls__of_a_new_store_is_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(chain__is_made_committed_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(mounts__are_those_of_containerd, setup, teardown),
        cmocka_unit_test_setup_teardown(tree__shows_children_below_parents, setup, teardown),
        cmocka_unit_test_setup_teardown(labels__are_set_removed_and_filtered, setup, teardown),
        cmocka_unit_test_setup_teardown(rm__leaves_files_to_cleanup_when_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(apply__of_a_broken_layer_leaves_no_snapshot, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mount__on_a_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(database__that_is_damaged_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(check__finds_a_missing_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(compare__a_commit_adds_no_inode_in_the_kernel_view, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare__a_commit_adds_no_inode_in_a_user_namespace, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare__a_commit_adds_no_inode_in_the_direct_view, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare__every_step_has_the_inodes_and_bytes_of_containerd,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("cli snapshot", tests, NULL, NULL);
}
