/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LMDB environment. What LMDB leaves to its users is done here: one open per file and process
 * (its locks are the process's), none used across fork(2), a file shorter than it says (reading it
 * would be SIGBUS), readers that died.
 */
#include "common/metadb/internal.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/metadb/pages.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

/* Address space only: the file grows as it is written. 4 GiB are some ten million snapshots. */
#define MAP_BYTES (sizeof(void *) > 4 ? (size_t)4 << 30 : (size_t)256 << 20)

enum {
    READERS_MAX = 1024,                   /* transactions at once, over all processes */
    LOCK_BYTES = 64 * READERS_MAX + 4096, /* LMDB's lock file: a cache line for each, and a head */
    STALE_MAX = 1000,                     /* states that may pass while a file is opened */
};

struct ol_metadb {
    char *path; /* owned */
    MDB_env *env;
    MDB_dbi buckets[OL_BUCKETS];
    void (*now)(struct timespec *ret);
    pid_t pid;
    dev_t dev; /* of the file */
    ino_t ino;
    bool trusted;           /* guarded by the writer: ol_meta_check_indexes() */
    struct ol_metadb *next; /* guarded by open_lock */
};

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ol_metadb *open_list; /* guarded by open_lock */

static const char *const bucket_names[OL_BUCKETS] = {"state", "snapshots", "ids", "children"};

MDB_dbi ol_metadb_bucket(const struct ol_metadb *db, enum ol_bucket bucket)
{
    return db->buckets[bucket];
}

static void real_time(struct timespec *ret)
{
    (void)clock_gettime(CLOCK_REALTIME, ret); /* cannot fail for this clock */
}

bool *ol_metadb_trusted(struct ol_metadb *db)
{
    return &db->trusted;
}

void ol_metadb_now(const struct ol_metadb *db, struct timespec *ret)
{
    db->now(ret);
}

int ol_metadb_error(const struct ol_metadb *db, int rc, const char *what, struct ol_error *err)
{
    switch (rc) {
    case MDB_MAP_FULL:
        return ol_error_set(err, -ENOSPC, "cannot %s '%s': it has grown to its limit of %zu bytes",
                            what, db->path, MAP_BYTES);
    case MDB_READERS_FULL:
        return ol_error_set(err, -EAGAIN, "cannot %s '%s': it has %d readers already", what,
                            db->path, READERS_MAX);
    case MDB_VERSION_MISMATCH:
        return ol_error_set(err, -EPROTO,
                            "cannot %s '%s': it was written by another version of LMDB", what,
                            db->path);
    default:
        if (rc > 0)
            return ol_error_sys(err, rc, "cannot %s '%s'", what, db->path);
        return ol_error_set(err, -EUCLEAN, "cannot %s '%s': it is no database, or damaged (%s)",
                            what, db->path, mdb_strerror(rc));
    }
}

/* ---- one value ---- */

int ol_metatxn_get(struct ol_metatxn *txn, enum ol_bucket bucket, MDB_val key, MDB_val *ret,
                   struct ol_error *err)
{
    int rc = mdb_get(txn->mdb, txn->db->buckets[bucket], &key, ret);

    if (rc == MDB_NOTFOUND)
        return -ENOENT;
    return rc != 0 ? ol_metadb_error(txn->db, rc, "read", err) : 0;
}

int ol_metatxn_put(struct ol_metatxn *txn, enum ol_bucket bucket, MDB_val key, MDB_val value,
                   bool fresh, struct ol_error *err)
{
    int rc = ol_fault_hit("metadb.put") ? EIO
                                        : mdb_put(txn->mdb, txn->db->buckets[bucket], &key, &value,
                                                  fresh ? MDB_NOOVERWRITE : 0);

    if (rc == MDB_KEYEXIST)
        return -EEXIST;
    return rc != 0 ? ol_metadb_error(txn->db, rc, "write to", err) : 0;
}

int ol_metatxn_delete(struct ol_metatxn *txn, enum ol_bucket bucket, MDB_val key,
                      struct ol_error *err)
{
    int rc = ol_fault_hit("metadb.delete")
                 ? EIO
                 : mdb_del(txn->mdb, txn->db->buckets[bucket], &key, NULL);

    if (rc == MDB_NOTFOUND)
        return ol_error_set(err, -EUCLEAN, "an entry is missing in bucket '%s' of '%s'",
                            bucket_names[bucket], txn->db->path);
    return rc != 0 ? ol_metadb_error(txn->db, rc, "write to", err) : 0;
}

/* ---- transactions ---- */

int ol_metadb_begin(struct ol_metadb *db, bool write, struct ol_metatxn **ret, struct ol_error *err)
{
    ol_auto_free struct ol_metatxn *txn = calloc(1, sizeof *txn);
    unsigned flags = write ? 0 : MDB_RDONLY;
    int dead = 0;
    int rc;

    if (txn == NULL)
        return ol_error_nomem(err);
    if (db->pid != getpid())
        return ol_error_set(err, -EINVAL, "'%s' was opened before fork(): open it again", db->path);
    txn->db = db;
    txn->write = write;
    rc = ol_fault_hit("metadb.begin") ? EIO : mdb_txn_begin(db->env, NULL, flags, &txn->mdb);
    if (rc == MDB_READERS_FULL && mdb_reader_check(db->env, &dead) == 0 && dead > 0)
        rc = mdb_txn_begin(db->env, NULL, flags, &txn->mdb);
    if (rc != 0)
        return ol_metadb_error(db, rc, "begin a transaction on", err);
    *ret = ol_ptr_steal(txn);
    return 0;
}

int ol_metatxn_commit(struct ol_metatxn *txn, struct ol_error *err)
{
    struct ol_metadb *db = txn->db;
    int rc;

    if (txn->write && ol_fault_hit("metadb.commit")) {
        mdb_txn_abort(txn->mdb);
        rc = EIO;
    } else {
        rc = mdb_txn_commit(txn->mdb); /* frees it in every case */
    }
    free(txn);
    return rc != 0 ? ol_metadb_error(db, rc, "commit to", err) : 0;
}

void ol_metatxn_abort(struct ol_metatxn *txn)
{
    if (txn == NULL)
        return;
    mdb_txn_abort(txn->mdb);
    free(txn);
}

/* ---- opening ---- */

static MDB_val text_val(const char *text)
{
    union {
        const char *in;
        void *out; /* LMDB does not write to it */
    } cast = {.in = text};

    return (MDB_val){.mv_size = strlen(text), .mv_data = cast.out};
}

/* @return MDB_NOTFOUND for a new file (only when not make) */
static int open_buckets(struct ol_metadb *db, bool make)
{
    uint64_t format = htole64(OL_META_FORMAT);
    MDB_val key = text_val("format");
    MDB_val value = {.mv_size = sizeof format, .mv_data = &format};
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(db->env, NULL, make ? 0 : MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    for (unsigned i = 0; i < OL_BUCKETS && rc == 0; i++)
        rc = mdb_dbi_open(txn, bucket_names[i], make ? MDB_CREATE : 0, &db->buckets[i]);
    if (rc == 0 && make)
        rc = mdb_put(txn, db->buckets[OL_BUCKET_STATE], &key, &value, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) /* another process was faster */
        rc = 0;
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int check_format(struct ol_metadb *db, struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    uint64_t format = 0;
    MDB_val value;
    int r = ol_metadb_begin(db, false, &txn, err);

    if (r < 0)
        return r;
    r = ol_metatxn_get(txn, OL_BUCKET_STATE, text_val("format"), &value, err);
    if (r == -ENOENT || (r == 0 && value.mv_size != sizeof format))
        return ol_error_set(err, -EUCLEAN, "'%s' does not say what format it has", db->path);
    if (r < 0)
        return r;
    memcpy(&format, value.mv_data, sizeof format);
    format = le64toh(format);
    if (format != OL_META_FORMAT)
        return ol_error_set(err, -EPROTO,
                            "'%s' has format %" PRIu64
                            ", this overlab knows %d: use the version that wrote it",
                            db->path, format, (int)OL_META_FORMAT);
    return 0;
}

/* One look at the pages of the newest state. @return -ESTALE when it was overwritten meanwhile */
static int check_pages_once(struct ol_metadb *db, struct ol_error *err)
{
    MDB_txn *txn = NULL;
    int fd = -1;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    int r;

    if (rc != 0)
        return ol_metadb_error(db, rc, "read", err);
    (void)mdb_env_get_fd(db->env, &fd); /* fails only for a NULL argument */
    r = ol_pages_check(fd, db->path, mdb_txn_id(txn), MAP_BYTES, err);
    mdb_txn_abort(txn);
    return r;
}

/* Everything LMDB will follow in this file; see pages.h. */
static int check_pages(struct ol_metadb *db, struct ol_error *err)
{
    int r = -ESTALE;

    for (unsigned i = 0; r == -ESTALE && i < STALE_MAX; i++)
        r = check_pages_once(db, err);
    return r == -ESTALE ? ol_error_set(err, -EAGAIN, "'%s' changes too fast to be opened", db->path)
                        : r;
}

/*
 * LMDB maps the file, and a page behind its end is SIGBUS. A file may rightly be shorter than its
 * last page number: pages that were taken and given back in one transaction are never written. So
 * a short file is filled up with a hole, which no tree points into (check_pages() has looked). The
 * writer's lock keeps the length still meanwhile.
 */
static int fill_up(struct ol_metadb *db, struct ol_error *err)
{
    MDB_envinfo info;
    MDB_stat stat;
    MDB_txn *txn = NULL;
    uint64_t want;
    struct stat st;
    int fd = -1;
    int r = 0;
    int rc;

    (void)mdb_env_get_fd(db->env, &fd); /* these three fail only for a NULL argument */
    (void)mdb_env_stat(db->env, &stat);
    (void)mdb_env_info(db->env, &info);
    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat '%s'", db->path);
    if ((uint64_t)st.st_size >= ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize)
        return 0;
    rc = mdb_txn_begin(db->env, NULL, 0, &txn);
    if (rc != 0)
        return ol_metadb_error(db, rc, "begin a transaction on", err);
    (void)mdb_env_info(db->env, &info);
    want = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    if (fstat(fd, &st) < 0 || ((uint64_t)st.st_size < want && ftruncate(fd, (off_t)want) < 0))
        r = ol_error_sys(err, errno, "cannot fill up '%s'", db->path);
    mdb_txn_abort(txn);
    return r;
}

/*
 * LMDB writes to its lock file through a map, and where the disk is full that is SIGBUS: have the
 * blocks first, without changing the file's length, which LMDB goes by. A file system that cannot
 * do that (EOPNOTSUPP) is used as it is.
 */
static int reserve_lock(const struct ol_metadb *db, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    ol_auto_fd int fd = -1;

    if (asprintf(&path, "%s-lock", db->path) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open the lock file of '%s'", db->path);
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, LOCK_BYTES) < 0 && errno != EOPNOTSUPP)
        return ol_error_sys(err, errno, "cannot make the lock file of '%s'", db->path);
    return 0;
}

static int open_env(struct ol_metadb *db, const struct ol_metadb_config *config,
                    struct ol_error *err)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | (config->no_sync ? MDB_NOSYNC : 0);
    int dead = 0;
    int r = ol_pages_check_head(db->path, err);
    int rc;

    if (r == 0)
        r = reserve_lock(db, err);
    if (r < 0)
        return r;
    rc = mdb_env_create(&db->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(db->env, OL_BUCKETS);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(db->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(db->env, MAP_BYTES);
    if (rc == 0)
        rc = ol_fault_hit("metadb.open") ? EIO : mdb_env_open(db->env, db->path, flags, 0600);
    if (rc == 0)
        rc = mdb_reader_check(db->env, &dead); /* of processes that were killed */
    if (rc != 0)
        return ol_metadb_error(db, rc, "open", err);
    r = check_pages(db, err);
    if (r == 0)
        r = fill_up(db, err);
    if (r < 0)
        return r;
    rc = open_buckets(db, false);
    if (rc == MDB_NOTFOUND)
        rc = open_buckets(db, true);
    if (rc != 0)
        return ol_metadb_error(db, rc, "open", err);
    return check_format(db, err);
}

static int check_not_open(const struct ol_metadb *db, struct ol_error *err)
{
    struct stat st;

    if (stat(db->path, &st) < 0)
        return 0; /* new; anything else is seen by the open */
    for (const struct ol_metadb *other = open_list; other != NULL; other = other->next) {
        if (other->pid == db->pid && other->dev == st.st_dev && other->ino == st.st_ino)
            return ol_error_set(err, -EBUSY, "this process has '%s' open already", db->path);
    }
    return 0;
}

static void release(struct ol_metadb *db)
{
    if (db->env != NULL)
        mdb_env_close(db->env);
    free(db->path);
    free(db);
}

static int open_locked(struct ol_metadb *db, const struct ol_metadb_config *config,
                       struct ol_error *err)
{
    struct stat st;
    int r = check_not_open(db, err);

    if (r == 0)
        r = open_env(db, config, err);
    if (r < 0)
        return r;
    if (stat(db->path, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat '%s'", db->path);
    db->dev = st.st_dev;
    db->ino = st.st_ino;
    db->next = open_list;
    open_list = db;
    return 0;
}

int ol_metadb_open(const struct ol_metadb_config *config, struct ol_metadb **ret,
                   struct ol_error *err)
{
    struct ol_metadb *db = calloc(1, sizeof *db);
    int r;

    if (db == NULL)
        return ol_error_nomem(err);
    db->now = config->now != NULL ? config->now : real_time;
    db->pid = getpid();
    db->path = strdup(config->path);
    if (db->path == NULL) {
        release(db);
        return ol_error_nomem(err);
    }
    (void)pthread_mutex_lock(&open_lock); /* a plain mutex does not fail */
    r = open_locked(db, config, err);
    (void)pthread_mutex_unlock(&open_lock);
    if (r < 0) {
        release(db);
        return r;
    }
    *ret = db;
    return 0;
}

void ol_metadb_close(struct ol_metadb *db)
{
    struct ol_metadb **at = &open_list;

    if (db == NULL)
        return;
    (void)pthread_mutex_lock(&open_lock); /* a plain mutex does not fail */
    while (*at != db)
        at = &(*at)->next;
    *at = db->next;
    if (db->pid != getpid())
        db->env = NULL; /* the parent's: closing it here would clear its reader slots */
    release(db);
    (void)pthread_mutex_unlock(&open_lock);
}
