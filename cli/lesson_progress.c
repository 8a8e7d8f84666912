/* SPDX-License-Identifier: Apache-2.0 */
/* The file of lessons done; see lesson.h. */
#include "cli/lesson.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

static const char file_name[] = "lessons.json";
static const char schema[] = "overlab.lessons/1";

enum { FILE_MAX = 64 << 10 };

/* {"tries": 2, "passed": true} of a lab's name. Names nobody knows are of another version. */
static bool read_marks(const json_t *json, struct lesson_progress *ret)
{
    const json_t *marks = json_object_get(json, "lessons");
    const char *found = json_string_value(json_object_get(json, "schema"));

    if (found == NULL || strcmp(found, schema) != 0 || !json_is_object(marks))
        return false;
    for (unsigned i = 0; i < OL_LABS; i++) {
        const json_t *mark = json_object_get(marks, ol_lab_get(i + 1)->name);
        const json_t *tries = json_object_get(mark, "tries");
        const json_t *passed = json_object_get(mark, "passed");

        if (mark == NULL)
            continue;
        if (!json_is_integer(tries) || json_integer_value(tries) < 0 ||
            json_integer_value(tries) > INT_MAX || !json_is_boolean(passed))
            return false;
        ret->marks[i] = (struct lesson_mark){(unsigned)json_integer_value(tries),
                                             json_is_true(passed)};
    }
    return true;
}

int lesson_progress_load(const char *root, struct lesson_progress *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, root);
    json_t *json;
    bool whole;
    int r;

    *ret = (struct lesson_progress){0};
    if (fd == -ENOENT)
        return 0;
    r = fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s'", root)
               : ol_fs_read_file(fd, file_name, FILE_MAX, &text, err);
    if (r == -ENOENT) {
        ol_error_fini(err);
        return 0;
    }
    if (r < 0)
        return r;
    json = json_loadb(ol_buf_str(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
    whole = read_marks(json, ret);
    json_decref(json);
    return whole ? 0
                 : ol_error_set(err, -EBADMSG,
                                "'%s/%s' is not what a lesson wrote; --reset begins anew", root,
                                file_name);
}

static json_t *as_json(const struct lesson_progress *progress)
{
    json_t *marks = json_object();

    for (unsigned i = 0; i < OL_LABS; i++) {
        const struct lesson_mark *mark = &progress->marks[i];

        if (mark->tries > 0 &&
            json_object_set_new(
                marks, ol_lab_get(i + 1)->name,
                json_pack("{s:i, s:b}", "tries", (int)mark->tries, "passed", mark->passed)) < 0) {
            json_decref(marks);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o}", "schema", schema, "lessons", marks);
}

int lesson_progress_save(const char *root, const struct lesson_progress *progress,
                         struct ol_error *err)
{
    json_t *json = as_json(progress);
    ol_auto_free char *text = json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS);
    ol_auto_fd int fd = -1;
    int r;

    json_decref(json);
    if (text == NULL)
        return ol_error_nomem(err);
    r = ol_fs_mkdir_path(root, 0711, err);
    if (r < 0)
        return r;
    fd = ol_fs_open_dir(AT_FDCWD, root);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s'", root);
    return ol_fs_write_file_atomic(fd, file_name, text, strlen(text), 0644, err);
}
