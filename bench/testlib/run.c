/* SPDX-License-Identifier: Apache-2.0 */
/* Image and container steps, each done on every driver of the lab and counted. */
#include "bench/testlib/lab.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>

/* ---- images ---- */

struct layer {
    const struct ol_image *image;
    size_t index; /* in the image; the lab may have layers of others below */
};

static int import_layer(struct ol_test_step *step, struct ol_test_driver *driver, const void *data,
                        struct ol_error *err)
{
    const struct layer *layer = data;
    struct ol_image_stream stream = {.input = {.fd = -1}};
    struct ol_engine_report report = {0};
    int closed;
    int r = ol_image_layer_open(layer->image, layer->index, &stream, err);

    if (r < 0)
        return r;
    r = driver->ops->import_layer(driver->engine, &stream.input,
                                  ol_image_layer_diff_id(layer->image, layer->index), &report, err);
    closed = ol_image_layer_close(&stream, r < 0 ? NULL : err);
    if (r == 0)
        r = closed;
    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    if (r == 0)
        r = ol_image_layer_open(layer->image, layer->index, &stream, err);
    if (r < 0)
        return r;
    r = ol_test_predict_layer(&driver->forecast, &stream.input, report.skipped_devices,
                              ol_test_step_result(step, driver), err);
    closed = ol_image_layer_close(&stream, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

static int keep_layer_step(struct ol_test_lab *lab, const struct ol_test_step *step,
                           struct ol_error *err)
{
    const struct ol_test_step **layers = realloc(
        lab->layers, (lab->n_layers + 1) * sizeof(const struct ol_test_step *));

    if (layers == NULL)
        return ol_error_nomem(err);
    lab->layers = layers;
    layers[lab->n_layers++] = step;
    return 0;
}

static int import_layers(struct ol_test_lab *lab, const struct ol_image *image,
                         struct ol_test_step *whole, struct ol_error *err)
{
    size_t n = ol_image_layer_count(image);
    int r = n == 0 ? ol_error_set(err, -EINVAL, "image '%s' has no layers", ol_image_source(image))
                   : 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct layer layer = {image, i};
        struct ol_test_step *step = NULL;

        r = ol_test_step_run(lab, "layer.apply", lab->n_layers, import_layer, &layer, &step, err);
        if (r == 0)
            r = keep_layer_step(lab, step, err);
        if (r == 0)
            r = ol_test_step_merge(whole, step, err);
    }
    return r;
}

static int import(struct ol_test_lab *lab, const char *path, struct ol_test_step **ret,
                  struct ol_error *err)
{
    struct ol_image *image = NULL;
    int r = lab->n_containers > 0 || lab->is_over
                ? ol_error_set(err, -EINVAL, "images are imported before the first container")
                : ol_test_step_new(lab, "import", 0, ret, err);

    if (r == 0)
        r = path != NULL ? ol_image_open(path, ol_backing_path(lab->backing), &image, err)
                         : ol_builtin_image_new(lab->seed, &image, err);
    if (r == 0)
        r = import_layers(lab, image, *ret, err);
    ol_image_free(image);
    lab->n_images = 1;
    return r;
}

const struct ol_test_step *ol_test_import_at(struct ol_test_lab *lab, const char *path,
                                             const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(import(lab, path, &step, &err), &err, file, line);
    return step;
}

const struct ol_test_step *ol_test_layer_at(struct ol_test_lab *lab, unsigned index,
                                            const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    if (index >= lab->n_layers)
        ol_test_need(ol_error_set(&err, -ENOENT, "there is no layer %u: %u were imported", index,
                                  lab->n_layers),
                     &err, file, line);
    return lab->layers[index];
}

/* ---- containers ---- */

static int create(struct ol_test_step *step, struct ol_test_driver *driver, const void *data,
                  struct ol_error *err)
{
    int r = driver->ops->container_create(driver->engine, err);

    (void)data;
    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    driver->cached_before = driver->census.cached;
    return r < 0
               ? r
               : ol_test_predict_create(&driver->forecast, ol_test_step_result(step, driver), err);
}

static int container_create(struct ol_test_lab *lab, struct ol_test_step **ret,
                            struct ol_error *err)
{
    int r;

    if (lab->n_layers == 0 || lab->is_over)
        return ol_error_set(err, -EINVAL, "a container needs an image: %s",
                            lab->is_over ? "one was removed" : "none was imported");
    if (lab->is_mounted)
        return ol_error_set(err, -EBUSY, "the last container is mounted still");
    if (lab->n_containers == OL_TEST_CONTAINERS_MAX)
        return ol_error_set(err, -E2BIG, "a lab has at most %d containers", OL_TEST_CONTAINERS_MAX);
    r = ol_test_step_run(lab, "container.create", lab->n_containers, create, NULL, ret, err);
    lab->n_containers++;
    lab->n_changes = 0;
    lab->is_committed = false;
    return r;
}

const struct ol_test_step *ol_test_container_create_at(struct ol_test_lab *lab, const char *file,
                                                       int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(container_create(lab, &step, &err), &err, file, line);
    return step;
}

static int do_mount(struct ol_test_step *step, struct ol_test_driver *driver, const void *unmount,
                    struct ol_error *err)
{
    int (*op)(struct ol_engine * engine,
              struct ol_error * e) = unmount != NULL ? driver->ops->unmount : driver->ops->mount;
    int r = op(driver->engine, err);

    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    ol_test_predict_mount(&driver->forecast, unmount != NULL, ol_test_step_result(step, driver));
    return r;
}

static int mount_or_unmount(struct ol_test_lab *lab, bool unmount, struct ol_test_step **ret,
                            struct ol_error *err)
{
    const char *name = unmount ? "container.unmount" : "container.mount";
    int r = ol_test_check_container(lab, err);

    if (r == 0 && lab->is_mounted != unmount)
        r = ol_error_set(err, -EINVAL, "the container is %s", unmount ? "not mounted" : "mounted");
    if (r < 0)
        return r;
    r = ol_test_step_run(lab, name, lab->n_containers - 1, do_mount, unmount ? lab : NULL, ret,
                         err);
    lab->is_mounted = !unmount;
    return r;
}

const struct ol_test_step *ol_test_mount_at(struct ol_test_lab *lab, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(mount_or_unmount(lab, false, &step, &err), &err, file, line);
    return step;
}

const struct ol_test_step *ol_test_unmount_at(struct ol_test_lab *lab, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(mount_or_unmount(lab, true, &step, &err), &err, file, line);
    return step;
}

/* ---- commit ---- */

/*
 * What the container changed, as a tar, for the cost model. Where the commit leaves the container,
 * that is written after it: it mounts, and would take from the commit what the first mount frees.
 */
static int commit_counted(struct ol_test_step *step, struct ol_test_driver *driver, int diff_fd,
                          struct ol_error *err)
{
    bool before = driver->ops->commit_keeps_container;
    struct ol_engine_report report = {0};
    int r = before ? driver->ops->save_diff(driver->engine, diff_fd, err) : 0;

    if (r == 0)
        r = driver->ops->commit(driver->engine, &report, err);
    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    if (r == 0 && !before)
        r = driver->ops->save_diff(driver->engine, diff_fd, err);
    return r;
}

static int commit(struct ol_test_step *step, struct ol_test_driver *driver, const void *data,
                  struct ol_error *err)
{
    const char *place = ol_backing_path(step->lab->backing);
    ol_auto_fd int fd = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int r;

    (void)data;
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make a temporary file in '%s'", place);
    r = commit_counted(step, driver, fd, err);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = ol_error_sys(err, errno, "cannot read a temporary file again");
    return r < 0 ? r
                 : ol_test_predict_commit(&driver->forecast, fd, ol_test_step_result(step, driver),
                                          err);
}

static int commit_all(struct ol_test_lab *lab, struct ol_test_step **ret, struct ol_error *err)
{
    int r = ol_test_check_container(lab, err);

    if (r == 0 && lab->is_mounted)
        r = ol_error_set(err, -EBUSY, "the container is mounted still");
    if (r < 0)
        return r;
    r = ol_test_step_run(lab, "commit", lab->n_images - 1, commit, NULL, ret, err);
    lab->n_images++;
    lab->is_committed = true;
    return r;
}

const struct ol_test_step *ol_test_commit_at(struct ol_test_lab *lab, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(commit_all(lab, &step, &err), &err, file, line);
    return step;
}

/* ---- removing ---- */

static int remove_container(struct ol_test_step *step, struct ol_test_driver *driver,
                            const void *data, struct ol_error *err)
{
    unsigned index = *(const unsigned *)data;
    int r = driver->ops->container_remove(driver->engine, index, err);

    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    ol_test_predict_container_remove(&driver->forecast, index, ol_test_step_result(step, driver));
    return r;
}

static int remove_image(struct ol_test_step *step, struct ol_test_driver *driver, const void *data,
                        struct ol_error *err)
{
    unsigned index = *(const unsigned *)data;
    int r = driver->ops->image_remove(driver->engine, index, err);

    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    ol_test_predict_image_remove(&driver->forecast, index, ol_test_step_result(step, driver));
    return r;
}

static int remove_one(struct ol_test_lab *lab, bool image, unsigned index,
                      struct ol_test_step **ret, struct ol_error *err)
{
    const char *what = image ? "image" : "container";
    bool *gone = image ? lab->image_gone : lab->container_gone;
    int r;

    if (index >= (image ? lab->n_images : lab->n_containers) || gone[index])
        return ol_error_set(err, -ENOENT, "there is no %s %u%s", what, index,
                            index < OL_TEST_CONTAINERS_MAX && gone[index] ? " any more" : "");
    if (lab->is_mounted && !image && index + 1 == lab->n_containers)
        return ol_error_set(err, -EBUSY, "container %u is mounted still", index);
    r = ol_test_step_run(lab, image ? "image.remove" : "container.remove", index,
                         image ? remove_image : remove_container, &index, ret, err);
    gone[index] = r == 0;
    lab->is_over = lab->is_over || (image && r == 0);
    return r;
}

const struct ol_test_step *ol_test_container_remove_at(struct ol_test_lab *lab, unsigned index,
                                                       const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(remove_one(lab, false, index, &step, &err), &err, file, line);
    return step;
}

const struct ol_test_step *ol_test_image_remove_at(struct ol_test_lab *lab, unsigned index,
                                                   const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(remove_one(lab, true, index, &step, &err), &err, file, line);
    return step;
}

static int remove_all(struct ol_test_lab *lab, struct ol_test_step **ret, struct ol_error *err)
{
    unsigned n_containers = lab->n_containers;
    int r = ol_test_step_new(lab, "remove", 0, ret, err);

    for (unsigned i = n_containers + lab->n_images; r == 0 && i-- > 0;) {
        bool image = i < lab->n_images; /* those after the containers */
        unsigned index = image ? i : i - lab->n_images;
        struct ol_test_step *part = NULL;

        if (image ? lab->image_gone[index] : lab->container_gone[index])
            continue;
        r = remove_one(lab, image, index, &part, err);
        if (r == 0)
            r = ol_test_step_merge(*ret, part, err);
    }
    lab->is_over = true;
    return r;
}

const struct ol_test_step *ol_test_remove_all_at(struct ol_test_lab *lab, const char *file,
                                                 int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(remove_all(lab, &step, &err), &err, file, line);
    return step;
}
