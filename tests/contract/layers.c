/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of layers: ids that exist, are empty or climb; missing parents; references; what stays
 * for the next process and what it cleans.
 */
#include "contract/contract.h"

#include "common/fs/file.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

/* ---- ids ---- */

static void layers__refuse_ids_that_are_no_names(void **state)
{
    static const char *const bad[] = {"",      ".", "..",  "../x", "a/b",  "/abs", ".hidden",
                                      "-dash", "l", "a b", "a\nb", "\xff", "a:b"};
    struct contract *c = *state;
    ol_auto_free char *before = contract_listing(c);
    ol_auto_free char *after = NULL;
    ol_auto_free char *path = NULL;

    contract_create(c, "good", NULL);
    for (size_t i = 0; i < OL_ARRAY_LEN(bad); i++) {
        const struct ol_layer_spec spec = {.id = bad[i]};
        const struct ol_layer_spec child = {.id = "child", .parent = bad[i]};
        struct ol_input none = OL_INPUT_FD(-1);
        int no_fd = -1;
        assert_int_equal(ol_driver_create(c->drv, &spec, NULL), -EINVAL);
        assert_int_equal(ol_driver_create(c->drv, &child, NULL), -EINVAL);
        assert_int_equal(ol_driver_remove(c->drv, bad[i], NULL), -EINVAL);
        assert_int_equal(ol_driver_get(c->drv, bad[i], &path, NULL), -EINVAL);
        assert_int_equal(ol_driver_put(c->drv, bad[i], NULL), -EINVAL);
        assert_int_equal(ol_driver_diff(c->drv, "good", bad[i], &no_fd, NULL, NULL), -EINVAL);
        assert_int_equal(ol_driver_apply_diff(c->drv, bad[i], NULL, &none, NULL, NULL), -EINVAL);
        assert_false(ol_driver_exists(c->drv, bad[i]));
    }
    contract_remove(c, "good");
    after = contract_listing(c);
    assert_string_equal(before, after);
}

static void layers__id_in_the_error_cannot_harm_a_terminal(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_int_equal(ol_driver_remove(c->drv, "\033[2J", &err), -EINVAL);
    assert_message(&err, "'?[2J'");
}

static void layers__longest_id_works(void **state)
{
    struct contract *c = *state;
    char id[OL_ID_MAX + 2];

    memset(id, 'a', sizeof(id));
    id[OL_ID_MAX + 1] = '\0';
    assert_false(ol_driver_id_valid(id));
    id[OL_ID_MAX] = '\0';
    contract_create(c, id, NULL);
    contract_create(c, "child", id);
    contract_write(c, "child", "f", "x");
    contract_remove(c, "child");
    contract_remove(c, id);
}

static void layers__existing_id_is_refused_and_kept(void **state)
{
    struct contract *c = *state;
    const struct ol_layer_spec again = {.id = "a"};
    const struct ol_layer_spec orphan = {.id = "a", .parent = "missing"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *before = NULL;
    ol_auto_free char *after = NULL;

    contract_create(c, "a", NULL);
    contract_write(c, "a", "f", "content");
    before = contract_listing(c);
    assert_int_equal(ol_driver_create(c->drv, &again, &err), -EEXIST);
    assert_message(&err, "'a'");
    assert_int_equal(ol_driver_create(c->drv, &orphan, NULL), -EEXIST);
    after = contract_listing(c);
    assert_string_equal(before, after);
    contract_assert_content(c, "a", "f", "content");
}

static void layers__missing_parent_leaves_nothing(void **state)
{
    struct contract *c = *state;
    const struct ol_layer_spec spec = {.id = "child", .parent = "missing"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *before = contract_listing(c);
    ol_auto_free char *after = NULL;

    assert_int_equal(ol_driver_create(c->drv, &spec, &err), -ENOENT);
    assert_message(&err, "'missing'");
    after = contract_listing(c);
    assert_string_equal(before, after);
}

static void layers__missing_layer_is_named(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_input none = OL_INPUT_FD(-1);
    struct ol_rootfs *fs = NULL;
    char *path = NULL;
    uint64_t size = 0;
    int no_fd = -1;

    contract_create(c, "here", NULL);
    assert_int_equal(ol_driver_get(c->drv, "gone", &path, &err), -ENOENT);
    assert_message(&err, "'gone'");
    assert_null(path);
    assert_int_equal(ol_driver_rootfs(c->drv, "gone", &fs, NULL), -ENOENT);
    assert_int_equal(ol_driver_diff(c->drv, "gone", NULL, &no_fd, NULL, NULL), -ENOENT);
    assert_int_equal(ol_driver_diff(c->drv, "here", "gone", &no_fd, NULL, NULL), -ENOENT);
    assert_int_equal(ol_driver_diff_size(c->drv, "gone", NULL, &size, NULL), -ENOENT);
    assert_int_equal(ol_driver_apply_diff(c->drv, "gone", NULL, &none, NULL, NULL), -ENOENT);
    assert_int_equal(ol_driver_apply_diff(c->drv, "here", "gone", &none, NULL, NULL), -ENOENT);
    assert_int_equal(ol_driver_put(c->drv, "gone", NULL), 0);
    assert_int_equal(ol_driver_remove(c->drv, "gone", NULL), 0);
    assert_false(ol_driver_exists(c->drv, "gone"));
}

static void layers__remove_takes_everything_and_may_be_repeated(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = contract_listing(c);
    ol_auto_free char *after = NULL;

    contract_create(c, "base", NULL);
    contract_write(c, "base", "f", "x");
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "g", "y");
    contract_rm(c, "ctr", "f");
    contract_remove(c, "ctr");
    contract_remove(c, "ctr");
    contract_remove(c, "base");
    after = contract_listing(c);
    assert_string_equal(before, after);
}

static void layers__id_can_be_used_again(void **state)
{
    struct contract *c = *state;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "f", "first");
    contract_remove(c, "ctr");
    contract_create(c, "ctr", "base");
    contract_assert_gone(c, "ctr", "f");
    contract_write(c, "ctr", "f", "second");
    contract_assert_content(c, "ctr", "f", "second");
}

/* ---- references ---- */

static size_t entries_of(const char *path)
{
    ol_auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tree_usage usage;

    assert_true(fd >= 0);
    assert_ok(ol_tree_usage(fd, true, &usage, &err), &err);
    return usage.names;
}

static void layers__gets_are_counted(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *first = NULL;
    ol_auto_free char *second = NULL;
    bool mounts = (ol_driver_caps(c->drv) & OL_CAP_NEEDS_MOUNT) != 0;

    contract_create(c, "base", NULL);
    contract_write(c, "base", "f", "x");
    contract_create(c, "ctr", "base");
    assert_ok(ol_driver_get(c->drv, "ctr", &first, &err), &err);
    assert_ok(ol_driver_get(c->drv, "ctr", &second, &err), &err);
    assert_string_equal(first, second);
    assert_int_equal(first[0], '/');
    assert_int_equal(contract_mounts(c), mounts ? 1 : 0);
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err);
    assert_int_equal(contract_mounts(c), mounts ? 1 : 0);
    assert_int_equal(entries_of(first), 2); /* the root and f */
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err);
    assert_int_equal(contract_mounts(c), 0);
    if (mounts)
        assert_int_equal(access(first, F_OK), -1);       /* merged exists only while mounted */
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err); /* one too many is harmless */
    free(ol_ptr_steal(first));
    assert_ok(ol_driver_get(c->drv, "ctr", &first, &err), &err);
    assert_int_equal(contract_mounts(c), mounts ? 1 : 0);
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err);
}

static void layers__base_layers_are_not_mounted(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;

    contract_create(c, "base", NULL);
    assert_ok(ol_driver_get(c->drv, "base", &path, &err), &err);
    assert_int_equal(contract_mounts(c), 0);
    assert_int_equal(access(path, W_OK), 0); /* the directory itself */
    assert_ok(ol_driver_put(c->drv, "base", &err), &err);
}

static void layers__mounted_layer_can_be_removed(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    assert_ok(ol_driver_get(c->drv, "ctr", &path, &err), &err);
    contract_remove(c, "ctr");
    assert_int_equal(contract_mounts(c), 0);
    contract_create(c, "ctr", "base"); /* its count went with it */
    free(ol_ptr_steal(path));
    assert_ok(ol_driver_get(c->drv, "ctr", &path, &err), &err);
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err);
    assert_int_equal(contract_mounts(c), 0);
}

static void layers__close_unmounts_what_it_mounted(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    assert_ok(ol_driver_get(c->drv, "ctr", &path, &err), &err);
    contract_reopen(c);
    assert_int_equal(contract_mounts(c), 0);
}

static void layers__kept_mount_is_put_by_the_next_process(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_free char *again = NULL;
    bool mounts = (ol_driver_caps(c->drv) & OL_CAP_NEEDS_MOUNT) != 0;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    assert_ok(ol_driver_get(c->drv, "ctr", &path, &err), &err);
    assert_ok(ol_driver_keep(c->drv, "ctr", &err), &err);
    contract_reopen(c);
    assert_int_equal(contract_mounts(c), mounts ? 1 : 0);
    /* found mounted: one user is there already */
    assert_ok(ol_driver_get(c->drv, "ctr", &again, &err), &err);
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err);
    assert_int_equal(contract_mounts(c), mounts ? 1 : 0);
    contract_reopen(c);
    assert_int_equal(contract_mounts(c), mounts ? 1 : 0); /* not ours to unmount */
    assert_ok(ol_driver_put(c->drv, "ctr", &err), &err);
    assert_int_equal(contract_mounts(c), 0);
}

static void layers__cleanup_unmounts_everything(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_free char *before = NULL;
    ol_auto_free char *after = NULL;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "f", "x");
    before = contract_listing(c);
    assert_ok(ol_driver_get(c->drv, "ctr", &path, &err), &err);
    assert_ok(ol_driver_cleanup(c->drv, &err), &err);
    assert_int_equal(contract_mounts(c), 0);
    after = contract_listing(c);
    assert_string_equal(before, after);
    contract_assert_content(c, "ctr", "f", "x");
}

/* Elsewhere get() works. */
static bool cannot_get(const struct contract_target *target)
{
    return !contract_on_mounts(target) && contract_not_vfs(target);
}

static void layers__direct_view_says_what_it_cannot(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char *path = NULL;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    assert_int_equal(ol_driver_get(c->drv, "ctr", &path, &err), -EOPNOTSUPP);
    assert_message(&err, "'ctr'");
    assert_message(&err, "direct view");
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 10 };

static void *get_and_put(void *data)
{
    struct contract *c = data;

    for (int i = 0; i < ROUNDS; i++) {
        ol_auto_free char *path = NULL;
        ol_auto_free char *file = NULL;
        if (ol_driver_get(c->drv, "ctr", &path, NULL) < 0 || asprintf(&file, "%s/f", path) < 0 ||
            access(file, R_OK) < 0 || ol_driver_put(c->drv, "ctr", NULL) < 0)
            return c;
    }
    return NULL;
}

static void layers__threads_may_get_and_put_at_once(void **state)
{
    struct contract *c = *state;
    pthread_t threads[THREADS];
    void *failed = NULL;

    contract_create(c, "base", NULL);
    contract_write(c, "base", "f", "x");
    contract_create(c, "ctr", "base");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_and_put, c), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        if (result != NULL)
            failed = result;
    }
    assert_null(failed);
    assert_int_equal(contract_mounts(c), 0);
}

/* ---- the home ---- */

static int count_id(const char *id, void *data)
{
    struct ol_buf *ids = data;

    return ol_buf_printf(ids, "%s ", id);
}

static void layers__list_names_every_layer(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf ids = OL_BUF_INIT;

    contract_create(c, "b", NULL);
    contract_create(c, "c", "b");
    contract_create(c, "a", "b");
    assert_ok(ol_driver_list(c->drv, count_id, &ids, &err), &err);
    assert_string_equal(ol_buf_str(&ids), "a b c ");
}

static void layers__home_is_private(void **state)
{
    struct contract *c = *state;
    struct stat st;

    contract_create(c, "base", NULL);
    assert_int_equal(stat(c->home, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0710); /* setuid files of images: CVE-2021-41091 */
}

static void layers__home_is_locked(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver *second = NULL;

    assert_int_equal(contract_open(c, &second, &err), -EBUSY);
    assert_message(&err, "in use");
    assert_null(second);
}

static void write_leftovers(struct contract *c)
{
    ol_auto_free char *dir = NULL;
    ol_auto_fd int fd = -1;

    assert_true(asprintf(&dir, "%s/%s", c->home, contract_is(c, "vfs") ? "dir" : "") > 0);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    test_mkdir(fd, ".new-half", 0755);
    test_mkdir(fd, ".new-half/upper", 0755);
    test_write(fd, ".new-half/upper/f", "x");
    test_mkdir(fd, ".gone-old", 0755);
    test_write(fd, ".gone-old/f", "x");
    test_mkdir(fd, ".check-trial", 0755);
    if (contract_is(c, "vfs"))
        return;
    test_mkdir(fd, "ctr/merged", 0700);
    test_mkdir(fd, "ctr/tmproot0123", 0700);
    test_write(fd, "ctr/tmproot0123/f", "x");
    test_mkdir(fd, "ctr/tmpdiff0123", 0700);
    if (contract_is(c, "overlay2"))
        test_symlink(fd, "../gone/diff", "l/ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static bool has_leftovers(const struct contract *c)
{
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "%s/%s/.new-half", c->home, contract_is(c, "vfs") ? "dir" : "") >
                0);
    return access(path, F_OK) == 0;
}

/* "layer diff a | layer apply b": two processes, one home. */
static void layers__home_can_be_shared(void **state)
{
    struct contract *c = *state;
    struct ol_driver_config config = {.home = c->home, .view = c->target->view, .shared = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver *one = NULL;
    struct ol_driver *two = NULL;
    struct ol_driver *alone = NULL;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    ol_driver_close(c->drv);
    c->drv = NULL;
    assert_ok(ol_driver_open(c->target->spec, &config, &one, &err), &err);
    write_leftovers(c); /* what one may be making right now */
    assert_ok(ol_driver_open(c->target->spec, &config, &two, &err), &err);
    assert_int_equal(contract_open(c, &alone, &err), -EBUSY);
    assert_true(ol_driver_exists(two, "base"));
    ol_driver_close(one);
    assert_true(has_leftovers(c));
    ol_driver_close(two);
    contract_reopen(c);
    assert_false(has_leftovers(c));
}

static void layers__stay_when_the_driver_is_closed(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = NULL;
    ol_auto_free char *after = NULL;

    contract_create(c, "base", NULL);
    contract_write(c, "base", "f", "x");
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "g", "y");
    before = contract_listing(c);
    contract_reopen(c);
    after = contract_listing(c);
    assert_string_equal(before, after);
    contract_assert_content(c, "ctr", "f", "x");
    contract_assert_content(c, "ctr", "g", "y");
}

static void layers__open_removes_what_was_left_half_made(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = NULL;
    ol_auto_free char *after = NULL;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "f", "x");
    before = contract_listing(c);
    ol_driver_close(c->drv);
    c->drv = NULL;
    write_leftovers(c);
    contract_reopen(c);
    after = contract_listing(c);
    assert_string_equal(before, after);
    contract_assert_content(c, "ctr", "f", "x");
}

/* ---- answers ---- */

static const char *pair_of(const struct ol_pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->count; i++)
        if (strcmp(pairs->items[i].key, key) == 0)
            return pairs->items[i].value;
    return NULL;
}

static void layers__metadata_names_the_directories(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_pairs struct ol_pairs base = {NULL, 0};
    ol_auto_pairs struct ol_pairs ctr = {NULL, 0};
    bool legacy = contract_is(c, "overlay");

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    assert_ok(ol_driver_metadata(c->drv, "base", &base, &err), &err);
    assert_ok(ol_driver_metadata(c->drv, "ctr", &ctr, &err), &err);
    if (contract_is(c, "vfs")) {
        assert_int_equal(ctr.count, 0);
        return;
    }
    assert_int_equal(access(pair_of(&base, legacy ? "RootDir" : "UpperDir"), F_OK), 0);
    assert_int_equal(base.count, legacy ? 1 : 3);
    assert_int_equal(ctr.count, 4);
    assert_int_equal(access(pair_of(&ctr, "LowerDir"), F_OK), 0);
    assert_int_equal(access(pair_of(&ctr, "UpperDir"), F_OK), 0);
    assert_int_equal(access(pair_of(&ctr, "WorkDir"), F_OK), 0);
    assert_non_null(strstr(pair_of(&ctr, "MergedDir"), "/ctr/merged"));
}

static void layers__status_names_the_file_system(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_pairs struct ol_pairs status = {NULL, 0};

    assert_ok(ol_driver_status(c->drv, &status, &err), &err);
    if (contract_is(c, "vfs")) {
        assert_int_equal(status.count, 0);
        return;
    }
    assert_string_equal(status.items[0].key, "Backing Filesystem");
    assert_string_equal(pair_of(&status, "Supports d_type"), "true");
    assert_true((pair_of(&status, "Native Overlay Diff") != NULL) == contract_is(c, "overlay2"));
}

static void layers__parent_of_a_layer_is_read_only(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    contract_create(c, "base", NULL);
    contract_create(c, "ctr", "base");
    contract_write(c, "ctr", "f", "x");
    contract_create(c, "child", "ctr");
    fs = contract_root(c, "ctr");
    assert_int_equal(ol_rootfs_create(fs, "g", 0644, "y", 1, &err), -EROFS);
    assert_int_equal(ol_rootfs_unlink(fs, "f", NULL), -EROFS);
    contract_close(fs);
    contract_assert_content(c, "ctr", "f", "x");
    contract_assert_content(c, "child", "f", "x");
}

int contract_run_layers(void)
{
    static const struct contract_case cases[] = {
        contract_test(layers__refuse_ids_that_are_no_names),
        contract_test(layers__id_in_the_error_cannot_harm_a_terminal),
        contract_test(layers__longest_id_works),
        contract_test(layers__existing_id_is_refused_and_kept),
        contract_test(layers__missing_parent_leaves_nothing),
        contract_test(layers__missing_layer_is_named),
        contract_test(layers__remove_takes_everything_and_may_be_repeated),
        contract_test(layers__id_can_be_used_again),
        contract_test_on(layers__gets_are_counted, contract_on_mounts),
        contract_test(layers__base_layers_are_not_mounted),
        contract_test_on(layers__mounted_layer_can_be_removed, contract_on_mounts),
        contract_test_on(layers__close_unmounts_what_it_mounted, contract_on_mounts),
        contract_test_on(layers__kept_mount_is_put_by_the_next_process, contract_on_mounts),
        contract_test_on(layers__cleanup_unmounts_everything, contract_on_mounts),
        contract_test_on(layers__direct_view_says_what_it_cannot, cannot_get),
        contract_test_on(layers__threads_may_get_and_put_at_once, contract_on_mounts),
        contract_test(layers__list_names_every_layer),
        contract_test(layers__home_is_private),
        contract_test(layers__home_is_locked),
        contract_test(layers__home_can_be_shared),
        contract_test(layers__stay_when_the_driver_is_closed),
        contract_test(layers__open_removes_what_was_left_half_made),
        contract_test(layers__metadata_names_the_directories),
        contract_test(layers__status_names_the_file_system),
        contract_test_on(layers__parent_of_a_layer_is_read_only, contract_on_overlay2),
    };
    return contract_run("layers", cases, OL_ARRAY_LEN(cases));
}
