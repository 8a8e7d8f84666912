/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes opening the snapshotter's metadata: the look at the pages has to refuse whatever LMDB
 * would die of, so everything it lets pass is read, checked and written to.
 */
#include "place.h"

#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/io.h"
#include "common/metadb/metadb.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *the_file(void)
{
    static char path[300];

    (void)snprintf(path, sizeof path, "%s/metadata.mdb", fuzz_place_path());
    return path;
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
    const struct ol_metadb_config config = {.path = the_file(), .no_sync = true};
    struct ol_metadb *db = NULL;
    int fd;

    die_unless(ol_tree_remove_content(fuzz_place(), NULL) == 0);
    fd = open(config.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    die_unless(fd >= 0 && ol_io_write(fd, data, size) == 0);
    ol_fd_close(&fd);
    if (ol_metadb_open(&config, &db, NULL) == 0)
        use_db(db);
    ol_metadb_close(db);
    return 0;
}
