/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and sessions of the snapshot commands, and what they print alike. */
#include "cli/snapshot.h"

#include "cli/layer.h"

#include "bench/report/json_put.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/time_text.h"

#include <errno.h>
#include <string.h>

enum { KEY_VIEW = 0x300000, KEY_LABEL, KEY_PARENT, KEY_ASYNC };

static bool take_label(struct ol_cli *cli, struct snapshot_args *args, const char *text)
{
    const char *equals = strchr(text, '=');
    ol_auto_free char *key = NULL;

    if (equals == NULL || equals == text) {
        (void)ol_cli_usage(cli, "label '%s' is not KEY=VALUE", text);
        return false;
    }
    key = strndup(text, (size_t)(equals - text));
    if (key != NULL && ol_labels_set(&args->labels, key, equals + 1) == 0)
        return true;
    cli->status = ol_cli_fail(cli, -ENOMEM, NULL);
    return false;
}

static bool take_word(struct ol_cli *cli, struct snapshot_args *args, char *word)
{
    char **grown = reallocarray(args->words, args->n_words + 2, sizeof *grown);

    if (grown == NULL) {
        cli->status = ol_cli_fail(cli, -ENOMEM, NULL);
        return false;
    }
    grown[args->n_words++] = word;
    grown[args->n_words] = NULL;
    args->words = grown;
    return true;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct snapshot_args *args = data;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    switch (key) {
    case KEY_VIEW:
        if (ol_view_parse(arg, &args->view, &err) == 0)
            return true;
        (void)ol_cli_usage(cli, "%s", ol_error_text(&err));
        return false;
    case 'l':
        return take_label(cli, args, arg);
    case KEY_PARENT:
        args->parent = arg;
        return true;
    case KEY_ASYNC:
        args->async = true;
        return true;
    default:
        return take_word(cli, args, arg);
    }
}

bool snapshot_parse(struct ol_cli *cli, int argc, char **argv, unsigned flags, unsigned min,
                    unsigned max, const char *help, struct snapshot_args *ret)
{
    static const struct argp_option all[] = {
        {"label", 'l', "KEY=VALUE", 0, "a label of the snapshot; may be repeated", 0},
        {"parent", KEY_PARENT, "NAME", 0, "parent of a snapshot that was made without one", 0},
        {"async", KEY_ASYNC, NULL, 0, "leave the files to 'overlab snapshot cleanup'", 0},
    };
    struct argp_option options[OL_ARRAY_LEN(all) + 2] = {{0}};
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = ret,
        .min_arguments = min,
        .max_arguments = max,
        .help = help,
    };
    size_t n = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(all); i++) {
        if ((flags & 1u << i) != 0)
            options[n++] = all[i];
    }
    options[n] = (struct argp_option){
        "view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0};
    *ret = (struct snapshot_args){.view = OL_VIEW_AUTO};
    if (ol_cli_parse(cli, &syntax, argc, argv))
        return true;
    snapshot_args_fini(ret);
    return false;
}

void snapshot_args_fini(struct snapshot_args *args)
{
    free(args->words);
    ol_labels_fini(&args->labels);
    args->words = NULL;
    args->n_words = 0;
}

const char *snapshot_word(const struct snapshot_args *args, unsigned index)
{
    return index < args->n_words ? args->words[index] : NULL;
}

static int open_session(struct ol_cli *cli, const struct snapshot_args *args, bool mounts,
                        struct ol_snapshots **ret, struct ol_error *err)
{
    ol_auto_free char *home = NULL;
    struct ol_snapshots_config config = {.async_remove = args->async};
    int r = layer_choose_view(cli->root, args->view, &config.view, err);

    /* In the kernel view nothing but 'mount' mounts; ids of a user namespace need it entered. */
    if (r == 0 && config.view == OL_VIEW_USERNS && !mounts)
        r = ol_view_enter_userns(err);
    if (r < 0)
        return r;
    if (asprintf(&home, "%s/snapshot", cli->root) < 0) {
        home = NULL;
        return ol_error_nomem(err);
    }
    config.root = home;
    config.keep_owner = ol_view_can_keep_owner(cli->root);
    return ol_snapshots_open(&config, ret, err);
}

int snapshot_run(struct ol_cli *cli, struct snapshot_args *args, bool mounts, snapshot_fn *fn)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_snapshots *sn = NULL;
    int r = open_session(cli, args, mounts, &sn, &err);

    if (r == 0)
        r = fn(cli, args, sn, &err);
    ol_snapshots_free(sn);
    snapshot_args_fini(args);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}

json_t *snapshot_info_json(const struct ol_snapshot_info *info)
{
    char created[OL_TIME_TEXT_SIZE];
    char updated[OL_TIME_TEXT_SIZE];
    json_t *json;
    json_t *labels = json_object();
    int r = 0;

    ol_time_text(&info->created, true, created);
    ol_time_text(&info->updated, true, updated);
    json = json_pack("{ss, ss, ss}", "kind", ol_snapshot_kind_name(info->kind), "created", created,
                     "updated", updated);
    for (size_t i = 0; i < info->labels.count && r == 0; i++)
        r = ol_json_put_bytes(labels, info->labels.items[i].key, info->labels.items[i].value);
    if (r == 0)
        r = json_object_set(json, "labels", labels);
    if (r == 0)
        r = ol_json_put_bytes(json, "name", info->name);
    if (r == 0)
        r = ol_json_put_bytes(json, "parent", info->parent);
    json_decref(labels);
    if (r == 0)
        return json;
    json_decref(json);
    return NULL;
}
