/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target on the files of its corpus, with any compiler: the kept finds are ordinary
 * regression tests. Usage: replay_TARGET DIRECTORY.
 */
#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"

#include <fcntl.h>
#include <stdint.h>

enum { CORPUS_FILE_MAX = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int dir = argc == 2 ? ol_fs_open_dir(AT_FDCWD, argv[1]) : -1;

    if (dir < 0 || ol_dirents_read(&list, dir, true) < 0 || list.count == 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY-WITH-FILES\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < list.count; i++) {
        ol_auto_buf struct ol_buf file = OL_BUF_INIT;
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        if (ol_fs_read_file(dir, list.items[i].name, CORPUS_FILE_MAX, &file, &err) < 0) {
            (void)fprintf(stderr, "%s\n", ol_error_text(&err));
            return 1;
        }
        (void)printf("%s\n", list.items[i].name);
        (void)fflush(stdout); /* so that the last line names the culprit of a crash */
        (void)LLVMFuzzerTestOneInput((const uint8_t *)ol_buf_str(&file), file.len);
    }
    return 0;
}
