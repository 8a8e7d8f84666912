/* SPDX-License-Identifier: Apache-2.0 */
/* The configs of containers and of committed images. */
#include "store/commit_config.h"
#include "store/image_config.h"
#include "store/image_internal.h"
#include "support/support.h"

#include "config.h"

#include <errno.h>
#include <string.h>

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIFF "sha256:" ID

static const char image_text[] =
    "{\"architecture\":\"arm\",\"variant\":\"v9\",\"os\":\"linux\",\"mine\":1,\"config\":{\"User\":"
    "\"5\",\"Env\":[\"A=b\"],\"Cmd\":[\"/bin/sh\",\"-c\",\"a\"],\"OnBuild\":[\"RUN q\"],"
    "\"Shell\":[\"/s\"],\"StopSignal\":\"9\"},\"history\":[{\"created_by\":\"one\"}],\"rootfs\":{"
    "\"type\":\"layers\",\"diff_ids\":[\"" DIFF "\"]}}";

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    return json;
}

static void assert_json(const json_t *json, const char *want)
{
    ol_auto_free char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    assert_non_null(text);
    assert_string_equal(text, want);
}

static json_t *container_of(const json_t *image)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    json_t *container = NULL;

    assert_ok(ol_container_config(image, ID, "base:1", &container, &err), &err);
    return container;
}

static void container_config__is_what_docker_create_writes(void **state)
{
    ol_auto_json json_t *image = parse(image_text);
    ol_auto_json json_t *container = container_of(image);

    (void)state;
    assert_json(container,
                "{\"Hostname\":\"0123456789ab\",\"Domainname\":\"\",\"User\":\"5\","
                "\"AttachStdin\":false,\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":false,"
                "\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":[\"A=b\"],\"Cmd\":[\"/bin/sh\","
                "\"-c\",\"a\"],\"Image\":\"base:1\",\"Volumes\":null,\"WorkingDir\":\"\","
                "\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":{},\"StopSignal\":\"9\"}");
}

static void make(struct ol_commit_config *commit, struct ol_buf *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_json json_t *image = parse(image_text);
    ol_auto_json json_t *container = container_of(image);

    commit->image = image;
    commit->container = container;
    commit->container_id = ID;
    assert_ok(ol_commit_config_make(commit, ret, &err), &err);
}

static void commit_config__adds_a_layer_and_a_line_of_history(void **state)
{
    static const char *const changes[] = {"CMD z"};
    struct ol_commit_config commit = {.message = "msg",
                                      .author = "me",
                                      .changes = changes,
                                      .n_changes = 1,
                                      .diff_id = DIFF,
                                      .created = {.tv_sec = 1700000000}};
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_json json_t *made = NULL;

    (void)state;
    make(&commit, &text);
    made = parse(ol_buf_str(&text));
    assert_json(json_object_get(made, "rootfs"),
                "{\"diff_ids\":[\"" DIFF "\",\"" DIFF "\"],\"type\":\"layers\"}");
    assert_json(json_object_get(made, "history"),
                "[{\"created_by\":\"one\"},{\"author\":\"me\",\"comment\":\"msg\",\"created\":"
                "\"2023-11-14T22:13:20Z\",\"created_by\":\"/bin/sh -c a\"}]");
    assert_json(json_object_get(json_object_get(made, "config"), "Cmd"),
                "[\"/bin/sh\",\"-c\",\"z\"]");
    assert_json(json_object_get(json_object_get(made, "container_config"), "Cmd"),
                "[\"/bin/sh\",\"-c\",\"a\"]");
    assert_string_equal(ol_json_string(made, "docker_version"), "overlab " OL_VERSION);
    assert_string_equal(ol_json_string(made, "variant"), "v9");
    assert_string_equal(ol_json_string(made, "container"), ID);
    assert_null(json_object_get(made, "mine")); /* dockerd drops what it does not know */
}

static void commit_config__of_an_empty_commit_says_so(void **state)
{
    struct ol_commit_config commit = {.created = {.tv_sec = 1700000000, .tv_nsec = 5}};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    (void)state;
    make(&commit, &text);
    assert_ok(ol_image_config_parse(&text, &config, &err), &err);
    assert_int_equal(config.layers, 1);
    assert_json(json_array_get(ol_image_config_history(&config), 1),
                "{\"created\":\"2023-11-14T22:13:20.000000005Z\",\"created_by\":\"/bin/sh -c a\","
                "\"empty_layer\":true}");
}

static void commit_config__has_the_same_bytes_at_the_same_time(void **state)
{
    struct ol_commit_config commit = {.created = {.tv_sec = 1}, .diff_id = DIFF};
    ol_auto_buf struct ol_buf one = OL_BUF_INIT;
    ol_auto_buf struct ol_buf two = OL_BUF_INIT;

    (void)state;
    make(&commit, &one);
    make(&commit, &two);
    assert_string_equal(ol_buf_str(&one), ol_buf_str(&two));
}

static void commit_config__refuses_what_is_no_text(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_json json_t *container = container_of(NULL);
    const struct ol_commit_config commit = {
        .container = container, .container_id = ID, .message = "\xff"};

    (void)state;
    assert_int_equal(ol_commit_config_make(&commit, &text, &err), -EINVAL);
    assert_message(&err, "the message is not UTF-8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(container_config__is_what_docker_create_writes),
        cmocka_unit_test(commit_config__adds_a_layer_and_a_line_of_history),
        cmocka_unit_test(commit_config__of_an_empty_commit_says_so),
        cmocka_unit_test(commit_config__has_the_same_bytes_at_the_same_time),
        cmocka_unit_test(commit_config__refuses_what_is_no_text),
    };

    return cmocka_run_group_tests_name("commit_config", tests, NULL, NULL);
}
