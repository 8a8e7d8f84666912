/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full names of drivers: "NAME" or "NAME:KEY=VALUE,KEY=VALUE". Options belong to the name
 * everywhere (--drivers overlay,overlay:diff=upper,clone=all is split by the command, not here), so
 * that a tuned variant is another column and never a hidden setting.
 */
#include "common/cleanup.h"
#include "drivers/driver_ops.h"

#include <errno.h>

enum { OPTIONS_MAX = 16, SPEC_MAX = 512 }; /* a name comes from a command line or a request */

static int unknown_driver(const char *spec, size_t len, struct ol_error *err)
{
    ol_auto_buf struct ol_buf list = OL_BUF_INIT;

    for (const char *const *name = ol_driver_names(); *name != NULL; name++)
        if (ol_buf_printf(&list, "%s%s", list.len > 0 ? ", " : "", *name) < 0)
            return ol_error_nomem(err);
    return ol_error_set(err, -ENOENT, "no driver '%.*s': the drivers are %s", (int)len, spec,
                        ol_buf_str(&list));
}

static const struct ol_driver_option *find_option(const struct ol_driver *drv, const char *key)
{
    for (size_t i = 0; i < drv->n_options; i++)
        if (strcmp(drv->options[i].key, key) == 0)
            return &drv->options[i];
    return NULL;
}

/* Cuts one "key=value" (NUL-terminated, in option_text) in two and appends it. */
static int add_option(struct ol_driver *base, char *text, struct ol_error *err)
{
    char *equals = strchr(text, '=');
    struct ol_driver_option *option = &base->options[base->n_options];

    if (equals != NULL)
        *equals = '\0';
    if (text[0] == '\0')
        return ol_error_set(err, -EINVAL, "driver '%s': empty option name", base->name);
    if (find_option(base, text) != NULL)
        return ol_error_set(err, -EINVAL, "driver '%s': option '%s' is given twice", base->name,
                            text);
    option->key = text;
    option->value = equals != NULL ? equals + 1 : "";
    base->n_options++;
    return 0;
}

static int split_options(struct ol_driver *base, struct ol_error *err)
{
    char *save = NULL;
    int r;

    base->options = calloc(OPTIONS_MAX, sizeof(*base->options));
    if (base->options == NULL)
        return ol_error_nomem(err);
    for (char *text = base->option_text; text != NULL; text = save) {
        save = strchr(text, ',');
        if (save != NULL)
            *save++ = '\0';
        if (base->n_options == OPTIONS_MAX)
            return ol_error_set(err, -E2BIG, "driver '%s': more than %d options", base->name,
                                OPTIONS_MAX);
        r = add_option(base, text, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static const struct ol_driver_choice *find_choice(const struct ol_driver_ops *ops, const char *key)
{
    const struct ol_driver_choice *choice = ops->options;

    while (choice != NULL && choice->key != NULL && strcmp(choice->key, key) != 0)
        choice++;
    return choice != NULL && choice->key != NULL ? choice : NULL;
}

/* @return the value's place in the list; -1 when it is not there */
static int find_value(const struct ol_driver_choice *choice, const char *value)
{
    for (int i = 0; choice->values[i] != NULL; i++)
        if (strcmp(choice->values[i], value) == 0)
            return i;
    return -1;
}

static int check_option(const struct ol_driver_ops *ops, const struct ol_driver_option *option,
                        struct ol_error *err)
{
    const struct ol_driver_choice *choice = find_choice(ops, option->key);
    ol_auto_buf struct ol_buf list = OL_BUF_INIT;

    if (choice == NULL)
        return ol_error_set(err, -EINVAL, "%s: unknown option '%s'", ops->name, option->key);
    if (find_value(choice, option->value) >= 0)
        return 0;
    for (size_t i = 0; choice->values[i] != NULL; i++)
        if (ol_buf_printf(&list, "%s'%s'", i > 0 ? " or " : "", choice->values[i]) < 0)
            return ol_error_nomem(err);
    return ol_error_set(err, -EINVAL, "%s: option '%s' is %s, not '%s'", ops->name, option->key,
                        ol_buf_str(&list), option->value);
}

static int parse_options(struct ol_driver *base, const char *text, struct ol_error *err)
{
    int r;

    base->option_text = strdup(text);
    if (base->option_text == NULL)
        return ol_error_nomem(err);
    r = split_options(base, err);
    for (size_t i = 0; r == 0 && i < base->n_options; i++)
        r = check_option(base->ops, &base->options[i], err);
    return r;
}

int ol_driver_spec_parse(const char *spec, struct ol_driver *base, struct ol_error *err)
{
    size_t len = strcspn(spec, ":");

    if (strlen(spec) > SPEC_MAX)
        return ol_error_set(err, -E2BIG, "driver name of more than %d bytes", SPEC_MAX);
    base->ops = ol_driver_find(spec, len);
    if (base->ops == NULL)
        return unknown_driver(spec, len, err);
    base->caps = base->ops->caps;
    base->name = strdup(spec);
    if (base->name == NULL)
        return ol_error_nomem(err);
    return spec[len] == '\0' ? 0 : parse_options(base, spec + len + 1, err);
}

int ol_driver_spec_check(const char *spec, struct ol_error *err)
{
    struct ol_driver base = {.home_fd = -1};
    int r = ol_driver_spec_parse(spec, &base, err);

    ol_driver_base_fini(&base);
    return r;
}

unsigned ol_driver_option(const struct ol_driver *drv, const char *key)
{
    const struct ol_driver_option *option = find_option(drv, key);
    int value = option != NULL ? find_value(find_choice(drv->ops, key), option->value) : 0;

    return (unsigned)value; /* checked when the name was parsed */
}
