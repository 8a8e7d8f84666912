/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each step costs in inodes, to the inode (docs: the inode laws, measured on live daemons).
 * The image is the one the laws were measured with: D = 7 directories with the root, 21 regular
 * inodes under 22 names, S = 5 names that are neither on 4 inodes.
 */
#include "contract/contract.h"

#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>

enum { D = 7, R = 21, INIT = 12 };

/* A user namespace has no device nodes: there the image is one special smaller. */
static int64_t special_names(void)
{
    return can_mknod() ? 5 : 4;
}

static void load_image(struct contract *c)
{
    struct tarball tar = TARBALL_INIT;
    char name[32];

    tarball_add_dir(&tar, "a/");
    tarball_add_dir(&tar, "a/b/");
    tarball_add_dir(&tar, "a/b/c/");
    tarball_add_dir(&tar, "e/");
    tarball_add_dir(&tar, "e/g/");
    tarball_add_dir(&tar, "h/");
    for (unsigned i = 0; i < R; i++) {
        (void)snprintf(name, sizeof(name), "%sfile-%u", i % 2 == 0 ? "a/" : "e/g/", i);
        tarball_add_file(&tar, name, name);
    }
    tarball_add_hardlink(&tar, "h/hard", "a/file-0");
    tarball_add_symlink(&tar, "s1", "a");
    tarball_add_symlink(&tar, "s2", "e/g");
    tarball_add_hardlink(&tar, "s3", "s1");
    tarball_add_fifo(&tar, "fifo");
    if (can_mknod())
        tarball_add_device(&tar, "null", '3', 1, 3);
    (void)contract_load(c, "image", NULL, &tar);
}

/* What the engine's init layer makes in an image without /dev, /proc, /sys and /etc. */
static void fill_init(struct contract *c, const char *id)
{
    static const char *const dirs[] = {"dev", "dev/pts", "dev/shm", "proc", "sys", "etc"};
    static const char *const files[] = {".dockerenv", "etc/resolv.conf", "etc/hosts",
                                        "etc/hostname", "dev/console"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = contract_root(c, id);

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        root_mkdir(fs, dirs[i]);
    for (size_t i = 0; i < OL_ARRAY_LEN(files); i++)
        root_write(fs, files[i], "");
    assert_ok(ol_rootfs_symlink(fs, "/proc/mounts", "etc/mtab", &err), &err);
    contract_close(fs);
}

/* Calls step() and holds the change of the count against want. */
#define assert_adds(c, want, step)                                                                 \
    do {                                                                                           \
        int64_t before_ = (int64_t)contract_inodes(c);                                             \
        step;                                                                                      \
        assert_int_equal((int64_t)contract_inodes(c) - before_, (want));                           \
    } while (0)

static void create_container(struct contract *c, const char *name, const char *image)
{
    char init[64];

    (void)snprintf(init, sizeof(init), "%s-init", name);
    contract_create(c, init, image);
    fill_init(c, init);
    contract_create(c, name, init);
    contract_close(contract_root(c, name)); /* docker create mounts the container once */
}

/* Create, Diff and ApplyDiff, against the init layer, as the engine commits. */
static void commit(struct contract *c, const char *name, const char *image, const char *base)
{
    char init[64];

    (void)snprintf(init, sizeof(init), "%s-init", name);
    contract_close(contract_root(c, name)); /* the engine holds the mount while it exports */
    (void)contract_commit(c, name, init, image, base);
}

/* Applied through a mount instead of into diff: work/work is made. */
static bool naive_apply(const struct contract_target *target)
{
    return contract_on_overlay2(target) && strstr(target->spec, "diff=naive") != NULL &&
           contract_on_mounts(target);
}

static void write_new_file(struct contract *c)
{
    contract_write(c, "ctr", "a/b/c/new", "new");
}

static void replace_file(struct contract *c)
{
    struct ol_rootfs *fs = contract_root(c, "ctr");

    root_rm(fs, "a/file-2");
    root_write(fs, "a/file-2", "replaced");
    contract_close(fs);
}

/* ---- create and get; vfs has no laws, its layers are copies ---- */

static void inodes__create(void **state)
{
    struct contract *c = *state;
    bool legacy = contract_is(c, "overlay");

    assert_adds(c, legacy ? 2 : 4, contract_create(c, "empty", NULL));
    load_image(c);
    assert_adds(c, legacy ? 4 : 7, contract_create(c, "first", "image")); /* and committed */
    assert_adds(c, legacy ? 4 : 6, contract_create(c, "second", "image"));
    assert_adds(c, 1, contract_close(contract_root(c, "second"))); /* work/work */
    assert_adds(c, 0, contract_close(contract_root(c, "second")));
}

static void inodes__import(void **state)
{
    struct contract *c = *state;
    int64_t own = contract_is(c, "overlay") ? 1 + D : contract_is(c, "vfs") ? D : 4 + D - 1;

    assert_adds(c, own + R + special_names() - 1, load_image(c));
}

static void inodes__container_create(void **state)
{
    struct contract *c = *state;
    bool legacy = contract_is(c, "overlay");

    load_image(c);
    assert_adds(c, legacy ? 2 * (5 + INIT) : 7 + INIT + 1 + 7 + 1,
                create_container(c, "ctr", "image"));
    assert_adds(c, legacy ? 2 * (5 + INIT) : 7 + INIT + 1 + 7,
                create_container(c, "ctr2", "image"));
}

/* ---- commit ---- */

static void inodes__commit_of_a_new_file(void **state)
{
    struct contract *c = *state;
    bool legacy = contract_is(c, "overlay");
    int64_t clone = contract_has_option(c, "clone=all") ? 0 : special_names();

    load_image(c);
    create_container(c, "ctr", "image");
    write_new_file(c);
    /* legacy: layer directory, the clone's directories and specials, the file; overlay2: the layer,
     * a, a/b, a/b/c and the file */
    assert_adds(c, legacy ? 1 + D + clone + 1 : 6 + 4 + naive_apply(c->target),
                commit(c, "ctr", "i1", "image"));
}

/* vfs copies; and deleting through a mount leaves a whiteout of the kernel's choice. */
static bool has_law_for_replaced_files(const struct contract_target *target)
{
    return contract_not_vfs(target) && !naive_apply(target);
}

static void inodes__commit_of_a_replaced_file(void **state)
{
    struct contract *c = *state;
    bool legacy = contract_is(c, "overlay");
    int64_t clone = contract_has_option(c, "clone=all") ? 0 : special_names();

    load_image(c);
    create_container(c, "ctr", "image");
    replace_file(c);
    /* and the export mount frees the container's cached whiteout (measured on dockerd) */
    assert_adds(c, (legacy ? 1 + D + clone + 1 : 6 + 2) - 1, commit(c, "ctr", "i1", "image"));
}

static void inodes__unchanged_container_costs_a_layer_that_is_removed(void **state)
{
    struct contract *c = *state;
    uint64_t before;

    load_image(c);
    contract_create(c, "probe", "image"); /* the image is a parent already */
    contract_remove(c, "probe");
    create_container(c, "ctr", "image");
    before = contract_inodes(c);
    commit(c, "ctr", "i1", "image");
    contract_remove(c, "i1");
    assert_int_equal(contract_inodes(c), before);
}

static void inodes__symlinks_are_shared_with_clone_all(void **state)
{
    struct contract *c = *state;
    struct tarball tar = TARBALL_INIT;

    load_image(c);
    tarball_add_file(&tar, "new", "x");
    assert_adds(c, 1 + D + (contract_has_option(c, "clone=all") ? 0 : special_names()) + 1,
                contract_load(c, "i1", "image", &tar));
    assert_true(S_ISLNK(contract_stat(c, "i1", "s1").st_mode));
    assert_true(S_ISFIFO(contract_stat(c, "i1", "fifo").st_mode));
}

static void inodes__everything_is_freed(void **state)
{
    struct contract *c = *state;
    ol_auto_free char *before = contract_listing(c);
    ol_auto_free char *after = NULL;

    load_image(c);
    create_container(c, "ctr", "image");
    replace_file(c);
    commit(c, "ctr", "i1", "image");
    contract_remove(c, "ctr");
    contract_remove(c, "ctr-init");
    contract_remove(c, "i1");
    contract_remove(c, "image");
    after = contract_listing(c);
    assert_string_equal(before, after);
}

int contract_run_inodes(void)
{
    static const struct contract_case cases[] = {
        contract_test_on(inodes__create, contract_not_vfs),
        contract_test(inodes__import),
        contract_test_on(inodes__container_create, contract_not_vfs),
        contract_test_on(inodes__commit_of_a_new_file, contract_not_vfs),
        contract_test_on(inodes__commit_of_a_replaced_file, has_law_for_replaced_files),
        contract_test(inodes__unchanged_container_costs_a_layer_that_is_removed),
        contract_test_on(inodes__symlinks_are_shared_with_clone_all, contract_on_overlay),
        contract_test(inodes__everything_is_freed),
    };
    return contract_run("inodes", cases, OL_ARRAY_LEN(cases));
}
