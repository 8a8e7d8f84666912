/* SPDX-License-Identifier: Apache-2.0 */
/* Making and unmaking a lab: its view, its place, an engine for each driver. */
#include "bench/testlib/lab.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/mount/view.h"

#include <errno.h>
#include <fcntl.h>

static const char default_drivers[] = "overlay,overlay2,vfs,snapshot";

/* Namespaces are the process's, for all labs to come. */
static bool in_userns, has_private_mounts;

static int enter_view(enum ol_view view, struct ol_error *err)
{
    int r = 0;

    if (view == OL_VIEW_USERNS && !in_userns) {
        r = ol_view_enter_userns(err);
        in_userns = r == 0;
    } else if (view == OL_VIEW_KERNEL && !has_private_mounts) {
        r = ol_view_private_mounts(err);
        has_private_mounts = r == 0;
    }
    return r;
}

/* NULL and "" leave it to what comes next: the option, the environment, "auto". */
static const char *first_text(const char *a, const char *b, const char *otherwise)
{
    if (a != NULL && a[0] != '\0')
        return a;
    return b != NULL && b[0] != '\0' ? b : otherwise;
}

static int choose_view(struct ol_test_lab *lab, const struct ol_test_options *options,
                       const struct ol_backing_spec *spec, bool *ret_host, struct ol_error *err)
{
    const char *tmp = first_text(getenv("TMPDIR"), NULL, "/tmp");
    const char *dir = spec->kind == OL_BACKING_DIRECTORY ? spec->dir : tmp;
    const char *name = options->view;
    enum ol_view want = OL_VIEW_AUTO;
    int r;

    if (name == NULL || strcmp(name, "auto") == 0)
        name = first_text(getenv("OVERLAB_TEST_VIEW"), NULL, "auto");
    r = ol_view_parse(name, &want, err);
    if (r < 0)
        return r;
    r = ol_view_choose(dir, want, &lab->view, err);
    if (r == 0)
        r = enter_view(lab->view, err);
    if (r == 0)
        r = ol_backing_open(spec, dir, &lab->backing, err);
    /* A program for making file systems may be missing here; a directory is misspelled. */
    *ret_host = r == -EPERM || r == -ENOTSUP ||
                (r == -ENOENT && spec->kind != OL_BACKING_DIRECTORY);
    return r;
}

static int open_place(struct ol_test_lab *lab, const struct ol_test_options *options,
                      bool *ret_host, struct ol_error *err)
{
    struct ol_backing_spec spec = {.kind = OL_BACKING_DIRECTORY};
    int r = ol_backing_parse(first_text(options->backing, getenv("TMPDIR"), "/tmp"), &spec, err);

    if (r == 0)
        r = choose_view(lab, options, &spec, ret_host, err);
    ol_backing_spec_fini(&spec);
    return r;
}

static int open_engine(struct ol_test_lab *lab, struct ol_test_driver *driver, unsigned index,
                       struct ol_error *err)
{
    const char *place = ol_backing_path(lab->backing);
    struct ol_engine_config config = {
        .name = driver->name,
        .view = lab->view,
        .keep_owner = ol_view_can_keep_owner(place),
        .commits = OL_TEST_CONTAINERS_MAX,
    };
    int r;

    if (asprintf(&driver->dir, "%s/%u", place, index) < 0) {
        driver->dir = NULL;
        return ol_error_nomem(err);
    }
    config.dir = driver->dir;
    r = ol_fs_mkdir(AT_FDCWD, driver->dir, 0700, err);
    if (r == 0)
        r = driver->ops->open(&config, &driver->engine, err);
    if (r == 0)
        r = driver->ops->usage(driver->engine, &driver->usage, err);
    if (r == 0)
        r = ol_test_census_take(&driver->census, driver->ops->home(driver->engine), NULL, err);
    driver->empty = driver->usage;
    return r;
}

static int open_driver(struct ol_test_lab *lab, unsigned index, bool *ret_host,
                       struct ol_error *err)
{
    struct ol_test_driver *driver = &lab->drivers[index];
    int r;

    *driver = (struct ol_test_driver){
        .name = lab->names[index],
        .ops = ol_engine_ops_of(lab->names[index]),
        .census = OL_TEST_CENSUS_INIT,
    };
    lab->n_drivers++;
    r = ol_test_predict_open(&driver->forecast, driver->name, lab->view != OL_VIEW_DIRECT, err);
    if (r == 0) {
        r = open_engine(lab, driver, index, err);
        *ret_host = r == -ENOTSUP || r == -EPERM;
    }
    return r < 0 ? ol_error_wrap(err, r, "driver '%s'", driver->name) : 0;
}

static int open_lab(struct ol_test_lab *lab, const struct ol_test_options *options, bool *ret_host,
                    struct ol_error *err)
{
    size_t n = 0;
    int r = ol_engine_names_parse(first_text(options->drivers, NULL, default_drivers), &lab->names,
                                  &n, err);

    if (r == 0)
        r = open_place(lab, options, ret_host, err);
    if (r < 0)
        return r;
    *ret_host = false;
    lab->seed = options->seed;
    lab->drivers = calloc(n, sizeof *lab->drivers);
    lab->container_gone = calloc(OL_TEST_CONTAINERS_MAX, sizeof *lab->container_gone);
    lab->image_gone = calloc(OL_TEST_CONTAINERS_MAX + 1, sizeof *lab->image_gone);
    if (lab->drivers == NULL || lab->container_gone == NULL || lab->image_gone == NULL)
        return ol_error_nomem(err);
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = open_driver(lab, i, ret_host, err);
    return r;
}

static int close_lab(struct ol_test_lab *lab, struct ol_error *err)
{
    int r;

    free(lab->root.path);
    for (size_t i = 0; i < lab->n_drivers; i++) {
        struct ol_test_driver *driver = &lab->drivers[i];

        driver->ops->close(driver->engine);
        ol_test_predict_close(&driver->forecast);
        ol_test_census_fini(&driver->census);
        free(driver->dir);
    }
    ol_test_steps_free(lab);
    r = ol_backing_close(lab->backing, err);
    ol_engine_names_free(lab->names);
    free(lab->drivers);
    free(lab->layers);
    free(lab->container_gone);
    free(lab->image_gone);
    ol_buf_fini(&lab->text);
    free(lab);
    return r;
}

struct ol_test_lab *ol_test_lab_new_at(const struct ol_test_options *options, const char *file,
                                       int line)
{
    static const struct ol_test_options defaults = {.drivers = NULL};
    struct ol_test_lab *lab = calloc(1, sizeof *lab);
    struct ol_error err = OL_ERROR_INIT;
    bool host = false;
    int r = lab == NULL ? ol_error_nomem(&err)
                        : open_lab(lab, options != NULL ? options : &defaults, &host, &err);

    if (r < 0 && lab != NULL)
        (void)close_lab(lab, NULL); /* the first error is the one to report */
    if (host)
        ol_test_need_host(r, &err, file, line);
    ol_test_need(r, &err, file, line);
    return lab;
}

void ol_test_lab_free_at(struct ol_test_lab *lab, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    if (lab != NULL)
        ol_test_need(close_lab(lab, &err), &err, file, line);
}

const char *ol_test_view(const struct ol_test_lab *lab)
{
    return ol_view_name(lab->view);
}
