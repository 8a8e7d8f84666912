/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatch: the only code that calls through the operation table. It checks ids and what must
 * exist before a back-end sees a call, fills in the defaults for operations a back-end leaves out,
 * and puts the layer before error texts.
 */
#include "drivers/driver.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "drivers/driver_ops.h"
#include "drivers/layers.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

/* ---- opening and closing ---- */

/*
 * A home that was there before keeps no permission beyond 0710: layers hold setuid files of other
 * systems (CVE-2021-41091, CVE-2024-25621). Shared directories (sticky) are left alone.
 */
static int tighten_home(int home_fd, const char *home, struct ol_error *err)
{
    struct stat st;

    if (fstat(home_fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat '%s'", home);
    if ((st.st_mode & S_ISVTX) != 0 || (st.st_mode & 0777 & ~0710u) == 0 || st.st_uid != geteuid())
        return 0;
    if (fchmod(home_fd, st.st_mode & 0710) < 0)
        return ol_error_sys(err, errno, "cannot restrict the mode of '%s'", home);
    return 0;
}

/*
 * Whoever gets the home alone has it alone, a sharing process only while it cleans up at open. One
 * that comes at that moment waits for it.
 */
static int lock_home(struct ol_driver *base, struct ol_error *err)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    for (unsigned tries = 0; flock(base->home_fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK)
            return ol_error_sys(err, errno, "cannot lock '%s'", base->config.home);
        if (base->config.shared && flock(base->home_fd, LOCK_SH | LOCK_NB) == 0) {
            base->others = true;
            return 0;
        }
        if (!base->config.shared || tries == 100)
            return ol_error_set(err, -EBUSY,
                                "'%s' is in use by another process: wait for it to end",
                                base->config.home);
        (void)nanosleep(&pause, NULL); /* a signal makes it shorter, which does no harm */
    }
    return 0;
}

/* Opened and clean: let other sharing processes in. */
static int share_home(const struct ol_driver *drv, struct ol_error *err)
{
    if (drv->config.shared && flock(drv->home_fd, LOCK_SH) < 0)
        return ol_error_sys(err, errno, "cannot share the lock of '%s'", drv->config.home);
    return 0;
}

static int open_home(struct ol_driver *base, struct ol_error *err)
{
    const char *home = base->config.home;
    int r = ol_fs_mkdir_path(home, 0710, err);

    if (r < 0)
        return r;
    base->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base->home_fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", home);
    r = lock_home(base, err);
    if (r < 0)
        return r;
    return tighten_home(base->home_fd, home, err);
}

static int copy_config(const struct ol_driver_config *cfg, struct ol_driver *base,
                       struct ol_error *err)
{
    base->config = *cfg;
    base->config.home = NULL;
    if (cfg->home == NULL || cfg->home[0] != '/')
        return ol_error_set(err, -EINVAL, "the home of a driver must be an absolute path, not '%s'",
                            cfg->home != NULL ? cfg->home : "");
    if (cfg->view == OL_VIEW_AUTO)
        return ol_error_set(err, -EINVAL, "a driver needs a view that was chosen, not '%s'",
                            ol_view_name(cfg->view));
    base->config.home = strdup(cfg->home);
    return base->config.home != NULL ? 0 : ol_error_nomem(err);
}

void ol_driver_base_fini(struct ol_driver *base)
{
    ol_fd_close(&base->home_fd); /* gives the lock back */
    free(base->name);
    free(base->options);
    free(base->option_text);
    free((char *)(uintptr_t)base->config.home); /* const for readers, owned here */
}

int ol_driver_open(const char *spec, const struct ol_driver_config *cfg, struct ol_driver **ret,
                   struct ol_error *err)
{
    struct ol_driver base = {.home_fd = -1};
    struct ol_driver *drv = NULL;
    int r = ol_driver_spec_parse(spec, &base, err);

    if (r == 0)
        r = ol_driver_ops_check(base.ops, err);
    if (r == 0)
        r = copy_config(cfg, &base, err);
    if (r == 0)
        r = open_home(&base, err);
    if (r == 0) {
        base.compare_stacks = cfg->view == OL_VIEW_DIRECT;
        base.host_names = ol_driver_option(&base, "names") == 1;
        if (cfg->view == OL_VIEW_DIRECT)
            base.caps &= ~(unsigned)OL_CAP_NEEDS_MOUNT;
        r = base.ops->open(&base, &drv, err);
    }
    if (r < 0) {
        ol_driver_base_fini(&base);
        return ol_error_wrap(err, r, "cannot open driver '%s'", spec);
    }
    r = share_home(drv, err);
    if (r < 0) {
        ol_driver_close(drv);
        return r;
    }
    *ret = drv;
    return 0;
}

void ol_driver_close(struct ol_driver *drv)
{
    struct ol_driver base;

    if (drv == NULL)
        return;
    base = *drv;
    drv->ops->close(drv);
    ol_driver_base_fini(&base);
}

/* ---- what a driver is ---- */

const char *ol_driver_name(const struct ol_driver *drv)
{
    return drv->name;
}

unsigned ol_driver_caps(const struct ol_driver *drv)
{
    return drv->caps;
}

const char *ol_driver_home(const struct ol_driver *drv)
{
    return drv->config.home;
}

const struct ol_driver_config *ol_driver_config_of(const struct ol_driver *drv)
{
    return &drv->config;
}

uint64_t ol_driver_avoided_sleep_ns(const struct ol_driver *drv)
{
    while (drv->inner != NULL)
        drv = drv->inner;
    return atomic_load(&drv->avoided_sleep_ns);
}

enum ol_overlay_ns ol_driver_ns(const struct ol_driver *drv)
{
    return drv->config.view == OL_VIEW_KERNEL ? OL_OVERLAY_TRUSTED : OL_OVERLAY_USER;
}

struct ol_layer_options ol_driver_layer_options(const struct ol_driver *drv,
                                                enum ol_layer_target target)
{
    return (struct ol_layer_options){
        .target = target,
        .ns = ol_driver_ns(drv),
        .keep_owner = drv->config.keep_owner,
        .threads = drv->config.threads,
    };
}

int ol_driver_layer_path(const struct ol_driver *drv, const char *id, const char *name, char **ret,
                         struct ol_error *err)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;
    int r = ol_buf_printf(&path, "%s/%s", drv->config.home, id);

    if (r == 0 && name != NULL)
        r = ol_buf_printf(&path, "/%s", name);
    if (r < 0)
        return ol_error_nomem(err);
    *ret = ol_buf_steal(&path);
    return 0;
}

/* ---- ids ---- */

bool ol_driver_id_valid(const char *id)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t len = strlen(id);

    if (len == 0 || len > OL_ID_MAX || strspn(id, first) == 0)
        return false;
    for (const char *c = id; *c != '\0'; c++)
        if (memchr(first, *c, sizeof(first) - 1) == NULL && *c != '.' && *c != '-')
            return false;
    return strcmp(id, "l") != 0; /* overlay2 keeps its short links there */
}

static int check_id(const char *id, struct ol_error *err)
{
    char shown[OL_ID_MAX + 1];
    size_t len = 0;

    if (ol_driver_id_valid(id))
        return 0;
    if (id[0] == '\0')
        return ol_error_set(err, -EINVAL, "the layer id is empty");
    for (; len < OL_ID_MAX && id[len] != '\0'; len++) /* the id may be made to harm a terminal */
        shown[len] = isprint((unsigned char)id[len]) ? id[len] : '?';
    shown[len] = '\0';
    return ol_error_set(err, -EINVAL,
                        "invalid layer id '%s': 1 to %d of A-Z a-z 0-9 _ . - are allowed, not "
                        "starting with . or -, and not 'l'",
                        shown, OL_ID_MAX);
}

/* The ids are well-formed; the layers must exist (parent may be NULL). Decorators leave that to the
 * driver they wrap. */
static int check_layers(struct ol_driver *drv, const char *id, const char *parent,
                        struct ol_error *err)
{
    int r = check_id(id, err);

    if (r == 0 && parent != NULL)
        r = check_id(parent, err);
    if (r < 0 || drv->ops->decorator)
        return r;
    if (!ol_driver_exists(drv, id))
        return ol_error_set(err, -ENOENT, "layer '%s' does not exist", id);
    if (parent != NULL && !ol_driver_exists(drv, parent))
        return ol_error_set(err, -ENOENT, "parent layer '%s' does not exist", parent);
    return 0;
}

/* Context for a failed call; r is returned. */
static int failed(const struct ol_driver *drv, int r, const char *what, const char *id,
                  struct ol_error *err)
{
    if (r >= 0 || drv->ops->decorator)
        return r;
    return ol_error_wrap(err, r, "%s: cannot %s layer '%s'", drv->name, what, id);
}

/* ---- layers ---- */

bool ol_driver_exists(struct ol_driver *drv, const char *id)
{
    if (!ol_driver_id_valid(id))
        return false;
    if (drv->ops->exists != NULL)
        return drv->ops->exists(drv, id);
    return ol_layer_exists(drv->home_fd, id);
}

static int check_create(struct ol_driver *drv, const struct ol_layer_spec *spec,
                        struct ol_error *err)
{
    int r = check_id(spec->id, err);

    if (r == 0 && spec->parent != NULL)
        r = check_id(spec->parent, err);
    if (r < 0 || drv->ops->decorator)
        return r;
    if (ol_driver_exists(drv, spec->id))
        return ol_error_set(err, -EEXIST, "it exists already");
    if (spec->parent != NULL && !ol_driver_exists(drv, spec->parent))
        return ol_error_set(err, -ENOENT, "parent layer '%s' does not exist", spec->parent);
    return 0;
}

int ol_driver_create(struct ol_driver *drv, const struct ol_layer_spec *spec, struct ol_error *err)
{
    int r = check_create(drv, spec, err);

    if (r == 0)
        r = drv->ops->create(drv, spec, err);
    return failed(drv, r, "create", spec->id, err);
}

int ol_driver_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = check_id(id, err);

    if (r == 0)
        r = drv->ops->remove(drv, id, err);
    return failed(drv, r, "remove", id, err);
}

int ol_driver_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    int r = check_layers(drv, id, NULL, err);

    if (r == 0)
        r = drv->ops->get(drv, id, ret_path, err);
    return failed(drv, r, "get", id, err);
}

int ol_driver_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = check_id(id, err);

    if (r == 0)
        r = drv->ops->put(drv, id, err);
    return failed(drv, r, "put", id, err);
}

int ol_driver_keep(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = check_layers(drv, id, NULL, err);

    if (r == 0 && drv->ops->keep != NULL)
        r = drv->ops->keep(drv, id, err);
    return failed(drv, r, "keep", id, err);
}

/* ---- stacks and roots ---- */

int ol_driver_stack_push(struct ol_driver_stack *stack, int fd, struct ol_error *err)
{
    int *fds = reallocarray(stack->fds, stack->count + 1, sizeof(*fds));

    if (fds == NULL) {
        ol_fd_close(&fd);
        return ol_error_nomem(err);
    }
    fds[stack->count++] = fd;
    stack->fds = fds;
    stack->stack.fds = fds;
    stack->stack.count = stack->count;
    return 0;
}

void ol_driver_stack_fini(struct ol_driver *drv, struct ol_driver_stack *stack)
{
    for (size_t i = 0; i < stack->count; i++)
        ol_fd_close(&stack->fds[i]);
    free(stack->fds);
    if (stack->needs_put)
        (void)ol_driver_put(drv, stack->id, NULL); /* a failed unmount shows at the next get */
    free(stack->id);
    *stack = (struct ol_driver_stack){.fds = NULL};
}

/* get() and open what it returned; on failure the layer is put again. */
static int get_opened(struct ol_driver *drv, const char *id, int *ret_fd, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    int r = ol_driver_get(drv, id, &path, err);

    if (r < 0)
        return r;
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd >= 0)
        return 0;
    r = ol_error_sys(err, errno, "cannot open '%s'", path);
    (void)ol_driver_put(drv, id, NULL); /* report the first error, not this one */
    return r;
}

int ol_driver_stack_got(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                        struct ol_error *err)
{
    struct ol_driver_stack stack = {.stack = {.ns = ol_driver_ns(drv)}};
    int fd = -1;
    int r = get_opened(drv, id, &fd, err);

    if (r < 0)
        return r;
    stack.needs_put = true;
    stack.id = strdup(id);
    if (stack.id == NULL) {
        ol_fd_close(&fd);
        (void)ol_driver_put(drv, id, NULL); /* report the first error, not this one */
        return ol_error_nomem(err);
    }
    r = ol_driver_stack_push(&stack, fd, err);
    if (r < 0) {
        ol_driver_stack_fini(drv, &stack);
        return r;
    }
    *ret = stack;
    return 0;
}

int ol_driver_stack_open(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                         struct ol_error *err)
{
    int r = 0;

    if (!drv->compare_stacks || drv->ops->stack == NULL)
        return ol_driver_stack_got(drv, id, ret, err);
    if (drv->ops->touch != NULL)
        r = drv->ops->touch(drv, id, err);
    return r < 0 ? r : drv->ops->stack(drv, id, ret, err);
}

struct put_later {
    struct ol_driver *drv;
    char id[];
};

static int put_on_close(void *data, struct ol_error *err)
{
    struct put_later *later = data;
    int r = ol_driver_put(later->drv, later->id, err);

    free(later);
    return r;
}

int ol_driver_rootfs_got(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                         struct ol_error *err)
{
    size_t size = strlen(id) + 1;
    ol_auto_free struct put_later *later = malloc(sizeof(*later) + size);
    int fd = -1;
    int r;

    if (later == NULL)
        return ol_error_nomem(err);
    later->drv = drv;
    memcpy(later->id, id, size);
    r = get_opened(drv, id, &fd, err);
    if (r < 0)
        return r;
    r = ol_rootfs_open_dir(fd, ret, err);
    if (r < 0) {
        (void)ol_driver_put(drv, id, NULL); /* report the first error, not this one */
        return r;
    }
    ol_rootfs_on_close(*ret, put_on_close, ol_ptr_steal(later));
    return 0;
}

int ol_driver_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                     struct ol_error *err)
{
    int r = check_layers(drv, id, NULL, err);

    if (r == 0)
        r = drv->ops->rootfs != NULL ? drv->ops->rootfs(drv, id, ret, err)
                                     : ol_driver_rootfs_got(drv, id, ret, err);
    return failed(drv, r, "open", id, err);
}

/* ---- differences ---- */

int ol_driver_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                   struct ol_tar_result *ret, struct ol_error *err)
{
    int r = check_layers(drv, id, parent, err);

    if (r == 0)
        r = drv->ops->diff != NULL ? drv->ops->diff(drv, id, parent, out_fd, ret, err)
                                   : ol_naive_diff(drv, id, parent, out_fd, ret, err);
    if (r == 0)
        ol_fd_close(out_fd);
    return failed(drv, r, "diff", id, err);
}

int ol_driver_changes(struct ol_driver *drv, const char *id, const char *parent,
                      struct ol_changes *ret, struct ol_error *err)
{
    int r = check_layers(drv, id, parent, err);

    if (r == 0)
        r = drv->ops->changes != NULL ? drv->ops->changes(drv, id, parent, ret, err)
                                      : ol_naive_changes(drv, id, parent, ret, err);
    return failed(drv, r, "compare", id, err);
}

int ol_driver_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                         const struct ol_input *tar, struct ol_apply_result *ret,
                         struct ol_error *err)
{
    struct ol_apply_result unused;
    int r = check_layers(drv, id, parent, err);

    if (ret == NULL)
        ret = &unused;
    if (r == 0)
        r = drv->ops->apply_diff != NULL ? drv->ops->apply_diff(drv, id, parent, tar, ret, err)
                                         : ol_naive_apply_diff(drv, id, parent, tar, ret, err);
    return failed(drv, r, "apply a diff to", id, err);
}

int ol_driver_diff_size(struct ol_driver *drv, const char *id, const char *parent,
                        uint64_t *ret_bytes, struct ol_error *err)
{
    int r = check_layers(drv, id, parent, err);

    if (r == 0)
        r = drv->ops->diff_size != NULL ? drv->ops->diff_size(drv, id, parent, ret_bytes, err)
                                        : ol_naive_diff_size(drv, id, parent, ret_bytes, err);
    return failed(drv, r, "measure", id, err);
}

int ol_driver_open_own(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = check_layers(drv, id, NULL, err);

    if (r == 0)
        r = drv->ops->open_own != NULL ? drv->ops->open_own(drv, id, err)
                                       : ol_error_set(err, -ENOTSUP, "it keeps no files");
    return r < 0 ? failed(drv, r, "read back", id, err) : r;
}

/* ---- answers ---- */

int ol_driver_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err)
{
    struct ol_pairs pairs = {NULL, 0};
    int r = drv->ops->status != NULL ? drv->ops->status(drv, &pairs, err) : 0;

    if (r < 0)
        ol_pairs_fini(&pairs);
    else
        *ret = pairs;
    return r;
}

int ol_driver_metadata(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                       struct ol_error *err)
{
    struct ol_pairs pairs = {NULL, 0};
    int r = check_layers(drv, id, NULL, err);

    if (r == 0 && drv->ops->metadata != NULL)
        r = drv->ops->metadata(drv, id, &pairs, err);
    if (r < 0)
        ol_pairs_fini(&pairs);
    else
        *ret = pairs;
    return failed(drv, r, "describe", id, err);
}

int ol_driver_list(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                   struct ol_error *err)
{
    if (drv->ops->list != NULL)
        return drv->ops->list(drv, fn, data, err);
    return ol_layers_list(drv->home_fd, fn, data, err);
}

int ol_driver_cleanup(struct ol_driver *drv, struct ol_error *err)
{
    int r;

    if (drv->ops->cleanup != NULL)
        return drv->ops->cleanup(drv, err);
    r = ol_mount_detach_below(drv->config.home, err);
    return r < 0 ? r : 0;
}
