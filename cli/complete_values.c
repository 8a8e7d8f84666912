/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can stand for the placeholders of options and synopses; see complete.h. One row of the table
 * below for each, first match wins; "a|b|c" needs none.
 */
#include "cli/complete.h"
#include "cli/embedded.h"

#include "bench/engines/engines.h"
#include "bench/teach/steps.h"
#include "common/cleanup.h"
#include "common/mount/view.h"
#include "common/trace.h"
#include "drivers/driver.h"

#include <string.h>

typedef void complete_fn(struct complete *c);

static void nothing(struct complete *c)
{
    (void)c; /* a number, a new name, a text: only the user knows */
}

static void files(struct complete *c)
{
    complete_ask(c, COMPLETE_FILES);
}

static void directories(struct complete *c)
{
    complete_ask(c, COMPLETE_DIRS);
}

static void views(struct complete *c)
{
    for (int view = OL_VIEW_AUTO; view <= OL_VIEW_DIRECT; view++)
        complete_add(c, ol_view_name((enum ol_view)view));
}

/* Go on with the element after the last comma; the others are printed before each candidate. */
static char *begin_element(struct complete *c)
{
    const char *comma = strrchr(c->text, ',');
    char *before = NULL;
    size_t kept = comma != NULL ? (size_t)(comma + 1 - c->text) : 0;

    if (asprintf(&before, "%s%.*s", c->before, (int)kept, c->text) < 0) {
        c->r = -ENOMEM;
        return NULL;
    }
    c->before = before;
    c->text += kept;
    return before;
}

/* A list: what fn offers for its last element. */
static void in_list(struct complete *c, complete_fn *fn)
{
    const char *outer = c->before;
    ol_auto_free char *before = begin_element(c);

    if (before == NULL)
        return;
    fn(c);
    complete_ask(c, COMPLETE_NO_SPACE);
    c->before = outer;
}

static void one_area(struct complete *c)
{
    const char *name;

    for (int area = 0; (name = ol_trace_area_name((enum ol_trace_area)area)) != NULL; area++)
        complete_add(c, name);
    complete_add(c, "all");
}

static void areas(struct complete *c)
{
    in_list(c, one_area);
}

static void one_real_engine(struct complete *c)
{
    size_t count;
    const struct ol_external *engines = ol_externals(&count);

    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(engines[i].group, engines[i - 1].group) != 0)
            complete_add(c, engines[i].group);
        if (strcmp(engines[i].group, engines[i].name) != 0)
            complete_add(c, engines[i].name);
    }
}

static void real_engines(struct complete *c)
{
    in_list(c, one_real_engine);
}

static void words(struct complete *c, const char *all)
{
    for (size_t len; *all != '\0'; all += len + (all[len] != '\0')) {
        len = strcspn(all, " |");
        complete_add_n(c, all, len);
    }
}

static void one_change(struct complete *c)
{
    words(c, "add= modify= delete= rename= chmod= mkdir= symlink= link= replace= none");
}

static void changes(struct complete *c)
{
    in_list(c, one_change);
}

static void instructions(struct complete *c)
{
    words(c, "CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD USER VOLUME WORKDIR");
}

static void places(struct complete *c)
{
    words(c, "ext4: xfs: btrfs: tmpfs:");
    complete_ask(c, COMPLETE_NO_SPACE);
    complete_ask(c, COMPLETE_DIRS);
}

/* ---- drivers ---- */

/* "diff=upper" and its like, each after a prefix of what is typed ("overlay:" or nothing). */
static void driver_options(struct complete *c, const char *name, size_t name_len, size_t prefix_len)
{
    const struct ol_driver_choice *choice = ol_driver_choices(name, name_len);

    for (; choice != NULL && choice->key != NULL; choice++) {
        for (const char *const *value = choice->values; *value != NULL; value++) {
            ol_auto_free char *word = NULL;
            int len = asprintf(&word, "%.*s%s=%s", (int)prefix_len, c->text, choice->key, *value);

            if (len < 0) {
                word = NULL;
                c->r = -ENOMEM;
                return;
            }
            complete_add_n(c, word, (size_t)len);
        }
    }
}

/* The driver an option after a comma belongs to: the last element with a colon. */
static const char *driver_of_list(const char *list, size_t *ret_len)
{
    const char *colon = strrchr(list, ':');
    const char *name = colon;

    *ret_len = 0;
    if (colon == NULL)
        return NULL;
    while (name > list && name[-1] != ',')
        name--;
    *ret_len = (size_t)(colon - name);
    return name;
}

static void driver_names(struct complete *c, bool engines)
{
    for (const char *const *name = ol_driver_names(); *name != NULL; name++)
        complete_add(c, *name);
    if (engines)
        complete_add(c, "snapshot");
}

/* "overlay2", "overlay:diff=upper,clone=all", and with engines "vfs,overlay:diff=upper,cl". */
static void driver_spec(struct complete *c, bool engines)
{
    const char *whole = c->text;
    const char *outer = c->before;
    ol_auto_free char *before = begin_element(c);
    const char *colon = strchr(c->text, ':');
    size_t owner_len;
    const char *owner = driver_of_list(whole, &owner_len);

    if (before == NULL)
        return;
    if (colon != NULL) {
        driver_options(c, c->text, (size_t)(colon - c->text), (size_t)(colon + 1 - c->text));
    } else {
        if (engines || c->text == whole)
            driver_names(c, engines);
        if (owner != NULL && c->text != whole)
            driver_options(c, owner, owner_len, 0);
    }
    if (engines || owner != NULL)
        complete_ask(c, COMPLETE_NO_SPACE);
    c->before = outer;
}

static void driver(struct complete *c)
{
    driver_spec(c, false);
}

static void engines(struct complete *c)
{
    driver_spec(c, true);
}

/* ---- what is in the data root ---- */

static void any_snapshot(struct complete *c)
{
    complete_snapshots(c, COMPLETE_SNAPSHOTS);
}

static void active_snapshot(struct complete *c)
{
    complete_snapshots(c, COMPLETE_ACTIVE);
}

static void committed_snapshot(struct complete *c)
{
    complete_snapshots(c, COMPLETE_COMMITTED);
}

static void image_or_file(struct complete *c)
{
    complete_images(c);
    files(c);
}

static void filters(struct complete *c)
{
    words(c, "kind==active kind==view kind==committed name== name~= parent== labels.");
    complete_ask(c, COMPLETE_NO_SPACE);
}

static void subjects(struct complete *c)
{
    size_t count;
    const struct ol_cli_command *table = ol_cli_table(&count);

    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(table[i].name, " ");

        if (i == 0 || strncmp(table[i].name, table[i - 1].name, len + 1) != 0)
            complete_add_n(c, table[i].name, len);
    }
    for (const struct ol_embedded *topic = ol_cli_topics; topic->name != NULL; topic++)
        complete_add(c, topic->name);
}

static void steps(struct complete *c)
{
    size_t count;
    const struct ol_step *table = ol_steps(&count);

    for (size_t i = 0; i < count; i++)
        complete_add(c, table[i].name);
}

static const struct {
    const char *command; /* or how its name begins ("layer "); NULL: of any */
    const char *option;  /* NULL: of any, and arguments */
    const char *placeholder;
    complete_fn *fn;
} sources[] = {
    {NULL, "drivers", "LIST", engines},
    {NULL, "with", "LIST", real_engines},
    {NULL, "changes", "MIX", changes},
    {NULL, NULL, "WHERE", places},
    {"compare", NULL, "IMAGE", files},
    {"predict", NULL, "IMAGE", image_or_file},
    {"check", NULL, "BUDGET", files},
    {"check", NULL, "[FORMAT=]FILE", files},
    {"check", NULL, "SECTION", nothing},
    {"image history", NULL, "IMAGE", image_or_file},
    {"image import", "tag", "NAME", nothing},
    {"image ", NULL, "IMAGE", complete_images},
    {"container create", "name", "NAME", nothing},
    {"container create", NULL, "IMAGE", complete_images},
    {"container exec", "workdir", "DIR", nothing}, /* the container's */
    {"container exec", "env", "NAME=VALUE", nothing},
    {"container exec", "user", "USER[:GROUP]", nothing},
    {"container exec", NULL, "COMMAND", nothing},
    {"container exec", NULL, "ARGUMENT", nothing},
    {NULL, NULL, "CONTAINER", complete_containers},
    {"commit", NULL, "INSTRUCTION", instructions},
    {"commit", NULL, "TEXT", nothing},
    {"commit", NULL, "NAME[:TAG]", nothing},
    {"layer create", NULL, "ID", nothing},
    {"layer ", NULL, "ID", complete_layers},
    {"layer ", NULL, "PARENT", complete_layers},
    {"snapshot prepare", NULL, "KEY", nothing},
    {"snapshot view", NULL, "KEY", nothing},
    {"snapshot apply", NULL, "KEY", active_snapshot},
    {"snapshot commit", "parent", "NAME", committed_snapshot},
    {"snapshot commit", NULL, "NAME", nothing},
    {"snapshot commit", NULL, "KEY", active_snapshot},
    {"snapshot ", NULL, "KEY", any_snapshot},
    {"snapshot ", NULL, "PARENT", committed_snapshot},
    {"snapshot ", NULL, "FILTER", filters},
    {"snapshot ", NULL, "KEY=VALUE", nothing},
    {"snapshot ", NULL, "LABEL=VALUE", nothing},
    {"explain", NULL, "STEP", steps},
    {"help", NULL, "SUBCOMMAND|TOPIC", subjects},
    {NULL, "debug", "AREA[,AREA...]", areas},
    {NULL, NULL, "DRIVER", driver},
    {NULL, NULL, "VIEW", views},
    {NULL, NULL, "FILE", files},
    {NULL, NULL, "PATH", files},
    {NULL, NULL, "DIR", directories},
    {NULL, NULL, "ANSWER", nothing},
    {NULL, NULL, "N", nothing},
    {NULL, NULL, "PERCENT", nothing},
    {NULL, NULL, "SECONDS", nothing},
    {NULL, NULL, "COLUMNS", nothing},
    {NULL, NULL, "BYTES", nothing},
};

static bool fits(const char *rule, const char *text)
{
    size_t len = rule != NULL ? strlen(rule) : 0;

    if (rule == NULL)
        return true;
    if (text == NULL)
        return false;
    return rule[len - 1] == ' ' ? strncmp(text, rule, len) == 0 : strcmp(text, rule) == 0;
}

/* "bash", "gzip|zstd|none" */
static bool is_literal(const char *placeholder)
{
    return strspn(placeholder, "abcdefghijklmnopqrstuvwxyz0123456789|") == strlen(placeholder);
}

void complete_value(struct complete *c, const char *command, const char *option,
                    const char *placeholder)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(sources); i++) {
        if (fits(sources[i].command, command) && fits(sources[i].option, option) &&
            strcmp(sources[i].placeholder, placeholder) == 0) {
            sources[i].fn(c);
            return;
        }
    }
    if (is_literal(placeholder))
        words(c, placeholder);
    else
        complete_ask(c, COMPLETE_UNKNOWN);
}
