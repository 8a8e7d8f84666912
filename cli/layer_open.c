/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments and sessions of the layer commands. The data root remembers the view it was made in:
 * whiteouts are the same in every view, but opaque directories are trusted.overlay.* in one and
 * user.overlay.* in the others, and a layer of one kind means something else under the other.
 */
#include "cli/layer.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>

enum { KEY_RW = 0x200000, KEY_VIEW };

static const struct argp_option options_rw[] = {
    {"driver", 'd', "DRIVER", 0, "overlay2 (default), overlay, vfs or null, with options", 0},
    {"rw", KEY_RW, NULL, 0, "a container layer", 0},
    {"view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0},
    {0},
};
static const struct argp_option options[] = {
    {"driver", 'd', "DRIVER", 0, "overlay2 (default), overlay, vfs or null, with options", 0},
    {"view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0},
    {0},
};

static bool take_view(struct ol_cli *cli, struct layer_args *args, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (ol_view_parse(text, &args->view, &err) == 0)
        return true;
    (void)ol_cli_usage(cli, "%s", ol_error_text(&err));
    return false;
}

static bool take_id(struct ol_cli *cli, struct layer_args *args, char *id)
{
    char **grown;

    if (!ol_driver_id_valid(id)) {
        (void)ol_cli_usage(cli, "'%s' is no layer id: letters, digits, '_', '.', '-'", id);
        return false;
    }
    grown = reallocarray(args->ids, args->n_ids + 1, sizeof *grown);
    if (grown == NULL) {
        cli->status = ol_cli_fail(cli, -ENOMEM, NULL);
        return false;
    }
    grown[args->n_ids++] = id;
    args->ids = grown;
    return true;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct layer_args *args = data;

    switch (key) {
    case 'd':
        args->driver = arg;
        return true;
    case KEY_RW:
        args->rw = true;
        return true;
    case KEY_VIEW:
        return take_view(cli, args, arg);
    default:
        return take_id(cli, args, arg);
    }
}

bool layer_parse(struct ol_cli *cli, int argc, char **argv, bool with_rw, unsigned min,
                 unsigned max, const char *help, struct layer_args *ret)
{
    const struct ol_cli_syntax syntax = {
        .options = with_rw ? options_rw : options,
        .take = take,
        .data = ret,
        .min_arguments = min,
        .max_arguments = max,
        .help = help,
    };

    *ret = (struct layer_args){.driver = "overlay2", .view = OL_VIEW_AUTO};
    if (ol_cli_parse(cli, &syntax, argc, argv))
        return true;
    layer_args_fini(ret);
    return false;
}

void layer_args_fini(struct layer_args *args)
{
    free(args->ids);
    args->ids = NULL;
}

const char *layer_id(const struct layer_args *args, unsigned index)
{
    return index < args->n_ids ? args->ids[index] : NULL;
}

/* "<root>/view" holds the name of the view the root was made in. *ret is AUTO for a new root. */
static int read_view(int root_fd, enum ol_view *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_fs_read_file(root_fd, "view", OL_SMALL_FILE_MAX, &text, NULL);

    *ret = OL_VIEW_AUTO;
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return ol_error_sys(err, -r, "cannot read 'view' in the data root");
    if (text.len > 0 && text.data[text.len - 1] == '\n')
        ol_buf_truncate(&text, text.len - 1);
    r = ol_view_parse(ol_buf_str(&text), ret, err);
    return r < 0 ? ol_error_wrap(err, r, "file 'view' of the data root") : 0;
}

static bool same_attributes(enum ol_view a, enum ol_view b)
{
    return (a == OL_VIEW_KERNEL) == (b == OL_VIEW_KERNEL);
}

static int choose_new(const char *root, int root_fd, enum ol_view want, enum ol_view *ret,
                      struct ol_error *err)
{
    int r = ol_view_choose(root, want, ret, err);
    ol_auto_free char *text = NULL;

    if (r < 0)
        return r;
    if (asprintf(&text, "%s\n", ol_view_name(*ret)) < 0) {
        text = NULL;
        return ol_error_nomem(err);
    }
    return ol_fs_write_file_atomic(root_fd, "view", text, strlen(text), 0644, err);
}

/* A root that has a view is not tried again: a trial mount costs more than most commands. */
int layer_choose_view(const char *root, enum ol_view want, enum ol_view *ret, struct ol_error *err)
{
    ol_auto_fd int root_fd = -1;
    enum ol_view kept;
    int r = ol_fs_mkdir_path(root, 0711, err);

    if (r < 0)
        return ol_error_wrap(err, r, "data root '%s' (--root names another)", root);
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return ol_error_sys(err, errno, "cannot open the data root '%s'", root);
    r = read_view(root_fd, &kept, err);
    if (r < 0)
        return r;
    if (kept == OL_VIEW_AUTO)
        return choose_new(root, root_fd, want, ret, err);
    if (want == OL_VIEW_AUTO || want == kept) {
        *ret = kept;
        return 0;
    }
    if (!same_attributes(want, kept))
        return ol_error_set(err, -EINVAL,
                            "data root '%s' was made in view '%s' and its layers mean something "
                            "else in view '%s': use another --root",
                            root, ol_view_name(kept), ol_view_name(want));
    return ol_view_choose(root, want, ret, err);
}

/* In a user namespace of the caller's own we already are where mounts can be made. What mounts for
 * others to see stays outside, and where that cannot be the driver says so. */
int layer_enter_view(enum ol_view view, enum layer_need need, struct ol_error *err)
{
    if (need == LAYER_MOUNTS || view == OL_VIEW_DIRECT)
        return 0;
    return view == OL_VIEW_KERNEL ? ol_view_private_mounts(err) : ol_view_enter_userns(err);
}

int layer_open(struct ol_cli *cli, const struct layer_args *args, enum layer_need need,
               struct layer_session *ret, struct ol_error *err)
{
    struct layer_session session = {0};
    struct ol_driver_config config = {.shared = true};
    int r = layer_choose_view(cli->root, args->view, &session.view, err);

    if (r == 0)
        r = layer_enter_view(session.view, need, err);
    if (r < 0)
        return r;
    if (asprintf(&session.home, "%s/%.*s", cli->root, (int)strcspn(args->driver, ":"),
                 args->driver) < 0) {
        session.home = NULL;
        return ol_error_nomem(err);
    }
    config.home = session.home;
    config.view = session.view;
    config.keep_owner = need == LAYER_WRITE && ol_view_can_keep_owner(cli->root);
    r = ol_driver_open(args->driver, &config, &session.drv, err);
    if (r < 0) {
        free(session.home);
        return r;
    }
    *ret = session;
    return 0;
}

void layer_close(struct layer_session *session)
{
    ol_driver_close(session->drv);
    free(session->home);
    *session = (struct layer_session){0};
}

int layer_get_kept(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    int r = ol_driver_get(drv, id, &path, err);

    if ((r == -EPERM || r == -ENOTSUP) && ol_driver_config_of(drv)->view != OL_VIEW_KERNEL)
        r = ol_error_wrap(
            err, r, "a mount needs root, or a shell of 'unshare --user --map-root-user --mount'");
    if (r < 0)
        return r;
    r = ol_driver_keep(drv, id, err);
    if (r < 0) {
        (void)ol_driver_put(drv, id, NULL); /* report the first error */
        return r;
    }
    *ret_path = ol_ptr_steal(path);
    return 0;
}
