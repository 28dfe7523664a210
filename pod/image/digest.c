// SPDX-License-Identifier: Apache-2.0
/* SHA-256 digests with OpenSSL's libcrypto: see digest.h. */
#include "pod/image/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/io.h"

static const char algorithm[] = "sha256:";

#define ALGORITHM_LENGTH (sizeof(algorithm) - 1)
#define CHUNK_BYTES      (256u << 10)

struct digest_stream {
    EVP_MD_CTX *context;
    bool failed;
};

int digest_parse(const char *text, struct digest *out)
{
    const char *colon = strchr(text, ':');
    size_t digits;

    if (!colon || colon == text)
        return -EINVAL;
    if (strncmp(text, algorithm, ALGORITHM_LENGTH) != 0)
        return -ENOTSUP;
    digits = strspn(colon + 1, "0123456789abcdef");
    if (digits != DIGEST_HEX_LENGTH || colon[1 + digits])
        return -EINVAL;
    memcpy(out->text, text, ALGORITHM_LENGTH + DIGEST_HEX_LENGTH + 1);
    return 0;
}

const char *digest_hex(const struct digest *digest)
{
    return digest->text + ALGORITHM_LENGTH;
}

static uint8_t nibble(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

void digest_bytes(const struct digest *digest, uint8_t *out, size_t size)
{
    const char *hex = digest_hex(digest);

    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return !strcmp(a->text, b->text);
}

struct digest_stream *digest_begin(void)
{
    struct digest_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->context = EVP_MD_CTX_new();
    if (!stream->context || EVP_DigestInit_ex(stream->context, EVP_sha256(), NULL) != 1) {
        digest_abandon(stream);
        return NULL;
    }
    return stream;
}

void digest_update(struct digest_stream *stream, const void *bytes, size_t len)
{
    if (EVP_DigestUpdate(stream->context, bytes, len) != 1)
        stream->failed = true;
}

int digest_end(struct digest_stream *stream, struct digest *out)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int ret = 0;

    if (!stream)
        return -ENOMEM;
    if (stream->failed || EVP_DigestFinal_ex(stream->context, hash, &len) != 1 ||
        len != DIGEST_HEX_LENGTH / 2)
        ret = -EIO;
    digest_abandon(stream);
    if (ret)
        return ret;
    memcpy(out->text, algorithm, ALGORITHM_LENGTH);
    for (unsigned i = 0; i < len; i++) {
        out->text[ALGORITHM_LENGTH + 2 * i] = digits[hash[i] >> 4];
        out->text[ALGORITHM_LENGTH + 2 * i + 1] = digits[hash[i] & 15];
    }
    out->text[ALGORITHM_LENGTH + DIGEST_HEX_LENGTH] = '\0';
    return 0;
}

void digest_abandon(struct digest_stream *stream)
{
    if (!stream)
        return;
    EVP_MD_CTX_free(stream->context);
    free(stream);
}

int digest_of(const void *bytes, size_t len, struct digest *out)
{
    struct digest_stream *stream = digest_begin();

    if (stream)
        digest_update(stream, bytes, len);
    return digest_end(stream, out);
}

int digest_of_range(int fd, uint64_t offset, uint64_t len, struct digest *out)
{
    struct digest_stream *stream = digest_begin();
    uint8_t *chunk = malloc(CHUNK_BYTES);
    int ret = stream && chunk ? 0 : -ENOMEM;

    while (ret == 0 && len) {
        size_t n = (size_t)min_u64(len, CHUNK_BYTES);

        ret = pread_full(fd, chunk, n, offset);
        if (ret == 0)
            digest_update(stream, chunk, n);
        offset += n;
        len -= n;
    }
    free(chunk);
    if (ret) {
        digest_abandon(stream);
        return ret;
    }
    return digest_end(stream, out);
}
