/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle against the drivers on layers nobody would build: random entries on few names, so that
 * they replace, link, delete and hide each other, with directories left out and doubles. What a
 * driver refuses ends its chain of layers; what it accepts has to count as predicted.
 */
#include "support/support.h"
#include "support/tarball.h"

#include "bench/harness/home_usage.h"
#include "bench/oracle/held.h"
#include "common/buf.h"
#include "drivers/driver.h"
#include "drivers/rootfs.h"
#include "drivers/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SEEDS = 150, LAYERS = 4, ENTRIES = 12 };

/* One driver, or the snapshotter, and the chain of layers on it. */
struct subject {
    const char *name;
    enum ol_law law;
    struct ol_driver *drv;
    struct ol_snapshots *sn;
    int home_fd;
    bool ended; /* it refused a layer: the chain is over */
    struct ol_home_usage usage;
};

struct lab {
    struct test_dir dir;
    struct subject subjects[5];
    struct ol_model *model;
    struct tarball tar;
    uint64_t random;
    unsigned applied;
    struct ol_buf text; /* the chain's entries so far */
};

static unsigned pick(struct lab *lab, unsigned n)
{
    lab->random = lab->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(lab->random >> 33) % n;
}

static void some_path(struct lab *lab, const char *prefix, char buf[static 64])
{
    static const char *const names[] = {"a", "b", "c", "d"};
    unsigned depth = 1 + pick(lab, 3);

    *buf = '\0';
    for (unsigned i = 0; i < depth; i++) {
        size_t len = strlen(buf);
        (void)snprintf(buf + len, 64 - len, "%s%s%s", i > 0 ? "/" : "",
                       i + 1 == depth ? prefix : "", names[pick(lab, OL_ARRAY_LEN(names))]);
    }
}

static void some_entry(struct lab *lab)
{
    char path[64];
    char other[64];

    some_path(lab, "", path);
    some_path(lab, "", other);
    switch (pick(lab, 12)) {
    case 0:
    case 1:
    case 2:
        tarball_add_dir_mode(&lab->tar, path, pick(lab, 2) ? 0755 : 0700);
        break;
    case 3:
        tarball_add_symlink(&lab->tar, path, other);
        break;
    case 4:
        tarball_add_fifo(&lab->tar, path);
        break;
    case 5:
    case 6:
        tarball_add_hardlink_mode(&lab->tar, path, other, pick(lab, 2) ? 0644 : 0600, 0);
        break;
    case 7:
        some_path(lab, ".wh.", path);
        tarball_add_file_mode(&lab->tar, path, 0, "");
        break;
    case 8:
        if (pick(lab, 3) > 0)
            break;
        (void)snprintf(other, sizeof other, "%.40s/.wh..wh..opq", path);
        tarball_add_file_mode(&lab->tar, other, 0, "");
        break;
    default:
        tarball_add_file(&lab->tar, path, path);
        break;
    }
}

static void open_subject(struct lab *lab, struct subject *s, const char *dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *root = NULL;
    ol_auto_free char *home = NULL;
    struct ol_driver_config config = {.view = OL_VIEW_DIRECT, .threads = 1};
    struct ol_snapshots_config snapshots = {.view = OL_VIEW_DIRECT, .no_sync = true};

    assert_true(asprintf(&root, "%s/%s", lab->dir.path, dir) > 0);
    assert_true(asprintf(&home, "%s%s", root, s->law == OL_LAW_SNAPSHOT ? "/snapshots" : "") > 0);
    config.home = home;
    snapshots.root = root;
    if (s->law == OL_LAW_SNAPSHOT)
        assert_ok(ol_snapshots_open(&snapshots, &s->sn, &err), &err);
    else
        assert_ok(ol_driver_open(s->name, &config, &s->drv, &err), &err);
    s->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(s->home_fd >= 0);
    assert_ok(ol_home_usage_get(s->home_fd, &s->usage, &err), &err);
}

static void open_lab(struct lab *lab, uint64_t seed)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    lab->random = seed;
    test_dir_make(&lab->dir);
    lab->subjects[0] = (struct subject){.name = "overlay", .law = OL_LAW_OVERLAY};
    lab->subjects[1] = (struct subject){.name = "overlay:clone=all",
                                        .law = OL_LAW_OVERLAY_CLONE_ALL};
    lab->subjects[2] = (struct subject){.name = "overlay2", .law = OL_LAW_OVERLAY2};
    lab->subjects[3] = (struct subject){.name = "vfs", .law = OL_LAW_VFS};
    lab->subjects[4] = (struct subject){.name = "snapshot", .law = OL_LAW_SNAPSHOT};
    for (size_t i = 0; i < OL_ARRAY_LEN(lab->subjects); i++) {
        char dir[16];
        (void)snprintf(dir, sizeof dir, "home%zu", i);
        open_subject(lab, &lab->subjects[i], dir);
    }
    assert_ok(ol_model_new(&lab->model, &err), &err);
}

static void close_lab(struct lab *lab)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(lab->subjects); i++) {
        ol_driver_close(lab->subjects[i].drv);
        lab->subjects[i].drv = NULL;
        ol_snapshots_free(lab->subjects[i].sn);
        lab->subjects[i].sn = NULL;
        ol_fd_close(&lab->subjects[i].home_fd);
    }
    ol_model_free(lab->model);
    lab->model = NULL;
    tarball_fini(&lab->tar);
    ol_buf_fini(&lab->text);
    if (lab->dir.path != NULL)
        test_dir_remove(&lab->dir);
}

/* Feed the model, and keep what it was fed for messages. */
static int feed(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct lab *lab = data;

    assert_int_equal(ol_buf_printf(&lab->text, "  type %d %o '%s' %s\n", entry->type, entry->mode,
                                   entry->path, entry->link != NULL ? entry->link : ""),
                     0);
    return ol_model_add(lab->model, entry, err);
}

static struct ol_input input_of(struct lab *lab)
{
    return (struct ol_input){.fd = tarball_fd(&lab->tar), .offset = 0, .length = UINT64_MAX};
}

/* @return false when the snapshotter refuses the layer */
static bool apply_snapshot(struct lab *lab, struct subject *s, unsigned layer, struct ol_error *err)
{
    char name[16];
    char parent[16] = "";
    const struct ol_input input = input_of(lab);
    int r;

    (void)snprintf(name, sizeof name, "layer%u", layer);
    if (layer > 0)
        (void)snprintf(parent, sizeof parent, "layer%u", layer - 1);
    assert_ok(ol_snapshots_prepare(s->sn, "extract", parent, NULL, NULL, err), err);
    r = ol_snapshots_apply(s->sn, "extract", &input, NULL, err);
    if (r < 0)
        assert_ok(ol_snapshots_remove(s->sn, "extract", NULL), err);
    else
        assert_ok(ol_snapshots_commit(s->sn, name, "extract", NULL, NULL, err), err);
    return r == 0;
}

/* Apply on one driver. @return false when it refuses the layer */
static bool apply_driver(struct lab *lab, struct subject *s, unsigned layer, struct ol_error *err)
{
    char id[16];
    char parent[16];
    struct ol_layer_spec spec = {.id = id, .parent = layer > 0 ? parent : NULL};
    const struct ol_input input = input_of(lab);
    struct ol_apply_result result;
    int r;

    (void)snprintf(id, sizeof id, "layer%u", layer);
    (void)snprintf(parent, sizeof parent, "layer%u", layer - 1);
    assert_ok(ol_driver_create(s->drv, &spec, err), err);
    r = ol_driver_apply_diff(s->drv, id, spec.parent, &input, &result, err);
    if (r < 0)
        assert_ok(ol_driver_remove(s->drv, id, NULL), err);
    return r == 0;
}

static bool apply(struct lab *lab, struct subject *s, unsigned layer, struct ol_error *err)
{
    return s->sn != NULL ? apply_snapshot(lab, s, layer, err) : apply_driver(lab, s, layer, err);
}

/* What an upper directory refuses, a full tree may accept. */
static bool has_uppers(const struct subject *s)
{
    return s->law == OL_LAW_OVERLAY2 || s->law == OL_LAW_SNAPSHOT;
}

static void assert_kind(struct lab *lab, const struct subject *s, unsigned layer, const char *kind,
                        int64_t measured, int64_t predicted)
{
    if (measured == predicted)
        return;
    fail_msg("%s layer %u: %jd %s measured, %jd predicted; the layers:\n%s", s->name, layer,
             (intmax_t)measured, kind, (intmax_t)predicted, ol_buf_str(&lab->text));
}

static void check(struct lab *lab, struct subject *s, unsigned layer)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_home_usage after;
    struct ol_inode_kinds p;
    const struct ol_inode_kinds *m = &after.kinds;
    const struct ol_inode_kinds *before = &s->usage.kinds;

    assert_ok(ol_home_usage_get(s->home_fd, &after, &err), &err);
    assert_int_equal(ol_law_layer_apply(s->law, lab->model, layer == 0, true, &p), 0);
    assert_kind(lab, s, layer, "directories", m->directory - before->directory, p.directory);
    assert_kind(lab, s, layer, "regular files", m->regular - before->regular, p.regular);
    assert_kind(lab, s, layer, "symlinks", m->symlink - before->symlink, p.symlink);
    assert_kind(lab, s, layer, "fifos", m->fifo - before->fifo, p.fifo);
    assert_kind(lab, s, layer, "whiteouts", m->whiteout - before->whiteout, p.whiteout);
    assert_kind(lab, s, layer, "bookkeeping", m->bookkeeping - before->bookkeeping, p.bookkeeping);
    s->usage = after;
    lab->applied++;
}

/* Entries that the model and, so, every full-tree driver accepts. @return false: none was refused
 */
static bool make_layer(struct lab *lab)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_input input;

    tarball_fini(&lab->tar);
    for (unsigned i = 1 + pick(lab, ENTRIES); i > 0; i--)
        some_entry(lab);
    tarball_end(&lab->tar);
    input = input_of(lab);
    assert_ok(ol_model_begin_layer(lab->model, &err), &err);
    assert_int_equal(ol_buf_puts(&lab->text, "layer\n"), 0);
    return ol_layer_scan(&input, NULL, feed, lab, NULL, &err) == 0;
}

static void run_chain(struct lab *lab, uint64_t seed)
{
    open_lab(lab, seed);
    for (unsigned layer = 0; layer < LAYERS; layer++) {
        bool accepted = make_layer(lab);
        for (size_t i = 0; i < OL_ARRAY_LEN(lab->subjects); i++) {
            struct subject *s = &lab->subjects[i];
            ol_auto_error struct ol_error err = OL_ERROR_INIT;
            if (s->ended)
                continue;
            s->ended = !apply(lab, s, layer, &err);
            if (!has_uppers(s) && accepted == s->ended)
                fail_msg("seed %ju, %s, layer %u: the model %s what the driver does not: %s\n%s",
                         (uintmax_t)seed, s->name, layer, accepted ? "accepts" : "refuses",
                         ol_error_text(&err), ol_buf_str(&lab->text));
            if (!s->ended && accepted)
                check(lab, s, layer);
        }
        if (!accepted)
            break;
    }
    close_lab(lab);
}

static void oracle__predicts_random_layers(void **state)
{
    struct lab *lab = *state;

    OL_REQUIRE(can_user_xattr, "the direct view keeps user.overlay.* attributes");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_chain(lab, seed);
    assert_true(lab->applied > SEEDS); /* the layers are not all nonsense */
}

/* The container of a COPY or ADD step, made, mounted once and removed. */
static void check_build_step(struct lab *lab, struct subject *s)
{
    const struct ol_held_way way = {.law = s->law};
    const struct ol_layer_spec spec = {.id = "step", .parent = "layer0", .read_write = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_held_container container;
    struct ol_held_layer image;
    struct ol_inode_kinds added;
    struct ol_home_usage after;
    struct ol_rootfs *fs;

    assert_int_equal(ol_held_layer_apply(&way, lab->model, NULL, &image, &added), 0);
    assert_int_equal(ol_held_build_create(&way, lab->model, &image, &container, &added), 0);
    assert_ok(ol_driver_create(s->drv, &spec, &err), &err);
    assert_ok(ol_driver_rootfs(s->drv, spec.id, &fs, &err), &err);
    assert_ok(ol_rootfs_close(fs, &err), &err);
    assert_ok(ol_home_usage_get(s->home_fd, &after, &err), &err);
    assert_kind(lab, s, 0, "inodes of a build step",
                ol_inode_kinds_total(&after.kinds) - ol_inode_kinds_total(&s->usage.kinds),
                ol_inode_kinds_total(&added));
    assert_ok(ol_driver_remove(s->drv, spec.id, &err), &err);
    s->usage = after;
    assert_ok(ol_home_usage_get(s->home_fd, &after, &err), &err);
    ol_held_container_remove(&container, &added);
    assert_kind(lab, s, 0, "inodes of a removed build step",
                ol_inode_kinds_total(&after.kinds) - ol_inode_kinds_total(&s->usage.kinds),
                ol_inode_kinds_total(&added));
}

static void oracle__predicts_build_steps(void **state)
{
    struct lab *lab = *state;

    OL_REQUIRE(can_user_xattr, "the direct view keeps user.overlay.* attributes");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        open_lab(lab, seed);
        for (size_t i = 0, n = make_layer(lab) ? OL_ARRAY_LEN(lab->subjects) : 0; i < n; i++) {
            struct subject *s = &lab->subjects[i];
            ol_auto_error struct ol_error err = OL_ERROR_INIT;

            if (s->drv == NULL || !apply(lab, s, 0, &err))
                continue;
            check(lab, s, 0);
            check_build_step(lab, s);
        }
        close_lab(lab);
    }
    assert_true(lab->applied >= 20); /* the layers are not all nonsense */
}

static int setup(void **state)
{
    static const struct lab empty = {.tar = TARBALL_INIT, .text = OL_BUF_INIT};
    struct lab *lab = malloc(sizeof *lab);

    if (lab == NULL)
        return -1;
    *lab = empty;
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    close_lab(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(oracle__predicts_random_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(oracle__predicts_build_steps, setup, teardown),
    };
    return cmocka_run_group_tests_name("oracle_random", tests, NULL, NULL);
}
