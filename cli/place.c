/* SPDX-License-Identifier: Apache-2.0 */
/* Views and places; see place.h. */
#include "cli/place.h"

#include "cli/child.h"
#include "common/cleanup.h"
#include "common/fs/file.h"

#include <errno.h>
#include <sys/wait.h>

void place_fini(struct place *place)
{
    ol_backing_spec_fini(&place->backing);
}

int place_set_backing(struct place *place, const char *text, struct ol_error *err)
{
    ol_backing_spec_fini(&place->backing);
    place->backing_text = text;
    return ol_backing_parse(text, &place->backing, err);
}

static int make_root(struct ol_cli *cli, struct ol_error *err)
{
    int r = ol_fs_mkdir_path(cli->root, 0711, err);

    return r < 0 ? ol_error_wrap(err, r, "data root '%s' (--root names another)", cli->root) : 0;
}

static int run_at(struct ol_cli *cli, const struct place *place, enum ol_view view,
                  const struct ol_backing *backing, place_fn *run, void *data, int *ret_status,
                  struct ol_error *err)
{
    const struct place_found found = {
        .view = view,
        .dir = ol_backing_path(backing),
        .path_kind = ol_backing_path_kind(place->backing.kind),
        .dedicated = place->backing.kind != OL_BACKING_DIRECTORY,
    };

    return run(cli, &found, data, ret_status, err);
}

/* A directory: its view first, because what is made in a user namespace is unmade there. */
static int run_in_directory(struct ol_cli *cli, const struct place *place, place_fn *run,
                            void *data, int *ret_status, struct ol_error *err)
{
    struct ol_backing *backing = NULL;
    enum ol_view view = OL_VIEW_AUTO;
    int closed;
    int r = place->backing_text == NULL ? make_root(cli, err) : 0;

    if (r == 0)
        r = ol_view_choose(place->backing.dir, place->view, &view, err);
    if (r == 0 && view == OL_VIEW_USERNS)
        r = ol_view_enter_userns(err);
    if (r == 0 && view == OL_VIEW_KERNEL)
        r = ol_view_private_mounts(err);
    if (r == 0)
        r = ol_backing_open(&place->backing, place->backing.dir, &backing, err);
    if (r < 0)
        return r;
    r = run_at(cli, place, view, backing, run, data, ret_status, err);
    closed = ol_backing_close(backing, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

/*
 * A file system of our own was mounted outside the user namespace and cannot be unmounted inside: a
 * child enters it, and the place is unmade here. The child says what is wrong itself.
 */
static int run_in_child(struct ol_cli *cli, const struct place *place,
                        const struct ol_backing *backing, place_fn *run, void *data,
                        int *ret_status, struct ol_error *err)
{
    struct child child;
    int status = 0;
    char none;
    int r = child_start(&child, err);

    if (r < 0)
        return r;
    if (child.pid == 0) {
        r = ol_view_enter_userns(err);
        if (r == 0)
            r = run_at(cli, place, OL_VIEW_USERNS, backing, run, data, &status, err);
        if (r < 0)
            status = ol_cli_fail(cli, r, err);
        _exit(ol_cli_finish_output(cli, status));
    }
    (void)child_read(&child, &none, sizeof none); /* it writes nothing: until its end */
    status = child_end(&child);
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

static int run_on_file_system(struct ol_cli *cli, const struct place *place, place_fn *run,
                              void *data, int *ret_status, struct ol_error *err)
{
    struct ol_backing *backing = NULL;
    enum ol_view view = OL_VIEW_AUTO;
    int closed;
    int r = make_root(cli, err);

    if (r == 0)
        r = ol_view_private_mounts(err);
    if (r < 0)
        return ol_error_wrap(err, r, "--backing %s", place->backing_text);
    r = ol_backing_open(&place->backing, cli->root, &backing, err);
    if (r < 0)
        return ol_error_wrap(err, r, "--backing %s", place->backing_text);
    r = ol_view_choose(ol_backing_path(backing), place->view, &view, err);
    if (r == 0 && view == OL_VIEW_USERNS)
        r = run_in_child(cli, place, backing, run, data, ret_status, err);
    else if (r == 0)
        r = run_at(cli, place, view, backing, run, data, ret_status, err);
    closed = ol_backing_close(backing, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

int place_run(struct ol_cli *cli, struct place *place, place_fn *run, void *data, int *ret_status,
              struct ol_error *err)
{
    if (place->backing_text == NULL && place->backing.dir == NULL) {
        place->backing.dir = strdup(cli->root);
        if (place->backing.dir == NULL)
            return ol_error_nomem(err);
    }
    return place->backing.kind == OL_BACKING_DIRECTORY
               ? run_in_directory(cli, place, run, data, ret_status, err)
               : run_on_file_system(cli, place, run, data, ret_status, err);
}
