/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images; see reference.h. */
#include "store/reference.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int bad(const char *text, const char *why, struct ol_error *err)
{
    return ol_error_set(err, -EINVAL, "'%.300s' is no name of an image: %s", text, why);
}

/* alpha-numeric ((one of . _ or two _ or any number of -) alpha-numeric)* */
static bool component_ok(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t word = strspn(text + i, LOWER DIGITS);
        if (word == 0)
            return false;
        if (i + word >= len)
            return true;
        i += word;
        if (text[i] == '-')
            i += strspn(text + i, "-");
        else if (text[i] == '_' && text[i + 1] == '_')
            i += 2;
        else if (text[i] == '_' || text[i] == '.')
            i++;
        else
            return false;
    }
    return false;
}

static bool path_ok(const char *text)
{
    for (;;) {
        size_t len = strcspn(text, "/");
        if (!component_ok(text, len))
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

/* Labels of letters, digits and inner '-', joined by '.', and a port. */
static bool domain_ok(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t label = strspn(text + i, LOWER UPPER DIGITS "-");
        if (label == 0 || text[i] == '-' || text[i + label - 1] == '-')
            return false;
        i += label;
        if (i == len)
            return true;
        if (text[i] == ':')
            return i + 1 < len && strspn(text + i + 1, DIGITS) >= len - i - 1;
        if (text[i++] != '.')
            return false;
    }
    return false;
}

static bool tag_ok(const char *tag)
{
    return (isalnum((unsigned char)tag[0]) || tag[0] == '_') && strlen(tag) <= OL_TAG_MAX &&
           strspn(tag, LOWER UPPER DIGITS "_.-") == strlen(tag);
}

/* Length of the registry before the first '/', 0 when what stands there is part of the path. */
static size_t domain_len(const char *name)
{
    size_t len = strcspn(name, "/");

    if (name[len] == '\0')
        return 0;
    if (memchr(name, '.', len) != NULL || memchr(name, ':', len) != NULL ||
        (len == 9 && strncmp(name, "localhost", 9) == 0))
        return len;
    return 0;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The name as Docker shows it: its own registry and library are left out. */
static const char *familiar(const char *name)
{
    if (starts(name, "index.docker.io/"))
        name += strlen("index.");
    if (starts(name, "docker.io/"))
        name += strlen("docker.io/");
    else if (domain_len(name) > 0)
        return name;
    if (starts(name, "library/") && strchr(name + strlen("library/"), '/') == NULL)
        name += strlen("library/");
    return name;
}

static int check_name(const char *text, const char *name, struct ol_error *err)
{
    size_t domain = domain_len(name);

    if (domain > 0 && !domain_ok(name, domain))
        return bad(text, "its registry is no host name", err);
    if (!path_ok(name + (domain > 0 ? domain + 1 : 0)))
        return bad(text, "lower-case letters, digits and single separators are allowed", err);
    if (strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64)
        return bad(text, "64 hex digits are an image id", err);
    return 0;
}

int ol_reference_parse(const char *text, struct ol_reference *ret, struct ol_error *err)
{
    struct ol_reference ref;
    const char *slash = strrchr(text, '/');
    const char *colon = strchr(slash != NULL ? slash : text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    const char *tag = colon != NULL ? colon + 1 : "latest";
    char name[OL_REPOSITORY_MAX + sizeof "index.docker.io/library/"];
    int r;

    if (strchr(text, '@') != NULL)
        return bad(text, "images are not kept by the digest of a manifest", err);
    if (len >= sizeof name)
        return bad(text, "it is too long", err);
    memcpy(name, text, len);
    name[len] = '\0';
    r = check_name(text, name, err);
    if (r < 0)
        return r;
    if (!tag_ok(tag))
        return bad(text, "a tag has 1 to 128 letters, digits, '_', '.' and '-'", err);
    if (strlen(familiar(name)) > OL_REPOSITORY_MAX)
        return bad(text, "it is too long", err);
    (void)snprintf(ref.repository, sizeof ref.repository, "%s", familiar(name));
    (void)snprintf(ref.text, sizeof ref.text, "%s:%s", ref.repository, tag);
    *ret = ref;
    return 0;
}
