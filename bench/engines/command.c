/* SPDX-License-Identifier: Apache-2.0 */
/* Running an engine's command; see command.h. */
#include "bench/engines/command.h"

#include "common/cleanup.h"
#include "common/process.h"

#include <errno.h>
#include <string.h>

void ol_json_drop(json_t **json)
{
    json_decref(*json);
}

int ol_command_run(const char *const argv[], unsigned timeout_s, struct ol_buf *output,
                   struct ol_error *err)
{
    ol_auto_buf struct ol_buf own = OL_BUF_INIT;
    struct ol_buf *said = output != NULL ? output : &own;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_process_run(argv, timeout_s * 1000, said, &why);

    if (r == -ETIMEDOUT)
        return ol_error_set(err, r, "'%s' did not end within %u s", argv[0], timeout_s);
    ol_error_move(err, &why);
    return r;
}

int ol_command_json(const char *const argv[], unsigned timeout_s, json_t **ret,
                    struct ol_error *err)
{
    ol_auto_buf struct ol_buf output = OL_BUF_INIT;
    json_error_t where;
    int r = ol_command_run(argv, timeout_s, &output, err);

    if (r < 0)
        return r;
    *ret = json_loadb(ol_buf_str(&output), output.len, JSON_REJECT_DUPLICATES, &where);
    if (*ret == NULL)
        return ol_error_set(err, -EBADMSG, "what '%s' printed is no JSON (%s): %.200s", argv[0],
                            where.text, ol_buf_str(&output));
    return 0;
}
