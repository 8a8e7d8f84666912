/* SPDX-License-Identifier: Apache-2.0 */
/* Layers and containers from their first step to their removal: what each holds, and frees. */
#include "model_fixture.h"

#include "bench/oracle/disk.h"
#include "bench/oracle/peak.h"

#include <errno.h>

static void feed(struct fixture *f, enum ol_entry_type type, const char *path)
{
    const struct ol_entry entry = {.path = path, .type = type, .mode = 0755};

    assert_ok(ol_model_add(f->model, &entry, &f->err), &f->err);
}

/* An image of one layer, in which the init step has something to delete. */
static int setup(void **state)
{
    struct fixture *f = model_make(state, true);

    feed(f, OL_ENTRY_DIRECTORY, "a");
    feed(f, OL_ENTRY_FILE, "a/one");
    feed(f, OL_ENTRY_FILE, "a/two");
    feed(f, OL_ENTRY_DIRECTORY, "etc");
    feed(f, OL_ENTRY_FILE, "etc/hosts");
    return 0;
}

/* The next layer deletes a/one and a/two and adds a/three. */
static void second_layer(struct fixture *f)
{
    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    feed(f, OL_ENTRY_FILE, "a/.wh.one");
    feed(f, OL_ENTRY_FILE, "a/.wh.two");
    feed(f, OL_ENTRY_FILE, "a/three");
}

static const struct ol_inode_kinds changed = {.directory = 1, .regular = 1, .whiteout = 1};

/* Everything is made, used, and removed: nothing is left, whatever the law. */
static void run_all(struct fixture *f, const struct ol_held_way *way)
{
    struct ol_held_container containers[2];
    struct ol_held_layer base;
    struct ol_held_layer top;
    struct ol_inode_kinds step;
    struct ol_inode_kinds sum;

    assert_int_equal(ol_held_layer_apply(way, f->model, NULL, &base, &sum), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ol_held_container_create(way, f->model, &base, &containers[i], &step), 0);
        ol_inode_kinds_add(&sum, &step, 1);
        ol_held_mount(&containers[i], &step);
        ol_inode_kinds_add(&sum, &step, 1);
    }
    ol_held_change(&containers[1], &changed, true);
    ol_inode_kinds_add(&sum, &changed, 1);
    for (int i = 0; i < 2; i++) {
        ol_held_unmount(&containers[i], &step);
        ol_inode_kinds_add(&sum, &step, 1);
    }
    second_layer(f);
    assert_int_equal(ol_held_commit(&containers[1], f->model, &base, false, &top, &step), 0);
    ol_inode_kinds_add(&sum, &step, 1);
    for (int i = 0; i < 2; i++) {
        ol_held_container_remove(&containers[i], &step);
        ol_inode_kinds_add(&sum, &step, 1);
    }
    ol_held_layer_remove(&top, &step);
    ol_inode_kinds_add(&sum, &step, 1);
    ol_held_layer_remove(&base, &step);
    ol_inode_kinds_add(&sum, &step, 1);
    assert_int_equal(ol_inode_kinds_total(&sum), 0);
    assert_int_equal(sum.whiteout, 0);
    assert_int_equal(sum.bookkeeping, 0);
}

static void held__leaves_nothing_when_all_is_removed(void **state)
{
    for (unsigned i = 0; i < OL_LAWS * 4; i++) {
        const struct ol_held_way way = {
            .law = (enum ol_law)(i / 4), .mounts = i % 2 == 1, .naive_diff = i % 4 >= 2};

        assert_int_equal(setup(state), 0);
        run_all(*state, &way);
        assert_int_equal(model_teardown(state), 0);
    }
    assert_int_equal(setup(state), 0); /* for the teardown */
}

static void held__marks_a_parent_once(void **state)
{
    const struct ol_held_way way = {.law = OL_LAW_OVERLAY2, .mounts = true};
    struct fixture *f = *state;
    struct ol_held_container one;
    struct ol_held_layer base;
    struct ol_inode_kinds many;
    struct ol_inode_kinds first;
    struct ol_inode_kinds again;

    assert_int_equal(ol_held_layer_apply(&way, f->model, NULL, &base, &first), 0);
    assert_int_equal(ol_held_container_create(&way, f->model, &base, &one, &first), 0);
    assert_true(base.is_parent);
    assert_int_equal(ol_held_container_create(&way, f->model, &base, &one, &again), 0);
    assert_int_equal(ol_inode_kinds_total(&first), ol_inode_kinds_total(&again) + 1);
    base.is_parent = false;
    assert_int_equal(ol_held_containers_create(&way, f->model, &base, 5, &one, &many), 0);
    assert_int_equal(ol_inode_kinds_total(&many), 5 * ol_inode_kinds_total(&again) + 1);
    ol_held_container_remove(&one, &many);
    assert_int_equal(ol_inode_kinds_total(&many), -ol_inode_kinds_total(&again));
    ol_held_layer_remove(&base,
                         &many); /* its mark goes with it: layer, link, l/, committed, diff */
    assert_int_equal(ol_inode_kinds_total(&many), -(4 + 5 + 2));
}

/* The commit mounts again what was cached: the init layer's whiteout only for a naive diff. */
static void held__commit_frees_what_was_cached(void **state)
{
    struct ol_held_way way = {.law = OL_LAW_OVERLAY, .mounts = true, .naive_diff = true};
    struct fixture *f = *state;
    struct ol_held_container container;
    struct ol_held_layer base;
    struct ol_held_layer top;
    struct ol_inode_kinds kinds;

    assert_int_equal(ol_held_layer_apply(&way, f->model, NULL, &base, &kinds), 0);
    assert_int_equal(ol_held_container_create(&way, f->model, &base, &container, &kinds), 0);
    assert_int_equal(kinds.whiteout, 1); /* etc/hosts, which the init step replaces */
    ol_held_change(&container, &changed, true);
    second_layer(f);
    assert_int_equal(ol_held_commit(&container, f->model, &base, false, &top, &kinds), 0);
    assert_int_equal(kinds.whiteout, -2);
    assert_int_equal(ol_held_commit(&container, f->model, &base, true, &top, &kinds), 0);
    assert_int_equal(ol_inode_kinds_total(&kinds), 0); /* empty, and nothing cached any more */
    ol_held_container_remove(&container, &kinds);
    assert_int_equal(kinds.whiteout, 0);
}

static void held__snapshot_commit_takes_the_container(void **state)
{
    const struct ol_held_way way = {.law = OL_LAW_SNAPSHOT, .mounts = true};
    struct fixture *f = *state;
    struct ol_held_container container;
    struct ol_held_layer base;
    struct ol_held_layer top;
    struct ol_inode_kinds kinds;

    assert_int_equal(ol_held_layer_apply(&way, f->model, NULL, &base, &kinds), 0);
    assert_int_equal(ol_held_container_create(&way, f->model, &base, &container, &kinds), 0);
    ol_held_mount(&container, &kinds);
    ol_held_change(&container, &changed, false);
    assert_int_equal(ol_held_commit(&container, f->model, &base, true, &top, &kinds), 0);
    assert_true(container.gone);
    ol_held_container_remove(&container, &kinds);
    assert_int_equal(ol_inode_kinds_total(&kinds), 0);
    ol_held_layer_remove(&top, &kinds);
    assert_int_equal(ol_inode_kinds_total(&kinds), -(3 + 1 + 3));
}

/* Through a mount whiteouts share the cached one; listed without one each is its own. */
static void naive__shares_whiteouts_through_a_mount(void **state)
{
    struct ol_held_way way = {.law = OL_LAW_OVERLAY2_NAIVE, .mounts = true, .naive_diff = true};
    struct fixture *f = *state;
    struct ol_held_container container;
    struct ol_held_layer base;
    struct ol_held_layer top;
    struct ol_inode_kinds kinds;

    assert_int_equal(ol_held_layer_apply(&way, f->model, NULL, &base, &kinds), 0);
    assert_int_equal(ol_held_container_create(&way, f->model, &base, &container, &kinds), 0);
    second_layer(f);
    assert_int_equal(ol_law_image_layer(OL_LAW_OVERLAY2_NAIVE, f->model, false, &kinds), 0);
    assert_int_equal(kinds.whiteout, 1);
    assert_int_equal(kinds.regular, 1);
    assert_int_equal(kinds.directory, 2); /* diff, a */
    assert_int_equal(kinds.bookkeeping, 6);
    container.way.mounts = false;
    assert_int_equal(ol_held_commit(&container, f->model, &base, false, &top, &kinds), 0);
    assert_int_equal(kinds.whiteout, 2);
    assert_int_equal(kinds.bookkeeping, 5);
}

static int64_t peak_of(struct fixture *f, enum ol_law law, const struct ol_held_layer *parent)
{
    const struct ol_held_way way = {.law = law, .mounts = true};
    struct ol_peak peak;

    assert_int_equal(ol_held_layer_peak(&way, f->model, parent, &peak), 0);
    return peak.inodes;
}

/* The clone is complete before anything in it is deleted; what an entry replaces was there. */
static void peak__counts_what_is_deleted_later(void **state)
{
    struct ol_held_layer base = {.is_parent = true};
    struct fixture *f = *state;

    assert_int_equal(peak_of(f, OL_LAW_OVERLAY, NULL), 2 + 6);
    assert_int_equal(peak_of(f, OL_LAW_OVERLAY2, NULL), 4 + 6);
    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    feed(f, OL_ENTRY_FILE, ".wh.a");
    feed(f, OL_ENTRY_FILE, "b"); /* file, directory and file of one name */
    feed(f, OL_ENTRY_DIRECTORY, "b");
    feed(f, OL_ENTRY_FILE, "b/c");
    feed(f, OL_ENTRY_FILE, "b");
    assert_int_equal(peak_of(f, OL_LAW_OVERLAY, &base), 4 + 3 - 1 + 2); /* or 4 + 3 */
    assert_int_equal(peak_of(f, OL_LAW_VFS, &base), 6);
    assert_int_equal(peak_of(f, OL_LAW_OVERLAY2, &base), 6 + 1 + 1 + 2);
    base.is_parent = false;
    assert_int_equal(peak_of(f, OL_LAW_OVERLAY2, &base), 6 + 1 + 1 + 2 + 1);
    assert_int_equal(peak_of(f, OL_LAW_SNAPSHOT, &base), 2 + 1 + 1 + 2);
}

static void shared__is_what_a_clone_links(void **state)
{
    struct fixture *f = *state;
    struct ol_inode_kinds kinds;

    feed(f, OL_ENTRY_FIFO, "a/pipe");
    second_layer(f);
    assert_int_equal(ol_law_layer_shared(OL_LAW_OVERLAY, f->model, false, &kinds), 0);
    assert_int_equal(kinds.regular, 1); /* etc/hosts; a/three is the layer's own */
    assert_int_equal(ol_inode_kinds_total(&kinds), 1);
    assert_int_equal(ol_law_layer_shared(OL_LAW_OVERLAY_CLONE_ALL, f->model, false, &kinds), 0);
    assert_int_equal(kinds.fifo, 1);
    assert_int_equal(ol_law_layer_shared(OL_LAW_OVERLAY2, f->model, false, &kinds), 0);
    assert_int_equal(ol_inode_kinds_total(&kinds), 0);
    assert_int_equal(ol_law_layer_shared(OL_LAW_VFS, f->model, false, &kinds), 0);
    assert_int_equal(ol_inode_kinds_total(&kinds), 0);
}

static void naive__has_to_be_tracked_from_the_start(void **state)
{
    struct fixture *f = *state;
    struct ol_model *model;
    struct ol_inode_kinds kinds;

    assert_int_equal(ol_model_track_naive(f->model, NULL), -EINVAL);
    assert_ok(ol_model_new(&model, &f->err), &f->err);
    assert_ok(ol_model_begin_layer(model, &f->err), &f->err);
    assert_int_equal(ol_law_image_layer(OL_LAW_OVERLAY2_NAIVE, model, true, &kinds), -ENOTSUP);
    ol_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(held__marks_a_parent_once, setup, model_teardown),
        cmocka_unit_test_setup_teardown(held__commit_frees_what_was_cached, setup, model_teardown),
        cmocka_unit_test_setup_teardown(held__snapshot_commit_takes_the_container, setup,
                                        model_teardown),
        cmocka_unit_test_setup_teardown(naive__shares_whiteouts_through_a_mount, setup,
                                        model_teardown),
        cmocka_unit_test_setup_teardown(peak__counts_what_is_deleted_later, setup, model_teardown),
        cmocka_unit_test_setup_teardown(shared__is_what_a_clone_links, setup, model_teardown),
        cmocka_unit_test_setup_teardown(naive__has_to_be_tracked_from_the_start, setup,
                                        model_teardown),
        cmocka_unit_test_teardown(held__leaves_nothing_when_all_is_removed, model_teardown),
    };
    return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
