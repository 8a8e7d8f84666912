/* SPDX-License-Identifier: Apache-2.0 */
/* An image store over a driver that counts and fails, and images of one small layer. */
#ifndef OL_TESTS_IMAGES_FIXTURE_H
#define OL_TESTS_IMAGES_FIXTURE_H

#include "support/support.h"
#include "support/tarball.h"

#include "store/imagestore.h"

struct images_fixture {
    struct test_dir dir; /* "home" is the driver's, "images" the store's */
    char *home, *dir_path;
    struct ol_store_options options; /* for the next images_reopen(); all off */
    struct ol_driver *drv;           /* the fault decorator around vfs */
    struct ol_images *images;
};

int images_setup(void **state);
int images_teardown(void **state);
void images_shut(struct images_fixture *f);
/** Open driver and store; on failure everything is shut again. */
int images_try_open(struct images_fixture *f, struct ol_error *err);
/** As the next process would. */
void images_reopen(struct images_fixture *f);

/** A config with this author and DiffID, and the working directory "/w/x". */
void images_config(const char *author, const char *diff_id, struct ol_image_config *ret);
/** Put an image of the one small layer all of them share, by its author, with a name (or NULL). */
void images_put_into(struct ol_images *images, const char *author, const char *parent,
                     const char *name, char ret_id[OL_DIGEST_SIZE]);
void images_put(struct images_fixture *f, const char *author, const char *parent, const char *name,
                char ret_id[OL_DIGEST_SIZE]);

/** Replace a config (by id), or a file of the store's directory, with this text. */
void images_overwrite(struct images_fixture *f, const char *what, const char *text);

/** Configs on disk, and layers of the store and of the driver, are this many, and nothing else. */
void images_assert_holds(struct images_fixture *f, size_t images, size_t layers);

/** Write the archive into the test's directory (and release it); the path is the caller's. */
char *images_save(struct images_fixture *f, struct tarball *tar, const char *name);

#endif
