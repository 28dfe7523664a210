// SPDX-License-Identifier: Apache-2.0
/*
 * Rule sets into the kernel: see nft.h. libnftables sends all commands of a text as one transaction
 * (libnftables(3)). Its contexts are apart, but its tables of symbols are made by the first of
 * them: one at a time here, whatever thread comes.
 */
#include "pod/network/nft.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* The line with what is wrong, without the source of the rule below it. */
static int refusal(struct nft_ctx *ctx, const char *what, struct husk_error *err)
{
    const char *said = nft_ctx_get_error_buffer(ctx);
    size_t len = said ? strcspn(said, "\n") : 0;
    int code = errno ? errno : EIO;

    return error_set(err, code, what, "cannot set packet filter rules", "nftables says: %.*s",
                     (int)len, said ? said : "");
}

static int run(const char *text, const char *what, struct husk_error *err)
{
    struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    int ret;

    if (!ctx)
        return error_set(err, ENOMEM, what, "cannot set packet filter rules", NULL);
    nft_ctx_buffer_output(ctx);
    nft_ctx_buffer_error(ctx);
    errno = 0;
    ret = nft_run_cmd_from_buffer(ctx, text) ? refusal(ctx, what, err) : 0;
    nft_ctx_free(ctx);
    return ret;
}

int nft_apply(char *text, const char *what, struct husk_error *err)
{
    int ret;

    if (!text)
        return error_set(err, ENOMEM, what, "cannot set packet filter rules", NULL);
    pthread_mutex_lock(&one_at_a_time);
    ret = run(text, what, err);
    pthread_mutex_unlock(&one_at_a_time);
    free(text);
    return ret;
}
