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
    if (spec[len] == '\0')
        return 0;
    base->option_text = strdup(spec + len + 1);
    if (base->option_text == NULL)
        return ol_error_nomem(err);
    return split_options(base, err);
}

const char *ol_driver_option(const struct ol_driver *drv, const char *key)
{
    const struct ol_driver_option *option = find_option(drv, key);

    return option != NULL ? option->value : NULL;
}

int ol_driver_options_check(const struct ol_driver *drv, const char *const *known,
                            struct ol_error *err)
{
    for (size_t i = 0; i < drv->n_options; i++) {
        const char *const *key = known;

        while (*key != NULL && strcmp(*key, drv->options[i].key) != 0)
            key++;
        if (*key == NULL)
            return ol_error_set(err, -EINVAL, "%s: unknown option '%s'", drv->ops->name,
                                drv->options[i].key);
    }
    return 0;
}

int ol_driver_option_choice(const struct ol_driver *drv, const char *key, const char *const *values,
                            unsigned fallback, unsigned *ret, struct ol_error *err)
{
    const char *value = ol_driver_option(drv, key);
    ol_auto_buf struct ol_buf list = OL_BUF_INIT;

    if (value == NULL) {
        *ret = fallback;
        return 0;
    }
    for (unsigned i = 0; values[i] != NULL; i++) {
        if (strcmp(values[i], value) == 0) {
            *ret = i;
            return 0;
        }
        if (ol_buf_printf(&list, "%s'%s'", i > 0 ? " or " : "", values[i]) < 0)
            return ol_error_nomem(err);
    }
    return ol_error_set(err, -EINVAL, "%s: option '%s' is %s, not '%s'", drv->ops->name, key,
                        ol_buf_str(&list), value);
}

int ol_driver_take_names(struct ol_driver *drv, struct ol_error *err)
{
    static const char *const values[] = {"none", "host", NULL};
    unsigned choice = 0;
    int r = ol_driver_option_choice(drv, "names", values, 0, &choice, err);

    drv->host_names = choice == 1;
    return r;
}
