/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ol_layer_apply(): open the stream, take entry by entry, finish the directories, read the rest.
 * What an entry does follows moby 20.10: UnpackLayer (pkg/archive/diff.go) for trees, Unpack with
 * its overlay conversion (pkg/archive/archive.go, archive_linux.go) for upper directories; where
 * overlab is stricter or kinder is listed in docs/divergences.md.
 */
#include "common/layer/apply.h"

#include "common/fs/path.h"
#include "common/layer/sys.h"
#include "common/pool.h"
#include "common/trace.h"

#include <errno.h>

/* Writers work on directories of one file system: more of them only wait for each other. */
enum { APPLY_WRITERS_MAX = 4 };

int ol_apply_failed(int r, const char *verb, const char *path, struct ol_error *err)
{
    return ol_error_sys(err, -r, "cannot %s '%s'", verb, path);
}

int ol_apply_late(struct ol_apply *a, const struct ol_late_record *record)
{
    int r = 0;

    if ((record->flags & OL_LATE_MODE) != 0)
        r = ol_seen_insert(&a->seen,
                           ol_seen_key(&a->seen, OL_SEEN_MODE_LATE, record->dev, record->ino, ""));
    return r < 0 ? r : ol_late_add(&a->late, record);
}

/* Give ourselves the rights to work in a directory, and it its mode back at the end. */
static int open_up(struct ol_apply *a, struct ol_dir *dir)
{
    struct ol_late_record late = {
        .flags = OL_LATE_MODE | OL_LATE_SELF, .path = dir->path, .at = dir};
    struct stat st;
    int r;

    dir->closed = false;
    if (fstat(dir->fd, &st) < 0)
        return -errno;
    if ((st.st_mode & 0300) == 0300)
        return 0; /* an entry of this archive has done it meanwhile */
    late.mode = st.st_mode & 07777;
    late.dev = st.st_dev;
    late.ino = st.st_ino;
    r = ol_sys_chmod(dir->fd, "", late.mode | 0300);
    return r < 0 ? r : ol_apply_late(a, &late);
}

int ol_apply_parent(struct ol_apply *a, const char *path, bool make, struct ol_dir **ret,
                    struct ol_error *err)
{
    size_t len = ol_path_dir_len(path);
    int r = ol_dirs_get(&a->dirs, path, len, ret);

    if (r < 0 && ol_crew_is_busy(a->crew)) {
        r = ol_crew_wait_all(a->crew, err);
        if (r < 0)
            return r;
        r = ol_dirs_get(&a->dirs, path, len, ret);
    }
    if (r == -ENOENT && make)
        r = ol_dirs_make(&a->dirs, path, len, ret);
    if (r == 0 && (*ret)->closed) {
        r = open_up(a, *ret);
        if (r < 0) {
            ol_dir_unref(*ret);
            *ret = NULL;
        }
    }
    if (r < 0)
        return ol_error_sys(err, -r, "cannot open the directory of '%s'", path);
    return 0;
}

int ol_apply_before_removal(struct ol_apply *a, struct ol_error *err)
{
    return ol_crew_wait_all(a->crew, err);
}

void ol_apply_after_removal(struct ol_apply *a)
{
    ol_dirs_forget(&a->dirs);
    ol_tarsplit_doubt(a->record);
    a->replaced = true;
}

/* True for the metadata aufs keeps at the top of a layer: no content, moby does not extract it. */
static bool is_aufs_metadata(const struct ol_apply *a, const char *path)
{
    return a->options.target == OL_LAYER_TREE &&
           strncmp(path, OL_WH_META, sizeof OL_WH_META - 1) == 0 && strcmp(path, OL_WH_OPAQUE) != 0;
}

static void count(struct ol_layer_result *res, enum ol_entry_type type)
{
    switch (type) {
    case OL_ENTRY_FILE:
        res->regular++;
        break;
    case OL_ENTRY_DIRECTORY:
        res->directories++;
        break;
    case OL_ENTRY_HARDLINK:
        res->hardlinks++;
        break;
    case OL_ENTRY_SYMLINK:
    case OL_ENTRY_CHAR:
    case OL_ENTRY_BLOCK:
    case OL_ENTRY_FIFO:
        res->specials++;
        break;
    }
}

static int apply_whiteout(struct ol_apply *a, const struct ol_reader_entry *e, enum ol_wh_kind kind,
                          const char *name, struct ol_error *err)
{
    ol_auto_dirref struct ol_dir *dir = NULL;
    int r;

    if (kind == OL_WH_BAD)
        return ol_error_set(err, -EINVAL, "'%s' is a whiteout of no name", e->name);
    r = ol_apply_parent(a, e->header.path, true, &dir, err);
    if (r < 0)
        return r;
    return kind == OL_WH_OPQ ? ol_apply_opaque(a, e, dir, err)
                             : ol_apply_whiteout(a, e, dir, name, err);
}

static int apply_object(struct ol_apply *a, const struct ol_reader_entry *e,
                        const struct ol_place *place, struct ol_error *err)
{
    switch (e->header.type) {
    case OL_ENTRY_FILE:
        return ol_apply_file(a, e, place, err);
    case OL_ENTRY_DIRECTORY:
        return ol_apply_directory(a, e, place, err);
    case OL_ENTRY_SYMLINK:
        return ol_apply_symlink(a, e, place, err);
    case OL_ENTRY_HARDLINK:
        return ol_apply_hardlink(a, e, place, err);
    case OL_ENTRY_CHAR:
    case OL_ENTRY_BLOCK:
    case OL_ENTRY_FIFO:
        return ol_apply_special(a, e, place, err);
    }
    return ol_error_set(err, -EINVAL, "'%s' has an unknown type", e->name);
}

/* Everything that makes a name: find its directory, note the name, wait for an earlier one. */
static int apply_named(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_error *err)
{
    ol_auto_dirref struct ol_dir *dir = NULL;
    struct ol_place place;
    int r = ol_apply_parent(a, e->header.path, true, &dir, err);

    if (r < 0)
        return r;
    place = (struct ol_place){.dir = dir, .base = ol_path_base(e->header.path)};
    place.key = ol_seen_key(&a->seen, OL_SEEN_WRITTEN, dir->dev, dir->ino, place.base);
    r = ol_seen_insert(&a->seen, place.key);
    if (r < 0)
        return ol_error_nomem(err);
    place.again = r == 1;
    if (place.again) {
        r = ol_crew_wait_for(a->crew, place.key, err);
        if (r < 0)
            return r;
    }
    return apply_object(a, e, &place, err);
}

static int apply_entry(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_error *err)
{
    const char *name = NULL;
    enum ol_wh_kind kind = OL_WH_NONE;

    a->res.entries++;
    a->res.header_size_sum += e->header.size;
    if (is_aufs_metadata(a, e->header.path))
        return 0;
    if (a->options.target != OL_LAYER_ASIS)
        kind = ol_whiteout_parse(ol_path_base(e->header.path), &name);
    if (kind != OL_WH_NONE)
        return apply_whiteout(a, e, kind, name, err);
    count(&a->res, e->header.type);
    if (*e->header.path == '\0')
        return ol_apply_root(a, e, err);
    return apply_named(a, e, err);
}

static void before_wait(void *data)
{
    struct ol_apply *a = data;

    ol_crew_flush(a->crew);
}

/* One less than the threads allowed: this one creates, too, and the stream's reader thread is busy
 * only part of the time. */
static unsigned writers(unsigned threads)
{
    unsigned n = threads > 1 ? threads - 1 : 0;

    return n < APPLY_WRITERS_MAX ? n : APPLY_WRITERS_MAX;
}

static int apply_entries(struct ol_apply *a, struct ol_error *err)
{
    struct ol_reader_entry e;
    bool started = false;
    int r;

    while ((r = ol_reader_next(a->reader, &e, err)) == 1) {
        if (!started && ol_stream_is_long(a->stream)) {
            ol_crew_start(a->crew, writers(a->options.threads));
            started = true;
        }
        r = apply_entry(a, &e, err);
        if (r < 0)
            return r;
    }
    if (r == 0)
        r = ol_crew_wait_all(a->crew, err);
    if (r == 0)
        r = ol_late_finish(&a->late, &a->dirs, a->replaced, err);
    if (r == 0)
        r = ol_reader_drain(a->reader, err);
    if (r == 0 && a->record != NULL)
        r = ol_tarsplit_finish(a->record, err);
    return r;
}

static int apply_open(struct ol_apply *a, const struct ol_input *input, struct ol_error *err)
{
    unsigned flags = a->options.no_digest ? 0 : OL_STREAM_DIGEST;
    int r = ol_seen_init(&a->seen, err);

    if (r == 0)
        r = ol_crew_new(a->options.keep_owner, &a->crew, err);
    if (r == 0)
        r = ol_stream_open(input, &a->limits, flags, a->options.threads, &a->stream, err);
    if (r == 0)
        r = ol_reader_open(&(struct ol_reader_config){.stream = a->stream,
                                                      .limits = &a->limits,
                                                      .record = a->record,
                                                      .before_wait = before_wait,
                                                      .data = a},
                           &a->reader, err);
    return r;
}

/* Writers and the recording first: they hold blocks of the stream and descriptors of the cache. */
static void apply_close(struct ol_apply *a)
{
    ol_crew_free(a->crew);
    ol_reader_close(a->reader);
    ol_tarsplit_stop(a->record);
    ol_stream_close(a->stream);
    ol_dirs_fini(&a->dirs);
    ol_late_fini(&a->late);
    ol_seen_fini(&a->seen);
}

static void take_result(struct ol_apply *a, struct ol_layer_result *ret)
{
    struct ol_meta_counts counts = ol_crew_counts(a->crew);

    ol_stream_result(a->stream, a->res.diff_id, &a->res.stream_bytes);
    a->res.squashed_owners = counts.squashed_owners + a->counts.squashed_owners;
    a->res.dropped_xattrs = counts.dropped_xattrs + a->counts.dropped_xattrs;
    ol_trace(OL_TRACE_LAYER, "applied %llu entries, %llu bytes, %s",
             (unsigned long long)a->res.entries, (unsigned long long)a->res.stream_bytes,
             a->res.diff_id);
    if (ret != NULL)
        *ret = a->res;
}

int ol_layer_apply(int root_fd, const struct ol_input *input,
                   const struct ol_layer_options *options, struct ol_layer_result *ret,
                   struct ol_error *err)
{
    const struct ol_layer_options defaults = {.target = OL_LAYER_TREE, .keep_owner = true};
    struct ol_apply a = {.root_fd = root_fd,
                         .options = options != NULL ? *options : defaults,
                         .record = input->record};
    int r;

    a.limits = a.options.limits != NULL ? *a.options.limits : OL_LAYER_LIMITS_DEFAULT;
    a.options.threads = ol_pool_threads(a.options.threads);
    ol_dirs_init(&a.dirs, root_fd, &a.seen);
    if (a.options.target == OL_LAYER_UPPER && a.options.lowers != NULL) {
        a.dirs.made = ol_apply_implied;
        a.dirs.data = &a;
    }
    r = apply_open(&a, input, err);
    if (r == 0)
        r = apply_entries(&a, err);
    if (r == 0)
        take_result(&a, ret);
    apply_close(&a);
    return r;
}
