// SPDX-License-Identifier: Apache-2.0
/* Strict parsing of short texts: see parse.h. No state. */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/checked.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Reads digits of `base` from *text and moves it behind them. */
static int read_number(const char **text, unsigned base, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;

    for (;; at++) {
        int digit = digit_value(*at);

        if (digit < 0 || (unsigned)digit >= base)
            break;
        if (!checked_mul(value, base, &value) || !checked_add(value, (uint64_t)digit, &value))
            return -ERANGE;
    }
    if (at == *text)
        return -EINVAL;
    *text = at;
    *out = value;
    return 0;
}

static int check_range(uint64_t value, uint64_t min, uint64_t max, uint64_t *out)
{
    if (value < min || value > max)
        return -ERANGE;
    *out = value;
    return 0;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    unsigned base = 10;
    uint64_t value;
    int ret;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    ret = read_number(&text, base, &value);
    if (ret)
        return ret;
    return *text ? -EINVAL : check_range(value, min, max, out);
}

int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    static const char suffixes[] = "KMGT";
    const char *suffix;
    uint64_t value;
    int ret = read_number(&text, 10, &value);

    if (ret)
        return ret;
    if (*text && *text != 'B') {
        suffix = strchr(suffixes, toupper((unsigned char)*text));
        if (!suffix)
            return -EINVAL;
        if (!checked_mul(value, 1ull << (10 * (unsigned)(suffix - suffixes + 1)), &value))
            return -ERANGE;
        text++;
        if (text[0] == 'i' && text[1] == 'B')
            text++;
    }
    if (*text == 'B')
        text++;
    return *text ? -EINVAL : check_range(value, min, max, out);
}

int parse_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"on", "true", "yes", "1"};
    static const char *const no[] = {"off", "false", "no", "0"};

    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *out = !strcmp(text, yes[i]);
            return 0;
        }
    }
    return -EINVAL;
}

int parse_mac(const char *text, uint8_t mac[6])
{
    uint8_t bytes[6];
    uint8_t any = 0;

    for (unsigned i = 0; i < 6; i++) {
        int high = digit_value(text[0]);
        int low = high < 0 ? -1 : digit_value(text[1]);

        if (high < 0 || low < 0 || text[2] != (i == 5 ? '\0' : ':'))
            return -EINVAL;
        bytes[i] = (uint8_t)(high << 4 | low);
        any |= bytes[i];
        text += 3;
    }
    /* Bit 0 of the first byte marks a group address, which no interface can own (IEEE 802). */
    if ((bytes[0] & 1) || !any)
        return -EINVAL;
    memcpy(mac, bytes, sizeof(bytes));
    return 0;
}

void option_list_begin(struct option_list *list, const char *text)
{
    memset(list, 0, sizeof(*list));
    list->rest = text;
}

/* Reads the value at `at`, which ends the element. */
static int read_value(struct option_list *list, const char *at)
{
    size_t value_len = 0;

    while (*at && (at[0] != ',' || at[1] == ',')) {
        if (value_len + 1 >= sizeof(list->value))
            return -ENAMETOOLONG;
        list->value[value_len++] = *at;
        at += at[0] == ',' ? 2 : 1;
    }
    list->value[value_len] = '\0';
    list->rest = *at == ',' ? at + 1 : NULL;
    return value_len == 0 && !list->has_value ? -EINVAL : 1;
}

int option_list_next_value(struct option_list *list)
{
    if (!list->rest)
        return 0;
    list->key[0] = '\0';
    list->has_value = false;
    return read_value(list, list->rest);
}

int option_list_next(struct option_list *list)
{
    const char *at = list->rest;
    size_t key_len;

    if (!at)
        return 0;
    key_len = strcspn(at, "=,");
    if (at[key_len] != '=')
        return option_list_next_value(list);
    if (key_len == 0)
        return -EINVAL;
    if (key_len >= sizeof(list->key))
        return -ENAMETOOLONG;
    memcpy(list->key, at, key_len);
    list->key[key_len] = '\0';
    list->has_value = true;
    return read_value(list, at + key_len + 1);
}

const char *find_word(const char *line, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = line; (at = strstr(at, word)); at += len) {
        if ((at == line || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return at;
    }
    return NULL;
}
