/* SPDX-License-Identifier: Apache-2.0 */
/* The model and the laws against the numbers measured on live daemons (spec graphdriver.md 5). */
#include "model_fixture.h"

#include "common/buf.h"

#include <errno.h>

static int setup(void **state)
{
    (void)model_make(state, false); /* in *state */
    return 0;
}

static int feed(struct fixture *f, enum ol_entry_type type, const char *path, const char *link)
{
    const struct ol_entry entry = {.path = path, .link = link, .type = type, .mode = 0644};

    return ol_model_add(f->model, &entry, &f->err);
}

static void add(struct fixture *f, enum ol_entry_type type, const char *path, const char *link)
{
    assert_ok(feed(f, type, path, link), &f->err);
}

static void add_file(struct fixture *f, const char *path)
{
    add(f, OL_ENTRY_FILE, path, NULL);
}

static void next_layer(struct fixture *f)
{
    assert_ok(ol_model_begin_layer(f->model, &f->err), &f->err);
}

/* The image of the table in 5.1: 7 directories, 21 files on 22 names, 5 specials on 4 inodes. */
static void measured_base(struct fixture *f)
{
    static const char *const dirs[] = {"a", "a/b", "a/b/c", "d", "e", "f"};
    char name[16];

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        add(f, OL_ENTRY_DIRECTORY, dirs[i], NULL);
    for (int i = 0; i < 21; i++) {
        (void)snprintf(name, sizeof name, "a/file%d", i);
        add_file(f, name);
    }
    add(f, OL_ENTRY_HARDLINK, "d/linked", "a/file0");
    add(f, OL_ENTRY_SYMLINK, "s1", "a/file1");
    add(f, OL_ENTRY_SYMLINK, "s2", "nowhere");
    add(f, OL_ENTRY_HARDLINK, "s3", "s1");
    add(f, OL_ENTRY_FIFO, "pipe", NULL);
    add(f, OL_ENTRY_CHAR, "tty", NULL);
}

static int64_t layer_total(struct fixture *f, enum ol_law law, bool base)
{
    struct ol_inode_kinds kinds;

    assert_int_equal(ol_law_image_layer(law, f->model, base, &kinds), 0);
    return ol_inode_kinds_total(&kinds);
}

static int64_t create_total(struct fixture *f, enum ol_law law, bool first_use)
{
    struct ol_inode_kinds kinds;

    assert_int_equal(ol_law_container_create(law, f->model, first_use, &kinds), 0);
    return ol_inode_kinds_total(&kinds);
}

static void oracle__counts_the_measured_image(void **state)
{
    struct ol_model_counts counts;

    measured_base(*state);
    ol_model_counts(((struct fixture *)*state)->model, &counts);
    assert_int_equal(counts.directories, 7);
    assert_int_equal(counts.regular, 21);
    assert_int_equal(counts.regular_names, 22);
    assert_int_equal(counts.specials, 5);
    assert_int_equal(counts.special_inodes, 4);
    assert_int_equal(counts.written, 21);
    assert_int_equal(counts.layer_directories, 6);
}

static void oracle__predicts_the_measured_table(void **state)
{
    struct fixture *f = *state;

    measured_base(f);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY, true), 33);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY2, true), 35);
    assert_int_equal(layer_total(f, OL_LAW_VFS, true), 32);
    assert_int_equal(layer_total(f, OL_LAW_SNAPSHOT, true), 2 + 32);
    assert_int_equal(layer_total(f, OL_LAW_NULL, true), 0);
    assert_int_equal(create_total(f, OL_LAW_OVERLAY, true), 34);
    assert_int_equal(create_total(f, OL_LAW_OVERLAY2, true), 28);
    assert_int_equal(create_total(f, OL_LAW_OVERLAY2, false), 27);
    assert_int_equal(create_total(f, OL_LAW_SNAPSHOT, true), 3);
    next_layer(f); /* one new file in an existing directory */
    add_file(f, "a/b/c/new");
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY, false), 14);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY_CLONE_ALL, false), 9);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY2, false), 10);
    assert_int_equal(layer_total(f, OL_LAW_SNAPSHOT, false), 3 + 4);
    assert_int_equal(layer_total(f, OL_LAW_VFS, false), 7 + 22 + 5);
    next_layer(f); /* one file replaced */
    add_file(f, "a/file3");
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY, false), 14);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY2, false), 8);
}

/* As measured on containerd 1.6.20, which makes no init layer and moves no data in a commit. */
static void oracle__predicts_a_snapshots_life(void **state)
{
    struct fixture *f = *state;
    struct ol_inode_kinds created;
    struct ol_inode_kinds kinds;

    measured_base(f);
    assert_int_equal(ol_law_container_create(OL_LAW_SNAPSHOT, f->model, true, &created), 0);
    assert_int_equal(created.directory, 1);
    assert_int_equal(created.bookkeeping, 2);
    for (int mounts = 0; mounts <= 1; mounts++) {
        ol_law_container_mount(OL_LAW_SNAPSHOT, mounts, &kinds);
        assert_int_equal(ol_inode_kinds_total(&kinds), 1);
        ol_law_container_unmount(OL_LAW_SNAPSHOT, mounts, &kinds);
        assert_int_equal(ol_inode_kinds_total(&kinds), 0);
    }
    next_layer(f);
    add_file(f, "a/new");
    assert_int_equal(ol_law_commit(OL_LAW_SNAPSHOT, f->model, &created, true, &kinds), 0);
    assert_int_equal(ol_inode_kinds_total(&kinds), 0);
}

/* A base's whiteouts delete what its own tar wrote before them; above it they are inodes. */
static void oracle__a_snapshots_base_is_a_full_tree(void **state)
{
    struct fixture *f = *state;

    add_file(f, "a");
    add_file(f, "b");
    add_file(f, ".wh.a");
    assert_int_equal(layer_total(f, OL_LAW_SNAPSHOT, true), 3 + 1);
    next_layer(f);
    add_file(f, ".wh.b");
    assert_int_equal(layer_total(f, OL_LAW_SNAPSHOT, false), 3 + 1);
}

/* Has what the init step otherwise makes, and files of its own in the place of others. */
static void debian_like(struct fixture *f)
{
    static const char *const dirs[] = {"dev", "dev/pts", "dev/shm", "proc", "sys", "etc"};

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        add(f, OL_ENTRY_DIRECTORY, dirs[i], NULL);
    add_file(f, "etc/hostname");
    add(f, OL_ENTRY_SYMLINK, "etc/mtab", "../proc/self/mounts");
}

static void oracle__predicts_the_container_of_a_debian_like_image(void **state)
{
    struct fixture *f = *state;
    struct ol_inode_kinds created;
    struct ol_inode_kinds commit;
    struct ol_inode_kinds layer;

    debian_like(f);
    assert_int_equal(create_total(f, OL_LAW_OVERLAY, true), 27);
    assert_int_equal(create_total(f, OL_LAW_OVERLAY2, false), 24);
    assert_int_equal(create_total(f, OL_LAW_VFS, true), 2 * (7 + 2 + 4));
    assert_int_equal(ol_law_container_create(OL_LAW_OVERLAY, f->model, true, &created), 0);
    assert_int_equal(created.whiteout, 1);
    next_layer(f);
    add_file(f, "etc/new");
    assert_int_equal(ol_law_image_layer(OL_LAW_OVERLAY, f->model, false, &layer), 0);
    assert_int_equal(ol_law_commit(OL_LAW_OVERLAY, f->model, &created, true, &commit), 0);
    assert_int_equal(ol_inode_kinds_total(&commit), ol_inode_kinds_total(&layer) - 1);
    assert_int_equal(ol_law_commit(OL_LAW_OVERLAY, f->model, &created, false, &commit), 0);
    assert_int_equal(ol_inode_kinds_total(&commit), ol_inode_kinds_total(&layer));
}

/* /dev and /etc as symlinks: the init step removes them and makes directories. */
static void oracle__init_layer_replaces_symlinked_directories(void **state)
{
    struct fixture *f = *state;

    add(f, OL_ENTRY_SYMLINK, "dev", "/elsewhere");
    add(f, OL_ENTRY_SYMLINK, "etc", "usr/etc");
    assert_int_equal(create_total(f, OL_LAW_OVERLAY, true), 2 * (5 + 12) + 1);
}

static void oracle__whiteouts_delete_and_count_in_the_layer(void **state)
{
    struct fixture *f = *state;
    struct ol_model_counts counts;
    struct ol_model_node node;

    measured_base(f);
    next_layer(f);
    add_file(f, "a/.wh.file3");
    add_file(f, ".wh.e");
    add_file(f, ".wh.missing");
    ol_model_counts(f->model, &counts);
    assert_int_equal(counts.layer_whiteouts, 3);
    assert_int_equal(counts.layer_directories, 1);
    assert_int_equal(counts.directories, 6);
    assert_int_equal(counts.regular, 20);
    assert_int_equal(counts.written, 0);
    assert_false(ol_model_lookup(f->model, "a/file3", &node));
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY, false), 1 + 6 + 5);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY2, false), 6 + 1 + 3);
}

static void oracle__opaque_marker_spares_what_its_own_tar_wrote(void **state)
{
    struct fixture *f = *state;
    struct ol_model_counts counts;
    struct ol_model_node node;

    measured_base(f);
    next_layer(f);
    add(f, OL_ENTRY_DIRECTORY, "a", NULL);
    add_file(f, "a/mine");
    add_file(f, "a/.wh..wh..opq");
    ol_model_counts(f->model, &counts);
    assert_int_equal(counts.layer_opaques, 1);
    assert_int_equal(counts.layer_whiteouts, 0);
    assert_true(ol_model_lookup(f->model, "a/mine", &node));
    assert_false(ol_model_lookup(f->model, "a/b", &node));
    assert_int_equal(counts.regular, 2); /* and file0, by its other name d/linked */
}

static void oracle__replaces_objects_of_another_type(void **state)
{
    struct fixture *f = *state;
    struct ol_model_node node;

    measured_base(f);
    next_layer(f);
    add_file(f, "a");
    add(f, OL_ENTRY_DIRECTORY, "s1", NULL);
    assert_true(ol_model_lookup(f->model, "a", &node));
    assert_int_equal(node.type, OL_MODEL_FILE);
    assert_true(ol_model_lookup(f->model, "s1", &node));
    assert_int_equal(node.type, OL_MODEL_DIRECTORY);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY2, false), 8);
    assert_int_equal(layer_total(f, OL_LAW_OVERLAY, false), 1 + 5 + 4 + 1);
}

static void oracle__entries_below_a_symlink_go_through_it(void **state)
{
    struct fixture *f = *state;
    struct ol_model_node node;

    add(f, OL_ENTRY_DIRECTORY, "usr/lib", NULL);
    add(f, OL_ENTRY_SYMLINK, "lib", "usr/lib");
    add(f, OL_ENTRY_SYMLINK, "out", "../../usr");
    add_file(f, "lib/x");
    add_file(f, "out/lib/y");
    assert_true(ol_model_lookup(f->model, "usr/lib/x", &node));
    assert_true(ol_model_lookup(f->model, "usr/lib/y", &node));
    add(f, OL_ENTRY_SYMLINK, "loop", "loop");
    assert_int_equal(feed(f, OL_ENTRY_FILE, "loop/x", NULL), -ELOOP);
    assert_message(&f->err, "'loop/x'");
    assert_int_equal(feed(f, OL_ENTRY_FILE, "lib/x/y", NULL), -ENOTDIR);
}

static void oracle__hard_link_to_another_layers_file_breaks_it_when_it_writes(void **state)
{
    struct fixture *f = *state;
    struct ol_entry entry = {.type = OL_ENTRY_HARDLINK, .link = "a/file0", .mode = 0644};
    struct ol_model_counts counts;

    measured_base(f);
    next_layer(f);
    entry.path = "same"; /* its metadata is the file's own: only a name more */
    assert_ok(ol_model_add(f->model, &entry, &f->err), &f->err);
    ol_model_counts(f->model, &counts);
    assert_int_equal(counts.written, 0);
    entry.path = "other";
    entry.mode = 0600;
    assert_ok(ol_model_add(f->model, &entry, &f->err), &f->err);
    ol_model_counts(f->model, &counts);
    assert_int_equal(counts.written, 1);
    assert_int_equal(counts.regular, 22); /* d/linked keeps the old one */
    assert_int_equal(layer_total(f, OL_LAW_VFS, false), 7 + 21 + 5); /* a plain link there */
    assert_int_equal(feed(f, OL_ENTRY_HARDLINK, "bad", "a/none"), -ENOENT);
}

static int collect(const struct ol_model_node *node, void *data)
{
    return ol_buf_printf(data, "%s %d %u\n", node->path, node->type, node->links);
}

static void oracle__walks_in_sorted_pre_order(void **state)
{
    struct fixture *f = *state;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    add_file(f, "a/x");
    add_file(f, "a-b");
    add(f, OL_ENTRY_HARDLINK, "a/y", "a-b");
    add(f, OL_ENTRY_SYMLINK, "z", "a");
    assert_int_equal(ol_model_walk(f->model, collect, &text), 0);
    assert_string_equal(ol_buf_str(&text), " 1 1\na 1 1\na/x 0 1\na/y 0 2\na-b 0 2\nz 2 1\n");
}

static void oracle__refuses_whiteouts_that_climb(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(feed(f, OL_ENTRY_FILE, "a/.wh...", NULL), -EINVAL);
    assert_message(&f->err, "'a/.wh...'");
}

/* Many names and deletions: the tree's own bookkeeping. */
static void oracle__survives_many_additions_and_removals(void **state)
{
    struct fixture *f = *state;
    struct ol_model_counts counts;
    char path[64];

    for (int i = 0; i < 20000; i++) {
        (void)snprintf(path, sizeof path, "d%d/f%d", i % 97, i);
        add_file(f, path);
    }
    next_layer(f);
    for (int i = 0; i < 97; i += 2) {
        (void)snprintf(path, sizeof path, ".wh.d%d", i);
        add_file(f, path);
    }
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(path, sizeof path, "e%d/f%d", i % 7, i);
        add_file(f, path);
    }
    ol_model_counts(f->model, &counts);
    assert_int_equal(counts.directories, 1 + 48 + 7);
    assert_int_equal(counts.written, 5000);
    assert_int_equal(counts.layer_whiteouts, 49);
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, setup, model_teardown)

/* Names that a link with other metadata parted, where layers share the file, are one file in a
 * plain copy of the tree; another model of the image knows that, too. */
static void oracle__copy_keeps_parted_links_one_file(void **state)
{
    struct fixture *f = *state;
    struct ol_entry entry = {
        .path = "third", .link = "first", .type = OL_ENTRY_HARDLINK, .mode = 0600};
    struct ol_model *copy = NULL;
    struct ol_inode_kinds kinds;

    add_file(f, "first");
    add(f, OL_ENTRY_HARDLINK, "second", "first");
    next_layer(f);
    assert_ok(ol_model_add(f->model, &entry, &f->err), &f->err);
    assert_int_equal(ol_law_image_layer(OL_LAW_VFS, f->model, false, &kinds), 0);
    assert_int_equal(kinds.regular, 1);
    assert_ok(ol_model_copy(f->model, &copy, &f->err), &f->err);
    assert_int_equal(ol_law_image_layer(OL_LAW_VFS, copy, false, &kinds), 0);
    ol_model_free(copy);
    assert_int_equal(kinds.regular, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(oracle__counts_the_measured_image),
        case_of(oracle__predicts_the_measured_table),
        case_of(oracle__predicts_a_snapshots_life),
        case_of(oracle__a_snapshots_base_is_a_full_tree),
        case_of(oracle__predicts_the_container_of_a_debian_like_image),
        case_of(oracle__init_layer_replaces_symlinked_directories),
        case_of(oracle__whiteouts_delete_and_count_in_the_layer),
        case_of(oracle__opaque_marker_spares_what_its_own_tar_wrote),
        case_of(oracle__replaces_objects_of_another_type),
        case_of(oracle__entries_below_a_symlink_go_through_it),
        case_of(oracle__hard_link_to_another_layers_file_breaks_it_when_it_writes),
        case_of(oracle__walks_in_sorted_pre_order),
        case_of(oracle__refuses_whiteouts_that_climb),
        case_of(oracle__survives_many_additions_and_removals),
        case_of(oracle__copy_keeps_parted_links_one_file),
    };
    return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
