/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What moby's own graphtest (daemon/graphdriver/graphtest/graphtest_unix.go) asks of a driver, case
 * by case. Its SetQuota is about a storage option that overlab has not.
 */
#include "contract/contract.h"

#include <errno.h>

static void graphtest__create_empty(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;
    char **names = NULL;
    struct stat st;

    contract_create(c, "empty", NULL);
    assert_true(ol_driver_exists(c->drv, "empty"));
    fs = contract_root(c, "empty");
    assert_ok(ol_rootfs_lstat(fs, "", &st, &err), &err);
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    assert_int_equal(st.st_uid, geteuid());
    assert_ok(ol_rootfs_list(fs, "", &names, &err), &err);
    assert_null(names[0]);
    ol_rootfs_names_free(names);
    contract_close(fs);
    contract_remove(c, "empty");
}

static void make_base(struct contract *c, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs;

    contract_create(c, id, NULL);
    fs = contract_root(c, id);
    assert_ok(ol_rootfs_mkdir(fs, "a subdir", 0700, &err), &err);
    if (can_chown())
        assert_ok(ol_rootfs_chown(fs, "a subdir", 1, 2, &err), &err);
    assert_ok(ol_rootfs_chmod(fs, "a subdir", 01705, &err), &err);
    assert_ok(ol_rootfs_create(fs, "a file", 0600, "Some data", 9, &err), &err);
    assert_ok(ol_rootfs_chmod(fs, "a file", 04222, &err), &err);
    contract_close(fs);
}

static void verify_base(struct contract *c, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = contract_root(c, id);
    char **names = NULL;
    struct stat st;

    assert_ok(ol_rootfs_lstat(fs, "a subdir", &st, &err), &err);
    assert_int_equal(st.st_mode, S_IFDIR | 01705);
    if (can_chown()) {
        assert_int_equal(st.st_uid, 1);
        assert_int_equal(st.st_gid, 2);
    }
    assert_ok(ol_rootfs_lstat(fs, "a file", &st, &err), &err);
    assert_int_equal(st.st_mode, S_IFREG | 04222);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_size, 9);
    assert_ok(ol_rootfs_list(fs, "", &names, &err), &err);
    assert_string_equal(names[0], "a file");
    assert_string_equal(names[1], "a subdir");
    assert_null(names[2]);
    ol_rootfs_names_free(names);
    contract_close(fs);
}

static void graphtest__create_base(void **state)
{
    struct contract *c = *state;

    make_base(c, "Base");
    verify_base(c, "Base");
    contract_remove(c, "Base");
}

static void graphtest__create_snap(void **state)
{
    struct contract *c = *state;

    make_base(c, "Base");
    contract_create(c, "Snap", "Base");
    verify_base(c, "Snap");
    contract_remove(c, "Snap");
    contract_remove(c, "Base");
}

/* ---- deep chains ---- */

static void layer_id(char ret[static 32], unsigned n)
{
    (void)snprintf(ret, 32, "deep-%u", n);
}

static void add_layer_files(struct contract *c, const char *id, const char *parent, unsigned n)
{
    struct ol_rootfs *fs = contract_root(c, id);
    char path[64];

    root_write(fs, "top-id", id);
    (void)snprintf(path, sizeof(path), "layer-%u", n);
    root_mkdir(fs, path);
    (void)snprintf(path, sizeof(path), "layer-%u/layer-id", n);
    root_write(fs, path, id);
    (void)snprintf(path, sizeof(path), "layer-%u/parent-id", n);
    root_write(fs, path, parent);
    contract_close(fs);
}

static void assert_file(struct ol_rootfs *fs, const char *path, const char *content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    assert_ok(ol_rootfs_read(fs, path, 4096, &text, &err), &err);
    assert_string_equal(ol_buf_str(&text), content);
}

static void check_deep(struct contract *c, unsigned layers)
{
    char id[32];
    char parent[32];
    char path[64];
    struct ol_rootfs *fs;

    layer_id(id, layers);
    fs = contract_root(c, id);
    assert_file(fs, "top-id", id);
    for (unsigned n = layers; n > 0; n--) {
        layer_id(id, n);
        layer_id(parent, n - 1);
        (void)snprintf(path, sizeof(path), "layer-%u/layer-id", n);
        assert_file(fs, path, id);
        (void)snprintf(path, sizeof(path), "layer-%u/parent-id", n);
        assert_file(fs, path, parent);
    }
    assert_file(fs, "testfile.txt", "test content");
    contract_close(fs);
}

static void read_through(struct contract *c, unsigned layers)
{
    char parent[32];
    char id[32];

    layer_id(parent, 0);
    contract_create(c, parent, NULL);
    contract_write(c, parent, "testfile.txt", "test content");
    for (unsigned n = 1; n <= layers; n++) {
        layer_id(id, n);
        contract_create(c, id, parent);
        add_layer_files(c, id, parent, n);
        memcpy(parent, id, sizeof(parent));
    }
    check_deep(c, layers);
}

static void graphtest__reads_through_1_layer(void **state)
{
    read_through(*state, 1);
}

static void graphtest__reads_through_64_layers(void **state)
{
    read_through(*state, 64);
}

static void graphtest__reads_through_128_layers(void **state)
{
    read_through(*state, 128);
}

static void graphtest__refuses_the_129th_lower_directory(void **state)
{
    struct contract *c = *state;
    const struct ol_layer_spec spec = {.id = "too-deep", .parent = "deep-128"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *before = NULL;
    ol_auto_free char *after = NULL;
    char parent[32];
    char id[32];

    layer_id(parent, 0);
    contract_create(c, parent, NULL);
    for (unsigned n = 1; n <= 128; n++) {
        layer_id(id, n);
        contract_create(c, id, parent);
        memcpy(parent, id, sizeof(parent));
    }
    before = contract_listing(c);
    assert_int_equal(ol_driver_create(c->drv, &spec, &err), -E2BIG);
    assert_message(&err, "max depth exceeded");
    assert_message(&err, "'too-deep'");
    after = contract_listing(c);
    assert_string_equal(before, after); /* the parent is not marked as one either */
}

/* ---- diff and apply ---- */

enum { FILES = 300, CONTENT = 64 };

static void fill_content(char ret[static CONTENT + 1], unsigned n, unsigned seed)
{
    for (unsigned i = 0; i < CONTENT; i++) {
        seed = seed * 1103515245u + n + 12345u;
        ret[i] = (char)('a' + (seed >> 16) % 26);
    }
    ret[CONTENT] = '\0';
}

static void add_many_files(struct contract *c, const char *id, unsigned seed)
{
    struct ol_rootfs *fs = contract_root(c, id);
    char content[CONTENT + 1];
    char path[64];
    struct stat st;

    for (unsigned n = 0; n < FILES; n++) {
        (void)snprintf(path, sizeof(path), "directory-%u", n / 100);
        if (n % 100 == 0 && ol_rootfs_lstat(fs, path, &st, NULL) < 0)
            root_mkdir(fs, path);
        (void)snprintf(path, sizeof(path), "directory-%u/file-%u", n / 100, n);
        fill_content(content, n, seed);
        root_write(fs, path, content);
    }
    contract_close(fs);
}

static void check_many_files(struct contract *c, const char *id, unsigned seed)
{
    struct ol_rootfs *fs = contract_root(c, id);
    char content[CONTENT + 1];
    char path[64];

    for (unsigned n = 0; n < FILES; n++) {
        (void)snprintf(path, sizeof(path), "directory-%u/file-%u", n / 100, n);
        fill_content(content, n, seed);
        assert_file(fs, path, content);
    }
    contract_close(fs);
}

static void make_diff_layers(struct contract *c)
{
    struct ol_rootfs *fs;

    contract_create(c, "base", NULL);
    add_many_files(c, "base", 3);
    fs = contract_root(c, "base");
    root_write(fs, "file-remove.txt", "This file should get removed in upper!");
    root_mkdir(fs, "var");
    root_mkdir(fs, "var/lib");
    contract_close(fs);
    contract_create(c, "upper", "base");
    add_many_files(c, "upper", 6);
    contract_rm(c, "upper", "file-remove.txt");
    contract_rm(c, "upper", "var/lib");
}

static void graphtest__applied_diff_gives_the_layer_again(void **state)
{
    struct contract *c = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_apply_result applied;
    uint64_t all_bytes = 0;

    make_diff_layers(c);
    assert_ok(ol_driver_diff_size(c->drv, "upper", NULL, &all_bytes, &err), &err);
    applied = contract_commit(c, "upper", "base", "diff", "base");
    assert_int_equal(applied.size_bytes, all_bytes); /* upper rewrote every file that is left */
    check_many_files(c, "diff", 6);
    contract_assert_gone(c, "diff", "file-remove.txt");
    contract_assert_gone(c, "diff", "var/lib");
    (void)contract_stat(c, "diff", "var");
    check_many_files(c, "base", 3); /* nothing shows through to the parent */
}

static void graphtest__changes_are_those_made(void **state)
{
    struct contract *c = *state;
    ol_auto_buf struct ol_buf want = OL_BUF_INIT;
    ol_auto_free char *changes = NULL;
    struct ol_rootfs *fs;

    contract_create(c, "base", NULL);
    fs = contract_root(c, "base");
    root_mkdir(fs, "d");
    for (char n = 'a'; n < 'a' + 12; n++)
        root_write(fs, (const char[]){'d', '/', n, '\0'}, "old");
    contract_close(fs);
    contract_create(c, "upper", "base");
    fs = contract_root(c, "upper");
    assert_int_equal(ol_buf_puts(&want, "C /d\n"), 0);
    for (char n = 'a'; n < 'a' + 12; n++) {
        const char path[] = {'d', '/', n, '\0'};
        const char added[] = {'d', '/', n, '+', '\0'};
        if (n % 3 == 0) {
            root_write(fs, path, "changed");
            assert_int_equal(ol_buf_printf(&want, "C /%s\n", path), 0);
        } else if (n % 3 == 1) {
            root_write(fs, added, "new");
            assert_int_equal(ol_buf_printf(&want, "A /%s\n", added), 0);
        } else {
            root_rm(fs, path);
            assert_int_equal(ol_buf_printf(&want, "D /%s\n", path), 0);
        }
    }
    contract_close(fs);
    changes = contract_changes(c, "upper", "base");
    assert_string_equal(changes, ol_buf_str(&want));
}

static void graphtest__everything_is_added_without_a_parent(void **state)
{
    struct contract *c = *state;

    make_base(c, "Base");
    contract_create(c, "Snap", "Base");
    contract_write(c, "Snap", "new", "x");
    assert_changes(c, "Snap", NULL, "A /a file\nA /a subdir\nA /new\n");
}

int contract_run_graphtest(void)
{
    static const struct contract_case cases[] = {
        contract_test(graphtest__create_empty),
        contract_test(graphtest__create_base),
        contract_test(graphtest__create_snap),
        contract_test(graphtest__reads_through_1_layer),
        contract_test(graphtest__reads_through_64_layers),
        contract_test(graphtest__reads_through_128_layers),
        contract_test_on(graphtest__refuses_the_129th_lower_directory, contract_on_overlay2),
        contract_test(graphtest__applied_diff_gives_the_layer_again),
        contract_test(graphtest__changes_are_those_made),
        contract_test(graphtest__everything_is_added_without_a_parent),
    };
    return contract_run("graphtest", cases, OL_ARRAY_LEN(cases));
}
