/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes containers, images made from them and names, failing and killed at every point at
 * which it is about to change the world. Opened again, the data root is as before or as after, has
 * exactly the inodes of that state, nothing is mounted, and the checker finds nothing.
 */
#include "containers_fixture.h"
#include "image_builder.h"

#include "common/fs/tree.h"
#include "common/mount/mount.h"
#include "common/mount/view.h"
#include "support/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { POINTS_MAX = 2000 }; /* an operation that never succeeds is a bug of the test */

/* Processes die here, not the machine: waiting for the disk would prove nothing, and take minutes.
 */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

static const struct engine {
    const char *driver;
    enum ol_view view;
} engines[] = {
    {"vfs", OL_VIEW_DIRECT},
    {"overlay2", OL_VIEW_DIRECT},
    {"overlay2", OL_VIEW_KERNEL},
    {"overlay", OL_VIEW_KERNEL},
};

/* ---- the operations ---- */

static int do_create(struct containers_fixture *f)
{
    return containers_try_add(f, "fresh", NULL);
}

static int do_remove(struct containers_fixture *f)
{
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    int r = ol_containers_find(f->containers, "spare", &c, NULL);

    return r < 0 ? r : ol_containers_remove(f->containers, &c, NULL);
}

static int commit_as(struct containers_fixture *f, const char *name)
{
    const struct ol_container_commit commit = {
        .name = name, .message = "msg", .created = {.tv_sec = 1700000000}};
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    struct ol_container_committed made;
    int r = ol_containers_find(f->containers, "box", &c, NULL);

    return r < 0 ? r : ol_containers_commit(f->containers, &c, &commit, &made, NULL);
}

static int do_commit(struct containers_fixture *f)
{
    return commit_as(f, "done:1");
}

static int do_image_remove(struct containers_fixture *f)
{
    return ol_images_remove(f->images, "made:1", false, NULL, NULL, NULL);
}

static int do_tag(struct containers_fixture *f)
{
    struct ol_stored_image image;
    int r = ol_images_find(f->images, "made:1", &image, NULL);

    return r < 0 ? r
                 : ol_images_tag(f->images, &(struct ol_image_tag){"made:2", image.id}, 1, NULL);
}

static int do_move_tag(struct containers_fixture *f)
{
    return ol_images_tag(f->images, &(struct ol_image_tag){"made:1", f->base}, 1, NULL);
}

/* With what killed processes left. */
static int do_open(struct containers_fixture *f)
{
    return containers_try_open(f, NULL);
}

/* A container without its record, records written aside, a layer that no image has. */
static void leave_much(struct containers_fixture *f)
{
    ol_auto_free char *id = NULL;
    ol_auto_free char *record = NULL;
    ol_auto_free char *aside = NULL;
    ol_auto_free char *names = text_of("root/image/%s/.new-0123456789abcdef", f->driver);
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;

    containers_reopen(f);
    id = containers_add(f, "left");
    make_layer(&tar, "d/nobody");
    const struct ol_input input = OL_INPUT_FD(tarball_fd(&tar));
    assert_int_equal(ol_store_register(ol_images_layers(f->images), NULL, &input, NULL, &layer,
                                       NULL, NULL, NULL, NULL),
                     0);
    tarball_fini(&tar);
    containers_shut(f);
    record = text_of("root/containers/%s", id);
    aside = text_of("root/containers/tmp-%s", id);
    assert_int_equal(renameat(f->dir.fd, record, f->dir.fd, aside), 0);
    test_write(f->dir.fd, names, "half");
}

/* ---- an image without a name: docker's, too, when it dies between the two ---- */

struct unnamed {
    struct containers_fixture *f;
    char id[OL_DIGEST_SIZE];
};

static int count_name(const char *name, const char *id, void *data)
{
    (void)name;
    (void)id;
    ++*(unsigned *)data;
    return 0;
}

static int note_unnamed(const struct ol_stored_image *image, void *data)
{
    struct unnamed *unnamed = data;
    unsigned names = 0;
    int r = ol_images_tags(unnamed->f->images, image->id, count_name, &names, NULL);

    if (names == 0)
        memcpy(unnamed->id, image->id, sizeof unnamed->id);
    return r;
}

static struct unnamed find_unnamed(struct containers_fixture *f)
{
    struct unnamed unnamed = {.f = f, .id = ""};

    assert_int_equal(ol_images_list(f->images, note_unnamed, &unnamed, NULL), 0);
    return unnamed;
}

static int finish_commit(struct containers_fixture *f)
{
    struct unnamed made = find_unnamed(f);

    return ol_images_tag(f->images, &(struct ol_image_tag){"done:1", made.id}, 1, NULL);
}

static int finish_image_remove(struct containers_fixture *f)
{
    struct unnamed left = find_unnamed(f);

    return ol_images_remove(f->images, left.id, false, NULL, NULL, NULL);
}

/* Containers, names of images, images and layers: as picture() has them. */
#define BEFORE "box spare / base:1 made:1 / 2 images, 2 layers"

static const struct operation {
    const char *name;
    int (*run)(struct containers_fixture *f);
    const char *after;
    const char *between; /* also possible after a kill; NULL: nothing else is */
    int (*finish)(struct containers_fixture *f);   /* from there to after */
    void (*prepare)(struct containers_fixture *f); /* before it all, or NULL; leaves it shut */
    bool opens;                                    /* it opens the store itself */
} operations[] = {
    {"create", do_create, "box fresh spare / base:1 made:1 / 2 images, 2 layers", NULL, NULL, NULL,
     false},
    {"rm", do_remove, "box / base:1 made:1 / 2 images, 2 layers", NULL, NULL, NULL, false},
    {"commit", do_commit, "box spare / base:1 done:1 made:1 / 3 images, 3 layers",
     "box spare / base:1 made:1 / 3 images, 3 layers", finish_commit, NULL, false},
    {"image rm", do_image_remove, "box spare / base:1 / 1 images, 1 layers",
     "box spare / base:1 / 2 images, 2 layers", finish_image_remove, NULL, false},
    {"tag", do_tag, "box spare / base:1 made:1 made:2 / 2 images, 2 layers", NULL, NULL, NULL,
     false},
    {"move a tag", do_move_tag, "box spare / base:1 made:1(base) / 2 images, 2 layers", NULL, NULL,
     NULL, false},
    {"open", do_open, BEFORE, NULL, NULL, leave_much, true},
};

/* ---- a data root, and what is in it ---- */

/* Two containers, two images with a name each, and more in one container than in its image. */
static void populate(struct containers_fixture *f)
{
    containers_make(f, "box");
    containers_make(f, "spare");
    containers_write(f, "box", "new", "text");
    assert_int_equal(commit_as(f, "made:1"), 0);
    containers_write(f, "box", "more", "text");
    containers_shut(f);
}

struct tags {
    struct containers_fixture *f;
    struct ol_buf *text;
};

static int note_tag(const char *name, const char *id, void *data)
{
    const struct tags *tags = data;
    bool moved = strcmp(id, tags->f->base) == 0 && strcmp(name, "base:1") != 0;

    return ol_buf_printf(tags->text, " %s%s", name, moved ? "(base)" : "");
}

static int count_image(const struct ol_stored_image *image, void *data)
{
    (void)image;
    ++*(unsigned *)data;
    return 0;
}

static int count_layer(const struct ol_store_layer *layer, void *data)
{
    (void)layer;
    ++*(unsigned *)data;
    return 0;
}

static char *picture(struct containers_fixture *f)
{
    static const char *const known[] = {"box ", "fresh ", "spare "}; /* ids are in no order */
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_free char *names = containers_names(f);
    struct tags tags = {f, &text};
    unsigned images = 0;
    unsigned layers = 0;
    size_t len = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(known); i++)
        if (strstr(names, known[i]) != NULL)
            assert_int_equal(ol_buf_puts(&text, known[i]), 0);
    len = text.len;
    assert_int_equal(strlen(names), len);
    assert_int_equal(ol_buf_puts(&text, "/"), 0);
    assert_int_equal(ol_images_tags(f->images, NULL, note_tag, &tags, NULL), 0);
    assert_int_equal(ol_images_list(f->images, count_image, &images, NULL), 0);
    assert_int_equal(ol_store_layer_list(ol_images_layers(f->images), count_layer, &layers, NULL),
                     0);
    assert_int_equal(ol_buf_printf(&text, " / %u images, %u layers", images, layers), 0);
    return ol_buf_steal(&text);
}

static int count_workdir(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    size_t len = strlen(entry->path);

    (void)err;
    *(uint64_t *)data += len > 10 && strcmp(entry->path + len - 10, "/work/work") == 0;
    return 0;
}

/* Without overlayfs' own directories: a mount makes, empties and removes them as it likes. */
static uint64_t count_inodes(const struct containers_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = openat(f->dir.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct ol_tree_usage usage = {0};
    uint64_t workdirs = 0;

    assert_ok(ol_tree_usage(fd, true, &usage, &err), &err);
    assert_ok(ol_tree_walk(fd, count_workdir, &workdirs, &err), &err);
    return usage.inodes - workdirs;
}

/* Nothing is mounted, nothing is wrong, nothing is left over. The store is open before and after.
 */
static void assert_sound(struct containers_fixture *f, uint64_t inodes)
{
    ol_auto_free char *told = containers_check(f, false);
    char **mounts = NULL;
    size_t count = 0;

    assert_string_equal(told, "");
    assert_int_equal(ol_mount_list_below(f->root, &mounts, &count, NULL), 0);
    ol_mount_list_free(mounts);
    assert_int_equal(count, 0);
    if (inodes != 0)
        assert_int_equal(count_inodes(f), inodes);
    containers_reopen(f);
}

/* ---- one operation on one engine ---- */

struct run {
    const struct engine *engine;
    const struct operation *op;
    struct containers_fixture f; /* shut between the steps, unless it fails in this process */
    uint64_t before, after;      /* inodes */
};

static int begin_here(struct run *run)
{
    containers_shut(&run->f);
    return run->op->opens ? 0 : containers_try_open(&run->f, NULL);
}

static int begin(void *data)
{
    struct run *run = data;
    int r = run->engine->view == OL_VIEW_KERNEL ? ol_view_private_mounts(NULL) : 0;

    return r < 0 ? r : begin_here(run);
}

static int operate(void *data)
{
    struct run *run = data;

    return run->op->run(&run->f);
}

static void start(struct run *run)
{
    containers_init(&run->f, run->engine->driver, run->engine->view);
    populate(&run->f);
    run->before = count_inodes(&run->f);
    if (run->op->prepare != NULL)
        run->op->prepare(&run->f);
}

/* What an undisturbed one leaves. */
static void measure(struct run *run)
{
    ol_auto_free char *now = NULL;

    start(run);
    assert_int_equal(begin_here(run), 0);
    assert_int_equal(run->op->run(&run->f), 0);
    now = picture(&run->f);
    assert_string_equal(now, run->op->after);
    assert_sound(&run->f, 0);
    containers_shut(&run->f);
    run->after = count_inodes(&run->f);
    containers_fini(&run->f);
}

/* Opened again it is one of the states there are; then it is done. @return true: it was before */
static bool assert_whole(struct run *run)
{
    const struct operation *op = run->op;
    ol_auto_free char *now = NULL;
    ol_auto_free char *end = NULL;

    containers_reopen(&run->f);
    now = picture(&run->f);
    if (strcmp(now, BEFORE) == 0 && strcmp(op->after, BEFORE) != 0) {
        assert_sound(&run->f, run->before);
        return true;
    }
    if (op->between != NULL && strcmp(now, op->between) == 0)
        assert_int_equal(op->finish(&run->f), 0);
    else
        assert_string_equal(now, op->after);
    end = picture(&run->f);
    assert_string_equal(end, op->after);
    assert_sound(&run->f, run->after);
    return false;
}

static void kill_everywhere(const struct engine *engine, const struct operation *op)
{
    const struct crash crash = {op->name, begin, operate};
    struct run run = {.engine = engine, .op = op};
    bool killed = true;
    unsigned long n;

    measure(&run);
    start(&run);
    for (n = 1; killed && n < POINTS_MAX; n++) {
        bool again;

        containers_shut(&run.f);
        killed = crash_kill_at(&crash, &run, n);
        again = assert_whole(&run);
        if (again) {
            assert_true(killed);
            continue;
        }
        containers_fini(&run.f);
        start(&run);
    }
    assert_true(n > 3 && n < POINTS_MAX);
    containers_fini(&run.f);
}

/* A failure is told, and then nothing has changed, but for removals, which are steps. */
static void fail_everywhere(const struct engine *engine, const struct operation *op)
{
    const struct crash crash = {op->name, NULL, operate};
    struct run run = {.engine = engine, .op = op};
    bool delivered = true;
    unsigned long n;

    measure(&run);
    start(&run);
    for (n = 1; delivered && n < POINTS_MAX; n++) {
        bool again;
        int r;

        assert_int_equal(begin_here(&run), 0);
        delivered = crash_fail_at(&crash, &run, n, &r);
        again = assert_whole(&run);
        if (again)
            assert_true(r < 0);
        else if (op->run != do_remove && op->run != do_image_remove && !op->opens)
            assert_int_equal(r, 0);
        if (again)
            continue;
        containers_fini(&run.f);
        start(&run);
    }
    assert_true(n > 3 && n < POINTS_MAX);
    containers_fini(&run.f);
}

/* ---- */

struct test_case {
    const struct engine *engine;
    const struct operation *op;
    bool kill;
    char *name; /* owned */
};

static void run_case(void **state)
{
    const struct test_case *c = *state;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS)");
    if (c->engine->view == OL_VIEW_KERNEL)
        OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    else if (strcmp(c->engine->driver, "vfs") != 0)
        OL_REQUIRE(can_user_xattr, "user.* attributes");
    (c->kill ? kill_everywhere : fail_everywhere)(c->engine, c->op);
}

enum { CASES = 2 * OL_ARRAY_LEN(engines) * OL_ARRAY_LEN(operations) };

/* "--mounts": in the kernel view, and else in the direct one, which is much faster. */
int main(int argc, char **argv)
{
    const enum ol_view view = argc > 1 && strcmp(argv[1], "--mounts") == 0 ? OL_VIEW_KERNEL
                                                                           : OL_VIEW_DIRECT;
    static struct test_case cases[CASES];
    struct CMUnitTest tests[CASES];
    size_t count = 0;
    int failed;

    for (size_t i = 0; i < CASES; i++) {
        struct test_case *c = &cases[count];

        c->kill = i % 2 != 0;
        c->op = &operations[i / 2 % OL_ARRAY_LEN(operations)];
        c->engine = &engines[i / 2 / OL_ARRAY_LEN(operations)];
        if (c->engine->view != view)
            continue;
        c->name = text_of("%s__%s [%s, %s]", c->kill ? "killed" : "failing", c->op->name,
                          c->engine->driver, ol_view_name(view));
        tests[count++] = (struct CMUnitTest){c->name, run_case, NULL, NULL, c};
    }
    failed = _cmocka_run_group_tests("containers crash", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free(cases[i].name);
    return failed;
}
