/* SPDX-License-Identifier: Apache-2.0 */
/* Running a story on every driver, each step held against the oracle; see story.h. */
#include "integration/story/world.h"

#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHANGE_BYTES = 1000 };

static bool failed(const struct world *world)
{
    return world->result->why[0] != '\0';
}

static bool is_live(const struct world *world, const struct teller *t)
{
    return !t->ended && !failed(world);
}

__attribute__((format(printf, 2, 3))) static void fail_story(struct world *world, const char *fmt,
                                                             ...)
{
    va_list args;

    if (failed(world))
        return;
    va_start(args, fmt);
    (void)vsnprintf(world->result->why, sizeof world->result->why, fmt, args);
    va_end(args);
}

/* The image whose top layer it is under this driver. */
static unsigned image_of(const struct teller *t, unsigned image)
{
    return image != STORY_NONE && t->is_alias[image] ? t->alias_of[image] : image;
}

static struct ol_held_layer *held_image(struct teller *t, unsigned image)
{
    return image == STORY_NONE ? NULL : &t->images[image_of(t, image)];
}

/* ---- comparing ---- */

static void check_kind(struct world *world, const struct teller *t, const char *step,
                       const char *kind, int64_t measured, int64_t predicted)
{
    if (measured != predicted)
        fail_story(world, "%s, %s: %" PRId64 " %s measured, %" PRId64 " predicted", t->name, step,
                   measured, kind, predicted);
}

/* The home against what it held before and the prediction. */
static void check(struct world *world, struct teller *t, const char *step,
                  const struct ol_inode_kinds *predicted)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_inode_kinds *p = predicted;
    struct ol_home_usage after;
    struct ol_inode_kinds m;

    assert_ok(ol_home_usage_get(t->home_fd, &after, &err), &err);
    m = after.kinds;
    ol_inode_kinds_add(&m, &t->usage.kinds, -1);
    t->usage = after;
    world->result->steps++;
    check_kind(world, t, step, "directories", m.directory, p->directory);
    check_kind(world, t, step, "regular files", m.regular, p->regular);
    check_kind(world, t, step, "symlinks", m.symlink, p->symlink);
    check_kind(world, t, step, "devices", m.device, p->device);
    check_kind(world, t, step, "fifos", m.fifo, p->fifo);
    check_kind(world, t, step, "whiteouts", m.whiteout, p->whiteout);
    check_kind(world, t, step, "bookkeeping", m.bookkeeping, p->bookkeeping);
}

static void check_peak(struct world *world, const struct teller *t, const char *step, int64_t peak,
                       const struct ol_peak *predicted)
{
    if (predicted->estimate != (predicted->least != predicted->inodes))
        fail_story(world, "%s, %s: an estimate, and is none", t->name, step);
    if (peak < predicted->least || peak > predicted->inodes)
        fail_story(world,
                   "%s, %s: at most %" PRId64 " inodes more measured, %" PRId64
                   " predicted, %" PRId64 " at least",
                   t->name, step, peak, predicted->inodes, predicted->least);
}

/* ---- layers ---- */

static void add_entry(struct tarball *tar, const struct story_line *line)
{
    static const char content[64] = "123456789 123456789 123456789 123456789 123456789 12345";
    const size_t dir = strlen(line->path) - strlen(strrchr(line->path, '/') != NULL
                                                       ? strrchr(line->path, '/') + 1
                                                       : line->path);
    char name[STORY_PATH_MAX + 16];

    switch (line->kind) {
    case STORY_DIR:
        tarball_add_dir_mode(tar, line->path, (int)line->number);
        return;
    case STORY_SYMLINK:
        tarball_add_symlink(tar, line->path, line->target);
        return;
    case STORY_FIFO:
        tarball_add_fifo(tar, line->path);
        return;
    case STORY_LINK:
        tarball_add_hardlink_mode(tar, line->path, line->target, (int)line->number, 0);
        return;
    case STORY_WHITEOUT:
        (void)snprintf(name, sizeof name, "%.*s.wh.%s", (int)dir, line->path, line->path + dir);
        tarball_add_file_mode(tar, name, 0, "");
        return;
    case STORY_OPAQUE:
        (void)snprintf(name, sizeof name, "%s/.wh..wh..opq", line->path);
        tarball_add_file_mode(tar, name, 0, "");
        return;
    default:
        tarball_add_bytes(tar, line->path, content,
                          line->number < sizeof content ? line->number : sizeof content);
    }
}

/* The entries in the lines that follow. */
static void make_tar(const struct story_line *line, size_t entries, struct tarball *ret)
{
    *ret = (struct tarball)TARBALL_INIT;
    for (size_t i = 1; i <= entries; i++)
        add_entry(ret, &line[i]);
    tarball_end(ret);
}

static struct ol_input input_of(struct tarball *tar)
{
    return (struct ol_input){.fd = tarball_fd(tar), .offset = 0, .length = UINT64_MAX};
}

static int feed(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

/* The model of the parent, or a new one, with the layer begun. */
static struct ol_model *model_on(struct world *world, unsigned parent)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model *model = NULL;

    if (parent != STORY_NONE) {
        assert_ok(ol_model_copy(world->images[parent].model, &model, &err), &err);
    } else {
        assert_ok(ol_model_new(&model, &err), &err);
        assert_ok(ol_model_track_naive(model, &err), &err);
    }
    assert_ok(ol_model_begin_layer(model, &err), &err);
    return model;
}

/* What an upper directory refuses, a full tree may accept, and the other way round. */
static bool has_uppers(const struct teller *t)
{
    return ol_law_stacks(t->way.law, t->way.mounts);
}

static void refused(struct world *world, struct teller *t, unsigned parent, const char *step)
{
    struct ol_inode_kinds left = {0};

    if (parent != STORY_NONE)
        ol_held_layer_refused(held_image(t, parent), &left);
    world->result->refused++;
    check(world, t, step, &left);
}

static void taken(struct world *world, struct teller *t, const struct ol_model *model,
                  unsigned image, unsigned parent, const char *step, int64_t peak)
{
    struct ol_held_layer *below = held_image(t, parent);
    struct ol_inode_kinds added;
    struct ol_peak predicted;

    if (world->options->peaks) {
        assert_int_equal(ol_held_layer_peak(&t->way, model, below, &predicted), 0);
        check_peak(world, t, step, peak, &predicted);
    }
    assert_int_equal(ol_held_layer_apply(&t->way, model, below, &t->images[image], &added), 0);
    if (world->options->wrong != NULL)
        world->options->wrong(&t->way, model, &added);
    check(world, t, step, &added);
}

/* @return false when there is such a layer already: it made none */
static bool tell_layer(struct world *world, struct teller *t, const struct ol_model *model,
                       bool accepted, const struct story_line *line, const struct ol_input *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char step[64];
    bool existed;
    int64_t peak = 0;
    int r;

    (void)snprintf(step, sizeof step, "layer %u", line->name);
    if (world->options->peaks)
        peak_begin(t);
    r = teller_apply(t, line->name, image_of(t, line->other), tar, &existed, &err);
    if (world->options->peaks)
        peak = peak_end(t);
    if (r == 0 && existed)
        return false;
    if (!has_uppers(t) && accepted != (r == 0))
        fail_story(world, "%s, %s: the model %s what the driver does not: %s", t->name, step,
                   accepted ? "accepts" : "refuses", ol_error_text(&err));
    if (r < 0)
        refused(world, t, line->other, step);
    t->ended = t->ended || accepted != (r == 0);
    if (r == 0 && accepted)
        taken(world, t, model, line->name, line->other, step, peak);
    return true;
}

static void do_layer(struct world *world, const struct story_line *line, size_t entries)
{
    struct world_image *image = &world->images[line->name];
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model *model;
    struct ol_input input;
    bool accepted;
    bool fresh = true;

    if (image->model != NULL || image->has_tar ||
        (line->other != STORY_NONE && world->images[line->other].model == NULL))
        return;
    make_tar(line, entries, &image->tar);
    image->has_tar = true;
    input = input_of(&image->tar);
    model = model_on(world, line->other);
    accepted = ol_layer_scan(&input, NULL, feed, model, NULL, &err) == 0;
    for (size_t i = 0; i < world->n_tellers && fresh; i++) {
        if (is_live(world, &world->tellers[i]))
            fresh = tell_layer(world, &world->tellers[i], model, accepted, line, &input);
    }
    if (accepted && fresh) {
        image->model = model;
        image->parent = line->other;
        if (line->other != STORY_NONE)
            world->images[line->other].children++;
    } else {
        ol_model_free(model);
    }
}

/* ---- containers ---- */

static void do_container(struct world *world, const struct story_line *line)
{
    struct world_container *container = &world->containers[line->name];
    char step[64];

    if (container->there || container->committed || line->other == STORY_NONE ||
        world->images[line->other].model == NULL)
        return;
    (void)snprintf(step, sizeof step, "container %u", line->name);
    for (size_t i = 0; i < world->n_tellers; i++) {
        struct teller *t = &world->tellers[i];
        struct ol_inode_kinds added;

        if (!is_live(world, t))
            continue;
        teller_create(t, line->name, image_of(t, line->other));
        assert_int_equal(ol_held_container_create(&t->way, world->images[line->other].model,
                                                  held_image(t, line->other),
                                                  &t->containers[line->name], &added),
                         0);
        check(world, t, step, &added);
    }
    container->there = true;
    container->image = line->other;
    world->images[line->other].children++;
}

/* What a mount shows is not the tree that plans are made for. */
static bool is_another(const struct world *world, const struct teller *t, unsigned container)
{
    const struct ol_model *model = world->images[world->containers[container].image].model;

    return has_uppers(t) && ol_model_stacks_differ(model);
}

static void tell_change(struct world *world, struct teller *t, unsigned name,
                        const struct ol_plan *plan)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_held_container *held = &t->containers[name];
    struct ol_inode_kinds added;
    struct ol_rootfs *fs = teller_mount(t, name);
    char step[64];

    (void)snprintf(step, sizeof step, "mount %u", name);
    ol_held_mount(held, &added);
    check(world, t, step, &added);
    (void)snprintf(step, sizeof step, "change %u", name);
    t->ended = is_another(world, t, name);
    if (!t->ended) {
        if (ol_plan_run(plan, fs, &err) < 0)
            fail_story(world, "%s, %s: %s", t->name, step, ol_error_text(&err));
        ol_plan_predict(plan, t->way.law, &added);
        ol_held_change(held, &added, ol_plan_leaves_cached(plan, t->way.law));
        check(world, t, step, &added);
    }
    (void)snprintf(step, sizeof step, "unmount %u", name);
    teller_unmount(t, fs);
    ol_held_unmount(held, &added);
    check(world, t, step, &added);
}

/* Takes model, which has the plan's layer, and plan over. */
static void do_plan(struct world *world, unsigned name, struct ol_model *model,
                    struct ol_plan *plan)
{
    struct world_container *container = &world->containers[name];

    ol_model_free(container->after); /* of an empty commit before */
    container->plan = plan;
    container->after = model;
    for (size_t i = 0; i < world->n_tellers; i++) {
        if (is_live(world, &world->tellers[i]))
            tell_change(world, &world->tellers[i], name, plan);
    }
}

static void do_change(struct world *world, const struct story_line *line)
{
    struct world_container *container = &world->containers[line->name];
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model *model = NULL;
    struct ol_plan *plan = NULL;
    struct ol_change_mix mix = line->mix;
    int r;

    if (!container->there || container->committed || container->plan != NULL)
        return;
    assert_ok(ol_model_copy(world->images[container->image].model, &model, &err), &err);
    r = ol_plan_make(model, &mix, CHANGE_BYTES, line->number, &plan, NULL);
    if (r == -ENOENT) { /* the image has too little to change; nothing was fed */
        mix.modify = mix.remove = mix.rename = mix.chmod = mix.replace = 0;
        r = ol_plan_make(model, &mix, CHANGE_BYTES, line->number, &plan, &err);
    }
    assert_ok(r, &err);
    do_plan(world, line->name, model, plan);
}

/* The archives of the layers below, base first. @return how many, 0: one is a commit */
static size_t tars_of(struct world *world, unsigned image, struct ol_input ret[STORY_NAMES_MAX])
{
    size_t count = 0;

    for (unsigned i = image; i != STORY_NONE; i = world->images[i].parent)
        count++;
    for (size_t at = count; image != STORY_NONE; image = world->images[image].parent) {
        if (!world->images[image].has_tar)
            return 0;
        ret[--at] = input_of(&world->images[image].tar);
    }
    return count;
}

static void do_replay(struct world *world, const struct story_line *line, size_t entries)
{
    struct world_container *container = &world->containers[line->name];
    struct ol_input inputs[STORY_NAMES_MAX + 1];
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model *model = NULL;
    struct ol_plan *plan = NULL;
    size_t count;

    if (!container->there || container->committed || container->plan != NULL || container->has_tar)
        return;
    count = tars_of(world, container->image, inputs);
    if (count == 0)
        return;
    make_tar(line, entries, &container->tar);
    container->has_tar = true;
    inputs[count] = input_of(&container->tar);
    assert_ok(ol_model_copy(world->images[container->image].model, &model, &err), &err);
    if (ol_plan_replay(model, inputs, count, geteuid() == 0, &plan, &err) < 0 ||
        !ol_plan_is_predicted(plan)) {
        ol_plan_free(plan);
        ol_model_free(model);
        return;
    }
    do_plan(world, line->name, model, plan);
}

static bool is_empty(const struct world_container *container, enum ol_law law)
{
    return container->plan == NULL || ol_plan_is_empty(container->plan, law);
}

static void tell_commit(struct world *world, struct teller *t, const struct story_line *line,
                        const struct ol_model *after, bool nothing)
{
    struct ol_held_container *held = &t->containers[line->name];
    const unsigned below = image_of(t, world->containers[line->name].image);
    const bool empty = is_empty(&world->containers[line->name], t->way.law);
    struct ol_inode_kinds added;
    struct ol_peak predicted;
    int64_t peak = 0;
    char step[64];

    t->ended = is_another(world, t, line->name);
    if (t->ended)
        return;
    if (nothing && t->sn != NULL) /* it makes a layer all the same, the others do not */
        return;
    (void)snprintf(step, sizeof step, "commit %u", line->name);
    assert_int_equal(ol_held_commit_peak(held, after, &predicted), 0);
    if (world->options->peaks)
        peak_begin(t);
    teller_commit(t, line->name, line->other);
    if (world->options->peaks) {
        peak = peak_end(t);
        check_peak(world, t, step, peak, &predicted);
    }
    assert_int_equal(
        ol_held_commit(held, after, &t->images[below], empty, &t->images[line->other], &added), 0);
    check(world, t, step, &added);
    t->is_alias[line->other] = empty && !nothing && t->sn == NULL;
    t->alias_of[line->other] = below;
    t->ended = has_uppers(t) && ol_model_stacks_differ(after); /* the image it made, too */
}

static void do_commit(struct world *world, const struct story_line *line)
{
    struct world_container *container = &world->containers[line->name];
    /* under every driver: there is no such image */
    const bool nothing = is_empty(container, OL_LAW_OVERLAY2) && is_empty(container, OL_LAW_VFS);
    struct ol_model *after;

    if (!container->there || container->committed || line->other == STORY_NONE ||
        world->images[line->other].model != NULL || world->images[line->other].has_tar)
        return;
    after = container->after != NULL ? container->after : model_on(world, container->image);
    container->after = after;
    for (size_t i = 0; i < world->n_tellers; i++) {
        if (is_live(world, &world->tellers[i]))
            tell_commit(world, &world->tellers[i], line, after, nothing);
    }
    if (nothing)
        return;
    container->committed = true;
    container->after = NULL;
    world->images[line->other].model = after;
    world->images[line->other].parent = container->image;
    world->images[container->image].children++;
}

static void do_drop(struct world *world, unsigned name)
{
    struct world_container *container = &world->containers[name];
    char step[64];

    if (!container->there)
        return;
    (void)snprintf(step, sizeof step, "drop %u", name);
    for (size_t i = 0; i < world->n_tellers; i++) {
        struct teller *t = &world->tellers[i];
        struct ol_inode_kinds freed;

        if (!is_live(world, t))
            continue;
        if (!t->containers[name].gone)
            teller_drop(t, name);
        ol_held_container_remove(&t->containers[name], &freed);
        check(world, t, step, &freed);
    }
    container->there = false;
    container->committed = true; /* the name is used up */
    world->images[container->image].children--;
}

static bool do_remove(struct world *world, unsigned name)
{
    struct world_image *image = &world->images[name];
    char step[64];

    if (image->model == NULL || image->children > 0)
        return false;
    (void)snprintf(step, sizeof step, "remove %u", name);
    for (size_t i = 0; i < world->n_tellers; i++) {
        struct teller *t = &world->tellers[i];
        struct ol_inode_kinds freed;

        if (!is_live(world, t) || t->is_alias[name])
            continue;
        teller_remove(t, name);
        ol_held_layer_remove(&t->images[name], &freed);
        check(world, t, step, &freed);
    }
    ol_model_free(image->model);
    image->model = NULL;
    if (image->parent != STORY_NONE)
        world->images[image->parent].children--;
    return true;
}

/* ---- all of it ---- */

static void do_line(struct world *world, const struct story *story, size_t at)
{
    const struct story_line *line = &story->lines[at];
    size_t entries = 0;

    while (at + entries + 1 < story->count && story_is_entry(story->lines[at + entries + 1].kind))
        entries++;
    switch (line->kind) {
    case STORY_LAYER:
        do_layer(world, line, entries);
        return;
    case STORY_CONTAINER:
        do_container(world, line);
        return;
    case STORY_CHANGE:
        do_change(world, line);
        return;
    case STORY_REPLAY:
        do_replay(world, line, entries);
        return;
    case STORY_COMMIT:
        do_commit(world, line);
        return;
    case STORY_DROP:
        do_drop(world, line->name);
        return;
    case STORY_REMOVE:
        (void)do_remove(world, line->name);
        return;
    default: /* the layer's, or of one whose line is not there */
        return;
    }
}

static void remove_all(struct world *world)
{
    bool any = true;

    for (unsigned i = 0; i < STORY_NAMES_MAX; i++)
        do_drop(world, i);
    while (any) {
        any = false;
        for (unsigned i = STORY_NAMES_MAX; i-- > 0;)
            any = do_remove(world, i) || any;
    }
    for (size_t i = 0; i < world->n_tellers; i++) {
        const struct teller *t = &world->tellers[i];

        if (is_live(world, t))
            check_kind(world, t, "the end", "inodes", ol_inode_kinds_total(&t->usage.kinds),
                       ol_inode_kinds_total(&t->start.kinds));
    }
}

void story_run(const struct story *story, const struct story_options *options,
               struct story_result *ret)
{
    static struct world world; /* large; one runs at a time */

    *ret = (struct story_result){.why = ""};
    memset(&world, 0, sizeof world);
    world.options = options;
    world.result = ret;
    world_open(&world);
    for (size_t i = 0; i < story->count && !failed(&world); i++)
        do_line(&world, story, i);
    if (!failed(&world))
        remove_all(&world);
    world_close(&world);
}
