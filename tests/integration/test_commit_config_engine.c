/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configs of containers and commits beside those of the dockerd that is installed: the same
 * image, the same changes, key by key. What dockerd refuses is refused, too.
 */
#include "bench/engines/docker.h"
#include "common/fs/file.h"
#include "store/change.h"
#include "store/commit_config.h"
#include "store/image_internal.h"
#include "support/support.h"
#include "support/tarball.h"
#include "unit/store/change_cases.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const char create_body[] =
    "{\"Image\":\"%s\",\"AttachStdout\":true,\"AttachStderr\":true%s}";

/* The image all containers are made of: everything a container takes over is in its config. */
static const char *const base_changes[] = {"ENV X=1 E=",
                                           "CMD [\"/bin/sh\",\"-c\",\"two words\"]",
                                           "LABEL l=1",
                                           "EXPOSE 7/udp",
                                           "VOLUME /v",
                                           "USER 5",
                                           "ONBUILD RUN trigger",
                                           "WORKDIR /made/by/create",
                                           "HEALTHCHECK --interval=7s CMD old"};

struct fixture {
    struct test_dir dir;
    struct ol_engine *engine; /* owned */
    struct docker *docker;    /* the same */
    char base[OL_DIGEST_SIZE];
    char container[OL_HEX_SIZE];
    json_t *image, *config; /* owned: dockerd's, of these two */
};

static struct ol_engine *start_dockerd(const char *dir, struct ol_error *err)
{
    const struct ol_engine_config config = {.name = "docker/overlay2",
                                            .dir = dir,
                                            .view = OL_VIEW_KERNEL,
                                            .keep_owner = true,
                                            .commits = 1,
                                            .timeout_s = 60};
    struct ol_engine *engine = NULL;

    return ol_docker_engine_ops.open(&config, &engine, err) < 0 ? NULL : engine;
}

static bool can_run_dockerd(void)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct test_dir dir;
    struct ol_engine *engine;

    test_dir_make(&dir);
    engine = start_dockerd(dir.path, &err);
    if (engine == NULL)
        print_message("dockerd cannot be run: %s\n", ol_error_text(&err));
    ol_docker_engine_ops.close(engine);
    test_dir_remove(&dir);
    return engine != NULL;
}

/* Ask; NULL with the error where it is refused. */
static json_t *ask(struct fixture *f, const char *method, const char *path, const char *body,
                   struct ol_error *err)
{
    const struct ol_http_request request = {.method = method, .path = path, .json = body};
    ol_auto_buf struct ol_buf answer = OL_BUF_INIT;

    if (ol_http_do(f->docker->http, &request, &answer, err) < 0)
        return NULL;
    return json_loadb(ol_buf_str(&answer), answer.len, 0, NULL);
}

static void put_escaped(struct ol_buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        assert_int_equal(ol_buf_printf(out, "%%%02X", (unsigned char)*text), 0);
}

/* dockerd's commit of the container. */
static json_t *their_commit(struct fixture *f, const char *container, const char *const *changes,
                            size_t count, struct ol_error *err)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;

    assert_int_equal(
        ol_buf_printf(&path, "/commit?container=%s&pause=0&comment=msg&author=me", container), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ol_buf_puts(&path, "&changes="), 0);
        put_escaped(&path, changes[i]);
    }
    return ask(f, "POST", ol_buf_str(&path), "", err);
}

/* What dockerd has on its disk about an image. */
static json_t *their_config(const struct fixture *f, const char *id)
{
    ol_auto_free char *path = NULL;
    ol_auto_free char *text = NULL;
    json_t *json;

    assert_true(asprintf(&path, "%s/image/overlay2/imagedb/content/sha256/%s", f->docker->data,
                         ol_digest_hex(id)) > 0);
    text = test_read(AT_FDCWD, path);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void create(struct fixture *f, const char *image, const char *more, char ret[OL_HEX_SIZE])
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *body = NULL;
    ol_auto_json json_t *answer = NULL;

    assert_true(asprintf(&body, create_body, image, more) > 0);
    answer = ask(f, "POST", "/containers/create", body, &err);
    assert_ok(answer == NULL ? -EIO : 0, &err);
    (void)snprintf(ret, OL_HEX_SIZE, "%s", ol_json_string(answer, "Id"));
}

static void load_base(struct fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine_report report = {.id = ""};
    struct tarball tar = TARBALL_INIT;
    char first[OL_HEX_SIZE];
    ol_auto_json json_t *answer = NULL;

    tarball_add_file(&tar, "file", "content");
    tarball_end(&tar);
    assert_ok(f->engine->ops->prepare_layer(f->engine, &OL_INPUT_FD(tarball_fd(&tar)), NULL, &err),
              &err);
    assert_ok(f->engine->ops->import_layer(f->engine, &OL_INPUT_FD(tarball_fd(&tar)), NULL, &report,
                                           &err),
              &err);
    assert_ok(f->engine->ops->describe(f->engine, OL_STEP_LAYER_APPLY, &report, &err), &err);
    tarball_fini(&tar);
    create(f, f->docker->images[f->docker->n_images - 1], ",\"Cmd\":[\"x\"]", first);
    answer = their_commit(f, first, base_changes, OL_ARRAY_LEN(base_changes), &err);
    assert_ok(answer == NULL ? -EIO : 0, &err);
    (void)snprintf(f->base, sizeof f->base, "%s", ol_json_string(answer, "Id"));
}

static int setup(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_json json_t *answer = NULL;
    ol_auto_free char *path = NULL;
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    *state = f;
    if (!can_run_dockerd())
        return 0;
    test_dir_make(&f->dir);
    f->engine = start_dockerd(f->dir.path, &err);
    assert_ok(f->engine == NULL ? -EIO : 0, &err);
    f->docker = (struct docker *)f->engine;
    load_base(f);
    create(f, f->base, "", f->container);
    assert_true(asprintf(&path, "/containers/%s/json", f->container) > 0);
    answer = ask(f, "GET", path, NULL, &err);
    assert_ok(answer == NULL ? -EIO : 0, &err);
    f->config = json_incref(json_object_get(answer, "Config"));
    f->image = their_config(f, f->base);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    json_decref(f->image);
    json_decref(f->config);
    if (f->engine != NULL) {
        ol_docker_engine_ops.close(f->engine);
        test_dir_remove(&f->dir);
    }
    free(f);
    return 0;
}

static bool has_dockerd(const struct fixture *f)
{
    return f->engine != NULL;
}

#define REQUIRE_DOCKERD(f)                                                                         \
    do {                                                                                           \
        if (!has_dockerd(f))                                                                       \
            ol_require_failed("can_run_dockerd", __func__, "a dockerd of its own");                \
    } while (0)

static void assert_same(const json_t *ours, const json_t *theirs, const char *what)
{
    ol_auto_free char *our_text = json_dumps(ours, JSON_SORT_KEYS | JSON_COMPACT);
    ol_auto_free char *their_text = json_dumps(theirs, JSON_SORT_KEYS | JSON_COMPACT);

    assert_non_null(our_text);
    assert_non_null(their_text);
    if (strcmp(our_text, their_text) != 0)
        fail_msg("%s: ours is\n%s\ndockerd's is\n%s", what, our_text, their_text);
}

static void container_config__is_dockerds(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_json json_t *config = NULL;

    REQUIRE_DOCKERD(f);
    assert_ok(ol_container_config(f->image, f->container, f->base, &config, &err), &err);
    assert_same(config, f->config, "container");
}

/* What cannot be the same. */
static void mask(json_t *config)
{
    json_t *history = json_object_get(config, "history");
    json_t *last = json_array_get(history, json_array_size(history) - 1);

    assert_int_equal(json_object_set_new(config, "docker_version", json_string("")), 0);
    assert_int_equal(json_object_set_new(config, "created", json_string("")), 0);
    assert_int_equal(json_object_set_new(last, "created", json_string("")), 0);
}

static void hold_against(struct fixture *f, const char *const *changes, size_t count)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_json json_t *answer = their_commit(f, f->container, changes, count, &err);
    ol_auto_json json_t *theirs = NULL;
    ol_auto_json json_t *ours = NULL;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    const json_t *diff_ids;
    struct ol_commit_config commit = {.image = f->image,
                                      .container = f->config,
                                      .container_id = f->container,
                                      .message = "msg",
                                      .author = "me",
                                      .changes = changes,
                                      .n_changes = count};

    assert_ok(answer == NULL ? -EIO : 0, &err);
    theirs = their_config(f, ol_json_string(answer, "Id"));
    diff_ids = json_object_get(json_object_get(theirs, "rootfs"), "diff_ids");
    commit.diff_id = json_string_value(json_array_get(diff_ids, json_array_size(diff_ids) - 1));
    if (json_array_size(diff_ids) ==
        json_array_size(json_object_get(json_object_get(f->image, "rootfs"), "diff_ids")))
        commit.diff_id = NULL;
    assert_ok(ol_commit_config_make(&commit, &text, &err), &err);
    ours = json_loads(ol_buf_str(&text), 0, NULL);
    mask(ours);
    mask(theirs);
    assert_same(ours, theirs, count > 0 ? changes[0] : "without changes");
}

static void commit_config__is_dockerds(void **state)
{
    struct fixture *f = *state;

    REQUIRE_DOCKERD(f);
    hold_against(f, NULL, 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(made); i++)
        hold_against(f, &made[i].change, 1);
}

static void commit_config__refuses_what_dockerd_refuses(void **state)
{
    struct fixture *f = *state;

    REQUIRE_DOCKERD(f);
    for (size_t i = 0; i < OL_ARRAY_LEN(refused); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_json json_t *answer = NULL;

        if (refused[i].change[0] == '\0' || strchr(refused[i].change, '\xff') != NULL)
            continue; /* the API takes the one for no change, and repairs the other */
        answer = their_commit(f, f->container, &refused[i].change, 1, &err);
        if (answer != NULL)
            fail_msg("dockerd takes '%s'", refused[i].change);
    }
}

static json_t *remove_image(struct fixture *f, const char *id, const char *query,
                            struct ol_error *err)
{
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "/images/%s%s", id, query) > 0);
    return ask(f, "DELETE", path, NULL, err);
}

/* What ol_containers_commit() follows: removed by force, the image leaves its container, and that
 * cannot be committed. */
static void commit__of_an_image_that_was_removed_is_refused_by_dockerd(void **state)
{
    static const char *const changes[] = {"ENV REMOVED=1"};
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    ol_auto_json json_t *image = NULL;
    ol_auto_json json_t *removed = NULL;
    ol_auto_json json_t *committed = NULL;
    char container[OL_HEX_SIZE];
    const char *id;

    REQUIRE_DOCKERD(f);
    image = their_commit(f, f->container, changes, 1, &err);
    assert_ok(image == NULL ? -EIO : 0, &err);
    id = ol_json_string(image, "Id");
    create(f, id, "", container);
    assert_null(remove_image(f, id, "", &err));
    assert_message(&err, "must be forced");
    removed = remove_image(f, id, "?force=1", &why);
    assert_ok(removed == NULL ? -EIO : 0, &why);
    committed = their_commit(f, container, NULL, 0, &why);
    assert_null(committed);
    assert_message(&why, "failed to get digest sha256:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(container_config__is_dockerds),
        cmocka_unit_test(commit_config__is_dockerds),
        cmocka_unit_test(commit_config__refuses_what_dockerd_refuses),
        cmocka_unit_test(commit__of_an_image_that_was_removed_is_refused_by_dockerd),
    };

    return cmocka_run_group_tests_name("commit_config_engine", tests, setup, teardown);
}
