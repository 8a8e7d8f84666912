/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the replay of layers. The input is text, one entry a line, from which two layer tars or
 * more are made; a layer that can be applied has to be one that can be replayed:
 *
 *     d PATH           directory            p PATH   FIFO
 *     f PATH CONTENT   file                 w PATH   whiteout of PATH
 *     s PATH TARGET    symlink              o PATH   opaque marker in PATH
 *     h PATH TARGET    hard link            |        end of the layer
 *
 * A digit behind the letter chooses mode, owner and time; links that disagree about those of one
 * file mean nothing. Beside crashes and sanitizer reports it
 * looks for four answers to be one: the layer applied to the tree, the plan carried out in the tree
 * and in an overlay over it, and the plan's simulation, inodes included.
 */
#include "place.h"

#include "support/tarball.h"

#include "bench/oracle/model_internal.h"
#include "bench/workloads/replay_internal.h"
#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/tree.h"
#include "common/fs/whiteout.h"
#include "common/layer/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LAYERS_MAX = 4, LINES_MAX = 60, LINE_MAX = 90, TIME = 1000000000 };

/* ---- the layers ---- */

struct layers {
    struct tarball tars[LAYERS_MAX];
    struct ol_input inputs[LAYERS_MAX];
    size_t count;
};

static void add_marker(struct tarball *tar, char kind, const char *path)
{
    const char *base = strrchr(path, '/');
    int dir = base != NULL ? (int)(base - path) + 1 : 0;
    char name[LINE_MAX + 20];

    if (kind == 'o')
        (void)snprintf(name, sizeof name, "%s/.wh..wh..opq", *path != '\0' ? path : ".");
    else
        (void)snprintf(name, sizeof name, "%.*s.wh.%s", dir, path, path + dir);
    tarball_add_file(tar, name, "");
}

static void add_entry(struct tarball *tar, const char *line)
{
    static const char *const kinds = "dfshp";
    static const char types[] = {'5', '0', '2', '1', '6'};
    static const int modes[] = {TARBALL_UNSET, 0700, 04755, 0755, 0750, 01777, 0744, 02711};
    char kind = line[0];
    unsigned variant = kind != '\0' && kind != 'h' && line[1] != ' ' ? (unsigned char)line[1] % 8
                                                                     : 0;
    const char *known = kind != '\0' ? strchr(kinds, kind) : NULL;
    char path[LINE_MAX + 1] = "";
    const char *arg = "";
    const char *at = strchr(line, ' ');

    if (at != NULL) {
        size_t len = strcspn(at + 1, " ");
        (void)snprintf(path, sizeof path, "%.*s", (int)len, at + 1);
        arg = at[1 + len] == ' ' ? at + len + 2 : "";
    }
    if (kind == 'w' || kind == 'o') {
        add_marker(tar, kind, path);
        return;
    }
    tarball_add(tar, &(struct tarball_entry){
                         .name = path,
                         .type = types[known != NULL ? known - kinds : (unsigned char)kind % 5],
                         .link = kind == 's' || kind == 'h' ? arg : NULL,
                         .mode = modes[variant],
                         .uid = variant,
                         .gid = variant,
                         .mtime = TIME + variant,
                         .content = kind == 'f' ? arg : NULL,
                         .content_len = kind == 'f' ? strlen(arg) : 0,
                     });
}

static void layers_make(struct layers *l, const uint8_t *data, size_t size)
{
    char line[LINE_MAX + 1];
    size_t len = 0;
    unsigned lines = 0;

    for (size_t i = 0; i < LAYERS_MAX; i++)
        l->tars[i] = (struct tarball)TARBALL_INIT;
    for (size_t i = 0; i < size && lines < LINES_MAX; i++) {
        if (data[i] != '\n' && len < LINE_MAX) {
            line[len++] = data[i] != '\0' ? (char)data[i] : '.';
            continue;
        }
        line[len] = '\0';
        len = 0;
        lines++;
        if (line[0] != '|')
            add_entry(&l->tars[l->count], line);
        else if (l->count + 1 < LAYERS_MAX)
            l->count++;
    }
    l->count++;
    for (size_t i = 0; i < l->count; i++) {
        tarball_end(&l->tars[i]);
        l->inputs[i] = (struct ol_input){tarball_fd(&l->tars[i]), 0, l->tars[i].len}; /* seekable */
    }
}

static void layers_free(struct layers *l)
{
    for (size_t i = 0; i < LAYERS_MAX; i++)
        tarball_fini(&l->tars[i]);
}

/* ---- the trees ---- */

/* What one layer is made in, emptied before each. */
static struct {
    int base;       /* the layers below */
    int applied;    /* with the layer applied */
    int replayed;   /* with the layer replayed */
    int over, work; /* an overlay on base: its upper and work are in over */
} trees = {.base = -1};

static int sub_dir(int dir_fd, const char *name)
{
    int fd;

    die_unless(mkdirat(dir_fd, name, 0755) == 0);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    die_unless(fd >= 0);
    return fd;
}

static void empty(int fd)
{
    die_unless(fchmod(fd, 0755) == 0); /* "./" may have closed it */
    die_unless(ol_tree_remove_content(fd, NULL) == 0);
}

static void trees_make(void)
{
    if (trees.base < 0) {
        trees.base = fuzz_place_dir("base");
        trees.applied = fuzz_place_dir("applied");
        trees.replayed = fuzz_place_dir("replayed");
        trees.over = fuzz_place_dir("over");
    }
    empty(trees.base);
}

static bool keeps_owner(void)
{
    return geteuid() == 0;
}

/* @param shared_inodes  as in an overlay, where a change leaves a file's other names alone */
static int apply(int fd, const struct ol_input *layer, bool shared_inodes)
{
    const struct ol_layer_options options = {
        .target = OL_LAYER_TREE,
        .keep_owner = keeps_owner(),
        .shared_inodes = shared_inodes,
        .limits = &fuzz_limits,
        .threads = 1,
        .no_digest = true,
    };

    return ol_layer_apply(fd, layer, &options, NULL, NULL);
}

static void clone_base(int fd)
{
    const struct ol_clone_options options = {
        .mode = OL_CLONE_CONTENT, .all_xattrs = true, .keep_owner = keeps_owner(), .threads = 1};

    empty(fd);
    die_unless(ol_tree_clone(trees.base, fd, &options, NULL, NULL) == 0);
}

static bool is_directory(int fd, const char *path)
{
    struct stat st;

    return fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/*
 * Where a marker comes after what it does not hide, a tree and an overlay differ in directories
 * that are only implied there: the tree keeps the old one's metadata, and drops it when it is empty
 * after all. A replay does as the overlay.
 */
static void assert_same(const struct ol_stack *got, bool has_opaque)
{
    const struct ol_stack want = {.fds = &trees.applied, .count = 1};
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    bool same = true;

    die_unless(ol_changes_compare(got, &want, 1, &changes, NULL) == 0);
    for (size_t i = 0; i < changes.count; i++) {
        const struct ol_change *change = &changes.items[i];

        if (has_opaque &&
            ((change->kind == OL_CHANGE_MODIFY && is_directory(trees.applied, change->path + 1)) ||
             (change->kind == OL_CHANGE_ADD && is_directory(got->fds[0], change->path + 1))))
            continue;
        (void)fprintf(stderr, "%c %s\n", "MAD"[change->kind], change -> path);
        same = false;
    }
    die_unless(same);
}

/* ---- the plan ---- */

static int add_to_model(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

struct counts {
    size_t entries, opaques;
};

static int count_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct counts *counts = data;

    (void)err;
    counts->entries++;
    counts->opaques += ol_whiteout_parse(ol_path_base(entry->path), NULL) == OL_WH_OPQ;
    return 0;
}

static bool is_canonical(const char *path)
{
    for (const char *at = path; *at != '\0';) {
        size_t len = strcspn(at, "/");

        if (len == 0 || (len <= 2 && strspn(at, ".") >= len))
            return false;
        at += len + (at[len] == '/');
        if (at[-1] == '/' && *at == '\0')
            return false;
    }
    return true;
}

static void check_items(const struct ol_replay *replay, const struct counts *counts)
{
    size_t planned = 0;

    for (size_t i = 0; i < replay->count; i++) {
        const struct ol_replay_item *item = &replay->items[i];
        bool needs_target = item->op == OL_REPLAY_LINK || item->op == OL_REPLAY_MOVE;

        planned += item->entry;
        die_unless(is_canonical(item->path));
        die_unless((item->target != NULL) == needs_target);
        die_unless(item->target == NULL || is_canonical(item->target));
        die_unless(item->entry || item->op == OL_REPLAY_IMPLY || item->op == OL_REPLAY_EMPTY ||
                   item->op == OL_REPLAY_REMOVE);
    }
    die_unless(planned == counts->entries);
    die_unless(replay->count == 0 || replay->items[replay->count - 1].entry);
}

/* ---- the simulation ---- */

struct simulated {
    struct ol_upper upper;
    const struct ol_model *after;
    bool has_opaque;
};

static int check_kept(const struct ol_model_node *node, void *data)
{
    const struct simulated *s = data;
    enum ol_mtype type;

    if (*node->path == '\0')
        return 0;
    die_unless(ol_upper_type(&s->upper, node->path, &type) == 0);
    die_unless((type == OL_M_DIR) == (node->type == OL_MODEL_DIRECTORY) &&
               (type == OL_M_FILE) == (node->type == OL_MODEL_FILE) &&
               (type == OL_M_SYMLINK) == (node->type == OL_MODEL_SYMLINK));
    return 0;
}

static int check_gone(const struct ol_model_node *node, void *data)
{
    const struct simulated *s = data;
    struct ol_model_node now;
    enum ol_mtype type;

    if (!ol_model_lookup(s->after, node->path, &now))
        die_unless(ol_upper_type(&s->upper, node->path, &type) < 0 ||
                   (s->has_opaque && type == OL_M_DIR));
    return 0;
}

/* The inodes that really are in the upper, and the cached whiteout. */
static void check_inodes(const struct ol_upper *upper)
{
    struct ol_inode_kinds want;
    struct ol_tree_usage got;

    ol_upper_kinds(upper, &want);
    die_unless(ol_tree_usage(trees.over, false, &got, NULL) == 0);
    die_unless((uint64_t)want.directory == got.directories - 3); /* over, work, work/work */
    die_unless((uint64_t)want.regular == got.regular);
    die_unless((uint64_t)want.symlink == got.symlinks && (uint64_t)want.fifo == got.fifos);
    die_unless((uint64_t)want.whiteout == got.whiteouts);
}

static void simulate(const struct ol_replay *replay, const struct ol_model *before,
                     const struct ol_model *after, bool has_opaque)
{
    struct simulated s = {.after = after, .has_opaque = has_opaque};

    die_unless(ol_upper_init(&s.upper, &before->merged, NULL) == 0);
    die_unless(ol_replay_simulate(replay, &s.upper) == 0);
    die_unless(ol_model_walk(after, check_kept, &s) == 0);
    die_unless(ol_model_walk(before, check_gone, &s) == 0);
    check_inodes(&s.upper);
    ol_upper_fini(&s.upper);
}

/* ---- for real ---- */

static void carry_out(const struct ol_replay *replay, struct ol_rootfs *fs)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (ol_replay_run(replay, fs, &err) < 0)
        (void)fprintf(stderr, "%s\n", ol_error_text(&err));
    die_unless(err.message == NULL);
    die_unless(ol_rootfs_close(fs, NULL) == 0);
}

static void replay_in_tree(const struct ol_replay *replay, bool has_opaque)
{
    struct ol_rootfs *fs = NULL;

    clone_base(trees.replayed);
    die_unless(ol_rootfs_open_dir(fcntl(trees.replayed, F_DUPFD_CLOEXEC, 0), &fs, NULL) == 0);
    carry_out(replay, fs);
    assert_same(&(struct ol_stack){.fds = &trees.replayed, .count = 1}, has_opaque);
}

static void replay_in_overlay(const struct ol_replay *replay, bool has_opaque)
{
    int fds[2];
    const struct ol_stack stack = {.fds = fds, .count = 2, .overlay = true, .ns = OL_OVERLAY_USER};
    struct ol_rootfs *fs = NULL;
    struct stat root;

    empty(trees.over);
    fds[0] = sub_dir(trees.over, "upper");
    fds[1] = trees.base;
    trees.work = sub_dir(trees.over, "work");
    die_unless(fstat(trees.base, &root) == 0);
    die_unless(fchown(fds[0], root.st_uid, root.st_gid) == 0 && fchmod(fds[0], root.st_mode) == 0);
    die_unless(ol_rootfs_open_overlay(&stack, trees.work, &fs, NULL) == 0);
    carry_out(replay, fs);
    assert_same(&stack, has_opaque);
    ol_fd_close(&fds[0]);
    ol_fd_close(&trees.work);
}

/* @return false: no layer of an image */
static bool take_layer(struct layers *l, size_t index, struct ol_model *model)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model *before = NULL;
    struct ol_replay *replay = NULL;
    int applied, planned;

    clone_base(trees.applied);
    applied = apply(trees.applied, &l->inputs[index], false);
    die_unless(ol_model_copy(model, &before, NULL) == 0);
    planned = ol_replay_plan(model, l->inputs, index, keeps_owner(), &replay, &err);
    if (applied == 0 && planned < 0)
        (void)fprintf(stderr, "%s\n", ol_error_text(&err));
    die_unless(applied < 0 || planned == 0);
    if (applied == 0) {
        struct counts counts = {0};

        die_unless(ol_layer_scan(&l->inputs[index], NULL, count_entry, &counts, NULL, NULL) == 0);
        check_items(replay, &counts);
        replay_in_tree(replay, counts.opaques > 0);
        clone_base(trees.applied);
        die_unless(apply(trees.applied, &l->inputs[index], true) == 0);
        replay_in_overlay(replay, counts.opaques > 0);
        simulate(replay, before, model, counts.opaques > 0);
        die_unless(apply(trees.base, &l->inputs[index], true) == 0);
    }
    if (planned == 0)
        ol_replay_free(replay);
    ol_model_free(before);
    return applied == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct layers layers = {.count = 0};
    struct ol_model *model = NULL;

    trees_make();
    layers_make(&layers, data, size);
    die_unless(ol_model_new(&model, NULL) == 0 && ol_model_begin_layer(model, NULL) == 0);
    if (apply(trees.base, &layers.inputs[0], true) == 0 &&
        ol_layer_scan(&layers.inputs[0], NULL, add_to_model, model, NULL, NULL) == 0) {
        for (size_t i = 1; i < layers.count && take_layer(&layers, i, model); i++)
            continue;
    }
    ol_model_free(model);
    layers_free(&layers);
    return 0;
}
