/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a database's pages before LMDB uses them. LMDB trusts its file: it maps it, follows
 * page numbers and offsets without a look, and divides by the page size it finds, so that a flipped
 * bit ends in SIGBUS, SIGFPE or abort(). The layout is that of LMDB 0.9 (mdb.c, "MDB_page",
 * "MDB_node", "MDB_meta"), data version 1, with the sizes of this machine, which is what LMDB
 * itself can read.
 */
#ifndef OL_COMMON_METADB_PAGES_H
#define OL_COMMON_METADB_PAGES_H

#include "common/error.h"

#include <stddef.h>

/**
 * What LMDB reads while it opens a file: the constant fields of both meta pages. A file that is
 * missing, empty or shorter than a meta page is left to LMDB, which may be making it right now.
 * @return 0; -EUCLEAN; -EPROTO another data version; or what reading said
 */
int ol_pages_check_head(const char *path, struct ol_error *err);

/**
 * Every page the state of one transaction reaches, and its list of free pages: numbers in range and
 * used once, nodes inside their pages, keys in order, sizes and counts as they say. The caller
 * holds a reading transaction, so that none of these pages is written meanwhile.
 * @param txnid      of that transaction
 * @param max_bytes  a file may be this long
 * @return 0; -EUCLEAN; -ESTALE the state was overwritten (begin anew); -ENOMEM or what reading said
 */
int ol_pages_check(int fd, const char *path, size_t txnid, size_t max_bytes, struct ol_error *err);

#endif
