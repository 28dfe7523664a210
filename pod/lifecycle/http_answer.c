// SPDX-License-Identifier: Apache-2.0
#include "pod/lifecycle/http_answer.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* RFC 9112, section 4: HTTP-version SP status-code SP [ reason-phrase ]. Some leave the last blank
 * out. */
static int read_status(const char *line)
{
    static const char version[] = "HTTP/1.";
    size_t known = sizeof(version) - 1;

    if (strncmp(line, version, known) != 0 || !isdigit((unsigned char)line[known]) ||
        line[known + 1] != ' ')
        return -EPROTO;
    line += known + 2;
    for (unsigned i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)line[i]))
            return -EPROTO;
    }
    if (line[0] < '1' || line[0] > '5' || (line[3] != ' ' && line[3] != '\0'))
        return -EPROTO;
    return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

/* Digits only, of base 10 or 16; beyond what is read of a body all lengths are the same. */
static int read_size(const char *text, unsigned base, const char *ends, uint64_t *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 0;

    *out = 0;
    for (; *text && !strchr(ends, *text); text++, count++) {
        const char *digit = strchr(digits, tolower((unsigned char)*text));

        if (!digit || (unsigned)(digit - digits) >= base || count == 32)
            return -EPROTO;
        if (*out <= HTTP_BODY_MAX)
            *out = *out * base + (unsigned)(digit - digits);
    }
    return count ? 0 : -EPROTO;
}

/* ---- the head ---- */

static int begin_fields(struct http_answer *answer)
{
    answer->status = read_status(answer->line);
    answer->part = HTTP_FIELDS;
    answer->chunked = answer->has_length = false;
    answer->location[0] = '\0';
    return answer->status < 0 ? -EPROTO : 0;
}

/* NULL when the line is another field. */
static char *value_of(char *line, const char *name)
{
    size_t len = strlen(name);
    char *end;

    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    line += len + 1;
    line += strspn(line, " \t");
    end = line + strlen(line);
    while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    return line;
}

static int read_field(struct http_answer *answer)
{
    const char *value = value_of(answer->line, "Location");

    if (value && strlen(value) < sizeof(answer->location)) {
        memcpy(answer->location, value, strlen(value) + 1);
        return 0;
    }
    value = value_of(answer->line, "Transfer-Encoding");
    if (value) {
        answer->chunked = true; /* no other is one that a GET without TE can have (7.4) */
        return strcasecmp(value, "chunked") != 0 ? -EPROTO : 0;
    }
    value = value_of(answer->line, "Content-Length");
    if (!value)
        return 0;
    answer->has_length = true;
    return read_size(value, 10, "", &answer->left);
}

/* RFC 9112, 6.3: how long the body is. */
static int begin_body(struct http_answer *answer)
{
    if (answer->status < 200 && answer->status != 101) {
        answer->part = HTTP_STATUS_LINE;
        answer->head_bytes = 0;
        return answer->interim++ < HTTP_INTERIM_MAX ? 0 : -EPROTO;
    }
    if (answer->status < 200 || answer->status == 204 || answer->status == 304)
        answer->part = HTTP_COMPLETE;
    else if (answer->chunked)
        answer->part = HTTP_CHUNK_SIZE;
    else
        answer->part = answer->has_length && !answer->left ? HTTP_COMPLETE : HTTP_BODY;
    return 0;
}

/* ---- lines ---- */

static int end_line(struct http_answer *answer)
{
    bool blank = answer->line_len == 0;
    int ret;

    switch (answer->part) {
    case HTTP_STATUS_LINE:
        return begin_fields(answer);
    case HTTP_FIELDS:
        return blank ? begin_body(answer) : read_field(answer);
    case HTTP_CHUNK_SIZE:
        ret = read_size(answer->line, 16, "; \t", &answer->left);
        answer->part = answer->left ? HTTP_CHUNK : HTTP_TRAILERS;
        return ret;
    case HTTP_CHUNK_END:
        answer->part = HTTP_CHUNK_SIZE;
        return blank ? 0 : -EPROTO;
    default:
        if (blank)
            answer->part = HTTP_COMPLETE;
        return 0;
    }
}

/* What cannot become a status line is refused before its end, which may never come. */
static int take_char(struct http_answer *answer, char c)
{
    static const char version[] = "HTTP/1.";
    int ret;

    if (++answer->head_bytes > HTTP_HEAD_MAX)
        return -EPROTO;
    if (c != '\n') {
        if (answer->part == HTTP_STATUS_LINE && answer->line_len < sizeof(version) - 1 &&
            c != version[answer->line_len])
            return -EPROTO;
        if (answer->line_len < sizeof(answer->line) - 1)
            answer->line[answer->line_len++] = c ? c : ' ';
        return 0;
    }
    if (answer->line_len && answer->line[answer->line_len - 1] == '\r')
        answer->line_len--;
    answer->line[answer->line_len] = '\0';
    ret = end_line(answer);
    answer->line_len = 0;
    return ret;
}

/* ---- the body ---- */

static size_t take_body(struct http_answer *answer, size_t len)
{
    bool counted = answer->part == HTTP_CHUNK || answer->has_length;

    if (counted && answer->left < len)
        len = (size_t)answer->left;
    answer->left -= counted ? len : 0;
    answer->body_bytes += len;
    if (answer->body_bytes >= HTTP_BODY_MAX)
        answer->part = HTTP_COMPLETE;
    else if (counted && !answer->left)
        answer->part = answer->part == HTTP_CHUNK ? HTTP_CHUNK_END : HTTP_COMPLETE;
    return len;
}

int http_answer_feed(struct http_answer *answer, const char *bytes, size_t len)
{
    while (len > 0 && answer->part != HTTP_COMPLETE) {
        size_t taken = 1;

        if (answer->part == HTTP_BODY || answer->part == HTTP_CHUNK)
            taken = take_body(answer, len);
        else if (take_char(answer, *bytes))
            return -EPROTO;
        bytes += taken;
        len -= taken;
    }
    return answer->part == HTTP_COMPLETE;
}

int http_answer_end(const struct http_answer *answer)
{
    bool until_end = answer->part == HTTP_BODY && !answer->has_length;

    return answer->part == HTTP_COMPLETE || until_end ? 0 : -EPROTO;
}
