/* SPDX-License-Identifier: Apache-2.0 */
/* The layout: opt/notes/bin, and a directory with two files for each plugin. */
#include "notes.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PATH_SIZE = 1024 };

static int make_dir(const char *root, const char *name)
{
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -errno;
}

static int write_file(const char *root, const char *name, const char *text)
{
    char path[PATH_SIZE];
    FILE *file;
    int written;

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "w");
    if (file == NULL)
        return -errno;
    written = fputs(text, file);
    return fclose(file) == 0 && written >= 0 ? 0 : -EIO;
}

static int install_plugin(const char *root, unsigned number, const char *version)
{
    char name[64];
    char text[64];
    int r;

    (void)snprintf(name, sizeof name, "opt/notes/plugins/p%u", number);
    r = make_dir(root, name);
    (void)snprintf(name, sizeof name, "opt/notes/plugins/p%u/plugin.so", number);
    (void)snprintf(text, sizeof text, "code %s\n", version);
    if (r == 0)
        r = write_file(root, name, text);
    (void)snprintf(name, sizeof name, "opt/notes/plugins/p%u/VERSION", number);
    return r == 0 ? write_file(root, name, version) : r;
}

int notes_install(const char *root, unsigned plugins)
{
    static const char *const dirs[] = {"opt", "opt/notes", "opt/notes/bin", "opt/notes/plugins"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof dirs / sizeof dirs[0]; i++)
        r = make_dir(root, dirs[i]);
    if (r == 0)
        r = write_file(root, "opt/notes/bin/notes", "#!/bin/sh\n");
    return r == 0 ? notes_upgrade(root, plugins, "1") : r;
}

int notes_upgrade(const char *root, unsigned plugins, const char *version)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < plugins; i++)
        r = install_plugin(root, i, version);
    return r;
}
