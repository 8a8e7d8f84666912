/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two stacks compared without mounting them must give what the kernel's own mounts of them give.
 * The layers are drawn from seeds; a failure prints the seed.
 */
#include "support/support.h"

#include "common/fs/path.h"
#include "common/layer/changes.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"
#include "random_layers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { LAYERS = 5, SEEDS = 120 };

static const char *const layer_names[LAYERS] = {"l0", "l1", "l2", "l3", "l4"};

struct fixture {
    struct test_dir dir;
    int layers[LAYERS];
};

/* Which layers a side has: bit k for layer k, the highest topmost. */
struct side {
    unsigned set;
    const char *names[LAYERS];
    int fds[LAYERS];
    struct ol_stack stack;
    int view; /* the mounted stack, or the only layer */
    const char *target;
};

static int open_dir(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void make_layers(struct fixture *f, uint64_t seed)
{
    test_dir_make(&f->dir);
    for (unsigned i = 0; i < LAYERS; i++) {
        test_mkdir(f->dir.fd, layer_names[i], 0755);
        f->layers[i] = open_dir(f->dir.fd, layer_names[i]);
        random_layer_draw(f->layers[i], seed * LAYERS + i, i > 0);
    }
    test_mkdir(f->dir.fd, "new", 0755);
    test_mkdir(f->dir.fd, "old", 0755);
}

static void drop_layers(struct fixture *f)
{
    for (unsigned i = 0; i < LAYERS; i++)
        ol_fd_close(&f->layers[i]);
    test_dir_remove(&f->dir);
}

static void mount_side(struct fixture *f, struct side *side)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_overlay_spec spec = {.base = f->dir.path,
                                         .lowers = side->names,
                                         .n_lowers = side->stack.count,
                                         .target = side->target};

    if (side->stack.count > 1)
        assert_ok(ol_overlay_mount(&spec, &err), &err);
    side->view = side->stack.count > 1 ? open_dir(f->dir.fd, side->target)
                                       : fcntl(side->fds[0], F_DUPFD_CLOEXEC, 0);
    assert_true(side->view >= 0);
}

static void unmount_side(struct fixture *f, struct side *side)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;

    ol_fd_close(&side->view);
    assert_true(asprintf(&path, "%s/%s", f->dir.path, side->target) > 0);
    assert_ok(ol_mount_detach(path, &err), &err);
}

static void make_side(struct fixture *f, struct side *side, unsigned set, const char *target)
{
    *side = (struct side){.set = set, .target = target, .view = -1};
    for (unsigned i = LAYERS; i-- > 0;) {
        if ((set & 1u << i) == 0)
            continue;
        side->names[side->stack.count] = layer_names[i];
        side->fds[side->stack.count++] = f->layers[i];
    }
    side->stack.fds = side->fds;
    side->stack.overlay = side->stack.count > 1;
    mount_side(f, side);
}

static char *compare(const struct ol_stack *now, const struct ol_stack *was, uint64_t *ret_size)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;

    assert_ok(ol_changes_compare(now, was, 0, &changes, &err), &err);
    assert_ok(ol_changes_size(now, &changes, ret_size, &err), &err);
    return changes_text(&changes);
}

/* Layer 0 is a full tree and may stand alone; the others are read as overlay layers only. */
static void draw_sets(uint64_t *state, unsigned sets[2])
{
    for (int i = 0; i < 2; i++)
        sets[i] = 1u | (unsigned)(random_next(state) % (1u << LAYERS));
    switch (random_next(state) % 4) {
    case 0: /* a container: the parent's layers and one on top */
        sets[0] |= 1u << (LAYERS - 1);
        sets[1] = sets[0] & ~(1u << (LAYERS - 1));
        break;
    case 1: /* an image and its base */
        sets[0] = (1u << LAYERS) - 1;
        sets[1] = 1;
        break;
    default: /* unrelated */
        break;
    }
}

static void compare_seed(uint64_t seed)
{
    struct fixture f;
    struct side now, was;
    uint64_t state = seed, by_stack = 0, by_view = 0;
    ol_auto_free char *from_stacks = NULL, *from_views = NULL;
    unsigned sets[2];
    bool same;

    make_layers(&f, seed);
    draw_sets(&state, sets);
    make_side(&f, &now, sets[0], "new");
    make_side(&f, &was, sets[1], "old");
    from_stacks = compare(&now.stack, &was.stack, &by_stack);
    from_views = compare(&(struct ol_stack){&now.view, 1, false, OL_OVERLAY_TRUSTED},
                         &(struct ol_stack){&was.view, 1, false, OL_OVERLAY_TRUSTED}, &by_view);
    unmount_side(&f, &now);
    unmount_side(&f, &was);
    drop_layers(&f);
    same = strcmp(from_stacks, from_views) == 0 && by_stack == by_view;
    if (!same)
        print_message("seed %llu, layers %#x against %#x\n", (unsigned long long)seed, sets[0],
                      sets[1]);
    assert_string_equal(from_stacks, from_views);
    assert_int_equal(by_stack, by_view);
}

static void changes__stacks_equal_their_mounted_views(void **state)
{
    (void)state;
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    OL_REQUIRE(can_mknod, "layers hold device nodes");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        compare_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes__stacks_equal_their_mounted_views),
    };
    return cmocka_run_group_tests_name("changes_stacks", tests, NULL, NULL);
}
