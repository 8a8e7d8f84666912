/* SPDX-License-Identifier: Apache-2.0 */
/* Acts on one engine; see scene.h. Looking is in look.c. */
#include "bench/teach/scene_internal.h"

#include "bench/teach/tiny.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* ---- nicknames ---- */

const char *ol_scene_nickname(const struct ol_scene *scene, const char *name)
{
    for (size_t i = scene->n_nicknames; i-- > 0;) {
        if (strcmp(scene->nicknames[i].name, name) == 0)
            return scene->nicknames[i].nickname;
    }
    return NULL;
}

/* The last one given counts. */
static int give_nickname(struct ol_scene *scene, const char *name, const char *nickname)
{
    struct ol_nickname *grown = reallocarray(scene->nicknames, scene->n_nicknames + 1,
                                             sizeof *grown);
    struct ol_nickname *last;

    if (grown == NULL)
        return -ENOMEM;
    scene->nicknames = grown;
    last = &grown[scene->n_nicknames];
    *last = (struct ol_nickname){strdup(name), strdup(nickname)};
    scene->n_nicknames++;
    return last->name == NULL || last->nickname == NULL ? -ENOMEM : 0;
}

/* What an act makes is called. */
static int nickname_of(const struct ol_scene *scene, enum ol_act_kind kind, char **ret)
{
    int len = 0;

    if (kind == OL_ACT_IMPORT)
        len = asprintf(ret, "%s", ol_tiny_name(scene->n_layers));
    else if (kind == OL_ACT_CREATE && scene->n_containers == 0)
        len = asprintf(ret, "box");
    else if (kind == OL_ACT_CREATE)
        len = asprintf(ret, "box%u", scene->n_containers + 1);
    else
        len = asprintf(ret, "commit%u", scene->n_commits + 1);
    return len < 0 ? -ENOMEM : 0;
}

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static int name_one(struct ol_scene *scene, const char *name, const char *nickname)
{
    ol_auto_free char *init = NULL;

    if (!ends_in(name, "-init"))
        return give_nickname(scene, name, nickname);
    if (asprintf(&init, "%s-init", nickname) < 0) {
        init = NULL;
        return -ENOMEM;
    }
    return give_nickname(scene, name, init);
}

/* Directories that were not there before the act, and ids that were made up in it. */
static int name_new(struct ol_scene *scene, enum ol_act_kind kind)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_free char *nickname = NULL;
    ol_auto_fd int fd = ol_fs_open_dir(scene->engine->ops->home(scene->engine), ".");
    int r = fd < 0 ? fd : ol_dirents_read(&list, fd, true);

    if (r == 0)
        r = nickname_of(scene, kind, &nickname);
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        const char *name = list.items[i].name;

        if (list.items[i].type == DT_DIR && strcmp(name, "l") != 0 &&
            ol_scene_nickname(scene, name) == NULL)
            r = name_one(scene, name, nickname);
    }
    for (size_t i = scene->named_calls; r == 0 && i < scene->n_calls; i++) {
        const struct ol_scene_call *call = &scene->calls[i];
        bool makes = strcmp(call->op, "prepare") == 0 || strcmp(call->op, "commit") == 0;

        if (makes && ol_scene_nickname(scene, call->id) == NULL &&
            (kind != OL_ACT_IMPORT || strcmp(call->op, "commit") == 0))
            r = give_nickname(scene, call->id, nickname);
    }
    scene->named_calls = scene->n_calls;
    return r;
}

/* The container's own directory is the layer now, and is called so. */
static int rename_committed(struct ol_scene *scene)
{
    ol_auto_free char *layer = NULL;
    char *old;
    int r = nickname_of(scene, OL_ACT_COMMIT, &layer);

    if (r < 0 || !scene->engine->ops->commit_keeps_container)
        return r;
    for (size_t i = 0; i < scene->n_nicknames; i++) {
        struct ol_nickname *one = &scene->nicknames[i];

        if (strspn(one->name, "0123456789") != strlen(one->name) ||
            strncmp(one->nickname, "box", 3) != 0)
            continue; /* the directory, not the key */
        old = ol_ptr_steal(one->nickname);
        r = asprintf(&one->nickname, "%s, was %s", layer, old);
        free(old);
        if (r < 0) {
            one->nickname = NULL;
            return -ENOMEM;
        }
    }
    return 0;
}

/* ---- calls ---- */

static void keep_call(const struct ol_driver_trace_event *event, void *data)
{
    struct ol_scene *scene = data;
    struct ol_scene_call call = {
        .op = strdup(event->op),
        .id = event->id != NULL ? strdup(event->id) : NULL,
        .parent = event->parent != NULL ? strdup(event->parent) : NULL,
        .result = event->result,
        .start_ns = ol_clock_ns() - event->wall_ns,
        .wall_ns = event->wall_ns,
    };
    struct ol_scene_call *grown;

    (void)pthread_mutex_lock(&scene->lock); /* cannot fail for a mutex of the default kind */
    grown = reallocarray(scene->calls, scene->n_calls + 1, sizeof *grown);
    if (grown != NULL) {
        scene->calls = grown;
        grown[scene->n_calls++] = call;
    }
    scene->lost_call = scene->lost_call || grown == NULL || call.op == NULL ||
                       (event->id != NULL && call.id == NULL) ||
                       (event->parent != NULL && call.parent == NULL);
    (void)pthread_mutex_unlock(&scene->lock);
    if (grown == NULL)
        ol_scene_call_fini(&call);
}

void ol_scene_call_fini(struct ol_scene_call *call)
{
    free(call->op);
    free(call->id);
    free(call->parent);
}

/* ---- acts ---- */

static int do_import(struct ol_scene *scene, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    struct ol_engine_report report = {0};
    struct ol_input tar;
    int r;

    if (scene->n_layers == OL_TINY_LAYERS)
        return ol_error_set(err, -E2BIG, "the tiny image has %d layers", OL_TINY_LAYERS);
    r = ol_tiny_layer(scene->n_layers, &fd, err);
    if (r < 0)
        return r;
    tar = (struct ol_input){.fd = fd, .offset = 0, .length = UINT64_MAX};
    r = scene->engine->ops->import_layer(scene->engine, &tar, NULL, &report, err);
    if (r == 0)
        r = ol_account_import(scene->account, &tar, err);
    if (r == 0)
        r = name_new(scene, OL_ACT_IMPORT) < 0 ? ol_error_nomem(err) : 0;
    scene->n_layers++;
    return r;
}

static int do_create(struct ol_scene *scene, struct ol_error *err)
{
    int r = scene->engine->ops->container_create(scene->engine, err);

    if (r == 0)
        r = ol_account_create(scene->account, err);
    if (r == 0)
        r = name_new(scene, OL_ACT_CREATE) < 0 ? ol_error_nomem(err) : 0;
    scene->n_containers++;
    return r;
}

static int do_mount(struct ol_scene *scene, struct ol_error *err)
{
    int r = scene->engine->ops->mount(scene->engine, err);

    if (r == 0)
        ol_account_mount(scene->account);
    return r;
}

static int do_unmount(struct ol_scene *scene, struct ol_error *err)
{
    int r = scene->engine->ops->unmount(scene->engine, err);

    if (r == 0)
        ol_account_unmount(scene->account);
    return r;
}

static int run_change(struct ol_scene *scene, const struct ol_op *op, struct ol_error *err)
{
    struct ol_plan *plan = NULL;
    int r = ol_account_plan(scene->account, op, &plan, err);

    if (r == 0)
        r = scene->engine->ops->change(scene->engine, plan, err);
    ol_plan_free(plan);
    return r < 0 ? r : ol_account_change(scene->account, op, err);
}

static int do_change(struct ol_scene *scene, const struct ol_act *act, struct ol_error *err)
{
    ol_auto_free char *path = strdup(act->path);
    ol_auto_free char *target = act->target != NULL ? strdup(act->target) : NULL;
    const struct ol_op op = {
        .kind = act->op,
        .path = path,
        .target = target,
        .size = act->size_bytes,
        .content_seed = ++scene->n_changes,
        .mode = act->mode,
    };

    if (path == NULL || (act->target != NULL && target == NULL))
        return ol_error_nomem(err);
    return run_change(scene, &op, err);
}

static int keep_tar_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    static const char letters[] = {
        [OL_ENTRY_FILE] = 'f',     [OL_ENTRY_DIRECTORY] = 'd', [OL_ENTRY_SYMLINK] = 'l',
        [OL_ENTRY_HARDLINK] = 'h', [OL_ENTRY_CHAR] = 'c',      [OL_ENTRY_BLOCK] = 'b',
        [OL_ENTRY_FIFO] = 'p',
    };
    struct ol_scene *scene = data;
    struct ol_scene_tar *grown = reallocarray(scene->tar, scene->n_tar + 1, sizeof *grown);

    if (grown == NULL)
        return ol_error_nomem(err);
    scene->tar = grown;
    grown[scene->n_tar] = (struct ol_scene_tar){strdup(entry->path), letters[entry->type],
                                                entry->size};
    return grown[scene->n_tar++].path == NULL ? ol_error_nomem(err) : 0;
}

static int do_diff(struct ol_scene *scene, struct ol_error *err)
{
    ol_auto_fd int fd = memfd_create("diff", MFD_CLOEXEC);
    struct ol_input tar = {.fd = fd, .offset = 0, .length = UINT64_MAX};
    int r = fd < 0 ? ol_error_sys(err, errno, "cannot make a file in memory")
                   : scene->engine->ops->save_diff(scene->engine, fd, err);

    if (r == 0)
        ol_account_diff(scene->account);
    return r < 0 ? r : ol_layer_scan(&tar, NULL, keep_tar_entry, scene, NULL, err);
}

static int do_commit(struct ol_scene *scene, struct ol_error *err)
{
    struct ol_engine_report report = {0};
    int r = scene->engine->ops->commit(scene->engine, &report, err);

    if (r == 0)
        r = ol_account_commit(scene->account, err);
    if (r == 0)
        r = name_new(scene, OL_ACT_COMMIT) < 0 || rename_committed(scene) < 0 ? ol_error_nomem(err)
                                                                              : 0;
    scene->n_commits++;
    return r;
}

static int do_remove_container(struct ol_scene *scene, struct ol_error *err)
{
    int r = scene->engine->ops->container_remove(scene->engine, scene->n_containers - 1, err);

    if (r == 0)
        ol_account_remove_container(scene->account);
    return r;
}

/* Their numbers are the engine's: 0 is the imported image. */
static int do_remove_image(struct ol_scene *scene, struct ol_error *err)
{
    unsigned index = scene->n_commits - scene->n_removed;
    int r = scene->engine->ops->image_remove(scene->engine, index, err);

    if (r < 0)
        return r;
    ol_account_remove_image(scene->account, index);
    scene->n_removed += index > 0;
    return 0;
}

static const char *const words[] = {
    [OL_ACT_END] = "",
    [OL_ACT_IMPORT] = "import a layer",
    [OL_ACT_CREATE] = "create a container",
    [OL_ACT_MOUNT] = "mount it",
    [OL_ACT_UNMOUNT] = "unmount it",
    [OL_ACT_DIFF] = "write its changes as a tar",
    [OL_ACT_COMMIT] = "commit it",
    [OL_ACT_REMOVE_CONTAINER] = "remove the container",
    [OL_ACT_REMOVE_IMAGE] = "remove the image",
};

int ol_act_words(const struct ol_act *act, struct ol_buf *ret)
{
    if (act->kind != OL_ACT_CHANGE)
        return ol_buf_puts(ret, words[act->kind]);
    switch (act->op) {
    case OL_OP_ADD:
        return ol_buf_printf(ret, "create %s, %" PRIu64 " bytes", act->path, act->size_bytes);
    case OL_OP_MODIFY:
        return ol_buf_printf(ret, "overwrite %s, %" PRIu64 " bytes", act->path, act->size_bytes);
    case OL_OP_DELETE:
        return ol_buf_printf(ret, "rm %s", act->path);
    case OL_OP_RENAME:
        return ol_buf_printf(ret, "mv %s %s", act->path, act->target);
    case OL_OP_CHMOD:
        return ol_buf_printf(ret, "chmod %04o %s", act->mode, act->path);
    case OL_OP_MKDIR:
        return ol_buf_printf(ret, "mkdir %s", act->path);
    case OL_OP_SYMLINK:
        return ol_buf_printf(ret, "ln -s %s %s", act->target, act->path);
    case OL_OP_LINK:
        return ol_buf_printf(ret, "create %s, ln it to %s", act->path, act->target);
    case OL_OP_REPLACE:
        return ol_buf_printf(ret, "rm -r %s; mkdir %s; create %s, %" PRIu64 " bytes", act->path,
                             act->path, act->target, act->size_bytes);
    }
    return 0;
}

static int do_one(struct ol_scene *scene, const struct ol_act *act, struct ol_error *err)
{
    switch (act->kind) {
    case OL_ACT_IMPORT:
        return do_import(scene, err);
    case OL_ACT_CREATE:
        return do_create(scene, err);
    case OL_ACT_MOUNT:
        return do_mount(scene, err);
    case OL_ACT_CHANGE:
        return do_change(scene, act, err);
    case OL_ACT_UNMOUNT:
        return do_unmount(scene, err);
    case OL_ACT_DIFF:
        return do_diff(scene, err);
    case OL_ACT_COMMIT:
        return do_commit(scene, err);
    case OL_ACT_REMOVE_CONTAINER:
        return do_remove_container(scene, err);
    case OL_ACT_REMOVE_IMAGE:
        return do_remove_image(scene, err);
    case OL_ACT_END:
        break;
    }
    return 0;
}

int ol_scene_act(struct ol_scene *scene, const struct ol_act *act, struct ol_error *err)
{
    int r = do_one(scene, act, err);

    return r < 0 ? ol_error_wrap(err, r, "%s", scene->config.engine) : 0;
}

/* ---- open, close ---- */

static int open_engine(struct ol_scene *scene, struct ol_error *err)
{
    const struct ol_engine_config config = {
        .name = scene->config.engine,
        .dir = scene->config.dir,
        .view = scene->config.view,
        .keep_owner = scene->config.keep_owner,
        .commits = OL_SCENE_CONTAINERS,
        .trace = keep_call,
        .trace_data = scene,
    };
    const struct ol_engine_ops *ops = ol_engine_ops_of(config.name);
    int r = ol_fs_mkdir(AT_FDCWD, config.dir, 0755, err);

    if (r == 0)
        r = ops->open(&config, &scene->engine, err);
    return r < 0 ? r : ops->usage(scene->engine, &scene->at_open, err);
}

int ol_scene_open(const struct ol_scene_config *config, struct ol_scene **ret, struct ol_error *err)
{
    struct ol_scene *scene = calloc(1, sizeof *scene);
    int r;

    if (scene == NULL)
        return ol_error_nomem(err);
    scene->config = *config;
    (void)pthread_mutex_init(&scene->lock, NULL); /* cannot fail with default attributes */
    r = ol_account_new(config->engine, config->view != OL_VIEW_DIRECT, &scene->account, err);
    if (r == 0)
        r = open_engine(scene, err);
    if (r < 0) {
        ol_scene_close(scene);
        return ol_error_wrap(err, r, "%s", config->engine);
    }
    *ret = scene;
    return 0;
}

void ol_scene_close(struct ol_scene *scene)
{
    if (scene == NULL)
        return;
    if (scene->engine != NULL)
        scene->engine->ops->close(scene->engine);
    ol_account_free(scene->account);
    for (size_t i = 0; i < scene->n_calls; i++)
        ol_scene_call_fini(&scene->calls[i]);
    for (size_t i = 0; i < scene->n_tar; i++)
        free(scene->tar[i].path);
    for (size_t i = 0; i < scene->n_nicknames; i++) {
        free(scene->nicknames[i].name);
        free(scene->nicknames[i].nickname);
    }
    free(scene->calls);
    free(scene->tar);
    free(scene->nicknames);
    (void)pthread_mutex_destroy(&scene->lock);
    free(scene);
}

const char *ol_scene_name(const struct ol_scene *scene)
{
    return scene->config.engine;
}

bool ol_scene_law(const struct ol_scene *scene, enum ol_law *ret)
{
    return ol_account_law(scene->account, ret);
}
