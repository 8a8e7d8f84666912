/* SPDX-License-Identifier: Apache-2.0 */
/* The highest count while a container is committed: it depends on the order of the diff's tar. */
#include "model_fixture.h"

#include "bench/oracle/peak.h"
#include "bench/workloads/workload.h"

/* What an image of five inodes takes, and what the layer has besides, law by law. */
enum {
    COPY = 8,   /* all of it */
    CLONE = 4,  /* the root, "d", "l" and "s" */
    LEGACY = 4, /* layer directory, upper, work, lower-id */
    OVERLAY2 = 6 + 1
};

static void feed(struct fixture *f, enum ol_entry_type type, const char *path)
{
    const struct ol_entry entry = {
        .path = path, .link = "nowhere", .type = type, .mode = 0644, .size = 3};

    assert_ok(ol_model_add(f->model, &entry, &f->err), &f->err);
}

/* "d/x", "d/y", "l/one", "m", and a symlink "s". */
static int setup(void **state)
{
    struct fixture *f = model_make(state, true);

    feed(f, OL_ENTRY_FILE, "d/x");
    feed(f, OL_ENTRY_FILE, "d/y");
    feed(f, OL_ENTRY_FILE, "l/one");
    feed(f, OL_ENTRY_FILE, "m");
    feed(f, OL_ENTRY_SYMLINK, "s");
    return 0;
}

/* The changes as one layer of the model, in the order they are made. */
static void change(struct fixture *f, const struct ol_op *ops, size_t count)
{
    struct ol_plan *plan = NULL;

    assert_ok(ol_plan_list(f->model, ops, count, &plan, &f->err), &f->err);
    ol_plan_free(plan);
}

static struct ol_peak peak_of(const struct fixture *f, enum ol_law law, bool mounts, bool cached)
{
    const struct ol_held_container container = {
        .way = {.law = law, .mounts = mounts, .naive_diff = true}, .init_cached = cached};
    struct ol_peak peak;

    assert_int_equal(ol_held_commit_peak(&container, f->model, &peak), 0);
    assert_int_equal(peak.estimate, peak.least != peak.inodes);
    return peak;
}

/* Of what is exact in the direct view. */
static int64_t exact(const struct fixture *f, enum ol_law law)
{
    struct ol_peak peak = peak_of(f, law, false, false);

    assert_false(peak.estimate);
    return peak.inodes;
}

#define DELETE(name)                                                                               \
    {                                                                                              \
        .kind = OL_OP_DELETE, .path = (char[])                                                     \
        {                                                                                          \
            name                                                                                   \
        }                                                                                          \
    }
#define ADD(name)                                                                                  \
    {                                                                                              \
        .kind = OL_OP_ADD, .path = (char[]){name}, .mode = 0644                                    \
    }
#define RENAME(from, to)                                                                           \
    {                                                                                              \
        .kind = OL_OP_RENAME, .path = (char[]){from}, .target = (char[]){to}, .mode = 0644         \
    }
#define REPLACE(dir, file)                                                                         \
    {                                                                                              \
        .kind = OL_OP_REPLACE, .path = (char[]){dir}, .target = (char[]){file}, .mode = 0644       \
    }

static void commit_peak__adds_before_it_deletes_what_sorts_later(void **state)
{
    const struct ol_op ops[] = {DELETE("m"), ADD("a"), ADD("b")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 2);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE + 2); /* "m" was the image's */
    assert_int_equal(exact(f, OL_LAW_OVERLAY2), OVERLAY2 + 3);
}

static void commit_peak__deletes_before_it_adds_what_sorts_later(void **state)
{
    const struct ol_op ops[] = {ADD("n"), ADD("o"), DELETE("m")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 1);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE + 2);
    assert_int_equal(exact(f, OL_LAW_OVERLAY2), OVERLAY2 + 3);
}

/* The symlink is the clone's own: it makes room. */
static void commit_peak__knows_what_a_clone_owns(void **state)
{
    const struct ol_op ops[] = {ADD("t"), ADD("u"), DELETE("s")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 1);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE + 1);
    assert_int_equal(exact(f, OL_LAW_OVERLAY_CLONE_ALL), LEGACY + CLONE - 1 + 2);
}

/* Whole paths are sorted, "-" before "/": a walk would have deleted "d/x" first. */
static void commit_peak__sorts_whole_paths(void **state)
{
    const struct ol_op ops[] = {DELETE("d/x"), ADD("d-new")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 1);
}

static void commit_peak__walk_order_would_be_lower(void **state)
{
    const struct ol_op ops[] = {DELETE("d/x"), ADD("e")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY);
}

static void commit_peak__renames_to_what_sorts_before(void **state)
{
    const struct ol_op ops[] = {RENAME("m", "a")};
    struct fixture *f = *state;

    change(f, ops, 1);
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 1);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE + 1);
}

static void commit_peak__renames_to_what_sorts_after(void **state)
{
    const struct ol_op ops[] = {RENAME("m", "n")};
    struct fixture *f = *state;

    change(f, ops, 1);
    assert_int_equal(exact(f, OL_LAW_VFS), COPY);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE + 1);
    assert_int_equal(exact(f, OL_LAW_OVERLAY2), OVERLAY2 + 2);
}

/* The naive diff lists each name that went, at its place; the native one has an opaque marker. */
static void commit_peak__replaces_a_directory_name_by_name(void **state)
{
    const struct ol_op ops[] = {REPLACE("d", "d/xx")};
    struct fixture *f = *state;

    change(f, ops, 1);
    assert_int_equal(exact(f, OL_LAW_VFS), COPY); /* "d/x" goes, "d/xx" comes, "d/y" goes */
    assert_int_equal(exact(f, OL_LAW_OVERLAY2), OVERLAY2 + 2); /* "d", "d/xx" */
    assert_int_equal(exact(f, OL_LAW_OVERLAY2_NAIVE), OVERLAY2 + 4);
}

static void commit_peak__replaces_a_directory_after_its_new_file(void **state)
{
    const struct ol_op ops[] = {REPLACE("d", "d/a")};
    struct fixture *f = *state;

    change(f, ops, 1);
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 1);
}

/* What was added and deleted again is in no tar. */
static void commit_peak__knows_only_what_is_left_of_the_changes(void **state)
{
    const struct ol_op ops[] = {ADD("a"), ADD("b"), DELETE("a"), DELETE("b")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE);
}

/* Two more names of a file that goes: its inode stays until the last is gone. */
static void commit_peak__follows_links(void **state)
{
    const struct ol_op ops[] = {
        {.kind = OL_OP_LINK, .path = (char[]){"a"}, .target = (char[]){"z"}, .mode = 0644},
        DELETE("m")};
    struct fixture *f = *state;

    change(f, ops, OL_ARRAY_LEN(ops));
    assert_int_equal(exact(f, OL_LAW_VFS), COPY + 1);
    assert_int_equal(exact(f, OL_LAW_OVERLAY), LEGACY + CLONE + 1);
}

/* The diff's thread frees it before the first entry, and maybe before the clone is whole. */
static void commit_peak__init_layers_whiteout_goes_some_time_before_the_first_entry(void **state)
{
    const struct ol_op ops[] = {ADD("a")};
    struct fixture *f = *state;
    struct ol_peak peak;

    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err); /* an empty one */
    peak = peak_of(f, OL_LAW_OVERLAY, false, true);
    assert_int_equal(peak.least, LEGACY + CLONE - 1);
    assert_int_equal(peak.inodes, LEGACY + CLONE);
    change(f, ops, 1);
    peak = peak_of(f, OL_LAW_OVERLAY, false, true);
    assert_int_equal(peak.least, LEGACY + CLONE + 1 - 1);
    assert_false(peak.estimate);
}

/* merged of the container for certain, the init layer's and what the kernel tries there maybe. */
static void commit_peak__init_layer_is_mounted_by_another_thread(void **state)
{
    const struct ol_op ops[] = {ADD("a"), ADD("b"), ADD("c")};
    struct fixture *f = *state;
    struct ol_peak peak;

    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    peak = peak_of(f, OL_LAW_OVERLAY, true, false);
    assert_int_equal(peak.least, LEGACY + CLONE + 1);
    assert_int_equal(peak.inodes, LEGACY + CLONE + 1 + 1 + 2);
    peak = peak_of(f, OL_LAW_OVERLAY, true, true); /* gone before the kernel tries anything */
    assert_int_equal(peak.least, LEGACY + CLONE + 1 - 1);
    assert_int_equal(peak.inodes, LEGACY + CLONE + 1 + 1 + 2 - 1);
    change(f, ops, OL_ARRAY_LEN(ops));
    peak = peak_of(f, OL_LAW_OVERLAY, true, false);
    assert_int_equal(peak.least, LEGACY + CLONE + 1 + 3);
    assert_int_equal(peak.inodes, LEGACY + CLONE + 1 + 1 + 3);
}

/* Several threads remove a directory: every directory in it may have come up by then. */
static void commit_peak__bounds_what_removing_through_a_mount_copies_up(void **state)
{
    const struct ol_entry gone = {.path = ".wh.t", .type = OL_ENTRY_FILE};
    const struct ol_held_way way = {.law = OL_LAW_OVERLAY2_NAIVE, .mounts = true};
    struct ol_held_layer parent = {.is_parent = true};
    struct fixture *f = *state;
    struct ol_peak peak;

    feed(f, OL_ENTRY_FILE, "t/a/x");
    feed(f, OL_ENTRY_FILE, "t/b/x");
    feed(f, OL_ENTRY_FILE, "t/c/x");
    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
    assert_ok(ol_model_add(f->model, &gone, &f->err), &f->err);
    assert_int_equal(ol_held_layer_peak(&way, f->model, &parent, &peak), 0);
    assert_int_equal(peak.least, 8 + 1 + 1);          /* diff, the whiteout */
    assert_int_equal(peak.inodes, 8 + 1 + 4 + 1 + 1); /* "t" and three in it, and one made aside */
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, setup, model_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(commit_peak__adds_before_it_deletes_what_sorts_later),
        case_of(commit_peak__deletes_before_it_adds_what_sorts_later),
        case_of(commit_peak__knows_what_a_clone_owns),
        case_of(commit_peak__sorts_whole_paths),
        case_of(commit_peak__walk_order_would_be_lower),
        case_of(commit_peak__renames_to_what_sorts_before),
        case_of(commit_peak__renames_to_what_sorts_after),
        case_of(commit_peak__replaces_a_directory_name_by_name),
        case_of(commit_peak__replaces_a_directory_after_its_new_file),
        case_of(commit_peak__knows_only_what_is_left_of_the_changes),
        case_of(commit_peak__follows_links),
        case_of(commit_peak__init_layers_whiteout_goes_some_time_before_the_first_entry),
        case_of(commit_peak__init_layer_is_mounted_by_another_thread),
        case_of(commit_peak__bounds_what_removing_through_a_mount_copies_up),
    };
    return cmocka_run_group_tests_name("commit_peak", tests, NULL, NULL);
}
