/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes opening the snapshotter's metadata: the look at the pages has to refuse whatever LMDB
 * would die of, so everything it lets pass is read, checked and written to.
 */
#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/io.h"
#include "common/metadb/metadb.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die_unless(bool condition)
{
    if (!condition)
        abort();
}

static struct {
    char path[256];
    char file[288];
    int fd;
} place = {.fd = -1};

static void remove_place(void)
{
    (void)ol_tree_remove_content(place.fd, NULL); /* best effort: the run is over */
    (void)rmdir(place.path);
}

/* One directory for the whole run, made by the first input. */
static void make_place(void)
{
    const char *tmp = getenv("TMPDIR");

    if (place.fd >= 0)
        return;
    (void)snprintf(place.path, sizeof place.path, "%s/overlab-fuzz.XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    die_unless(mkdtemp(place.path) != NULL);
    place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    die_unless(place.fd >= 0 && atexit(remove_place) == 0);
    (void)snprintf(place.file, sizeof place.file, "%s/metadata.mdb", place.path);
}

static void use_db(struct ol_metadb *db)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_meta_snapshot struct ol_meta_snapshot made = {0};

    if (ol_metadb_begin(db, true, &txn, NULL) < 0)
        return;
    (void)ol_meta_check(txn, NULL, NULL, NULL);
    (void)ol_meta_remove(txn, "key", NULL, NULL);
    if (ol_meta_create(txn, OL_SNAPSHOT_ACTIVE, "new", NULL, NULL, &made, NULL) == 0)
        (void)ol_metatxn_commit(ol_ptr_steal(txn), NULL); /* may fail */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ol_metadb_config config = {.path = place.file, .no_sync = true};
    struct ol_metadb *db = NULL;
    int fd;

    make_place();
    die_unless(ol_tree_remove_content(place.fd, NULL) == 0);
    fd = open(place.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    die_unless(fd >= 0 && ol_io_write(fd, data, size) == 0);
    ol_fd_close(&fd);
    if (ol_metadb_open(&config, &db, NULL) == 0)
        use_db(db);
    ol_metadb_close(db);
    return 0;
}
