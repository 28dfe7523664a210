// SPDX-License-Identifier: Apache-2.0
/*
 * Parsing disks and network interfaces as users write them: see device_options.h. Syntax and units
 * are checked here; what values a machine accepts is the library's to say.
 */
#include "cli/device_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define ID_MAX     64u
#define QUEUES_MAX 16u

const char *option_text_keep(struct option_texts *texts, const char *text)
{
    char *copy = texts->count < OPTION_TEXTS_MAX ? strdup(text) : NULL;

    if (copy)
        texts->items[texts->count++] = copy;
    return copy;
}

void option_texts_release(struct option_texts *texts)
{
    for (unsigned i = 0; i < texts->count; i++)
        free(texts->items[i]);
    texts->count = 0;
}

int option_out_of_memory(void)
{
    cli_message("out of memory");
    return STATUS_MONITOR_ERROR;
}

int option_bad_element(const struct option_place *place, const char *text, int error)
{
    return cli_usage_error(place->command, "%s %s: %s", place->flag, text,
                           error == -ENAMETOOLONG ? "an element of it is too long"
                                                  : "an element of it is empty");
}

const char *option_size_fault(const char *text, int error)
{
    uint64_t size;

    if (error != -ERANGE)
        return "not a size (digits, then at most one of K, M, G, T)";
    return parse_size(text, 0, 0, &size) ? "too large" : "must not be zero";
}

/* The control socket knows no others. */
int option_id_parse(const struct option_place *place, const char *text, const char **out,
                    struct option_texts *texts)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c > 0x7f || (!isalnum(c) && c != '_'))
            len = 0;
    }
    if (len == 0 || len > ID_MAX)
        return cli_usage_error(place->command, "%s: id=%s: wants 1 to %u of A-Z, a-z, 0-9 and _",
                               place->flag, text, ID_MAX);
    *out = option_text_keep(texts, text);
    return *out ? 0 : option_out_of_memory();
}

/* One key=number of the device `of`. */
static int parse_count(const struct option_place *place, const char *of,
                       const struct option_list *list, uint64_t max, uint64_t *out)
{
    if (parse_u64(list->value, 1, max, out))
        return cli_usage_error(place->command, "%s %s: %s=%s: wants a number from 1 to %llu",
                               place->flag, of, list->key, list->value, (unsigned long long)max);
    return 0;
}

static int parse_engine(const struct option_place *place, struct husk_drive_options *drive,
                        const char *text)
{
    if (!strcmp(text, "uring"))
        drive->engine = HUSK_BLOCK_ENGINE_URING;
    else if (!strcmp(text, "threads"))
        drive->engine = HUSK_BLOCK_ENGINE_THREADS;
    else
        return cli_usage_error(place->command, "%s %s: engine=%s: wants uring or threads",
                               place->flag, drive->path, text);
    return 0;
}

#define DISK_WORDS "ro, id=, engine=, queues=, iops=, bw="

static int parse_format(const struct option_place *place, struct disk_source *source,
                        const char *text)
{
    if (!strcmp(text, "raw"))
        source->format = DISK_FORMAT_RAW;
    else if (!strcmp(text, "qcow2"))
        source->format = DISK_FORMAT_QCOW2;
    else
        return cli_usage_error(place->command, "%s: format=%s: wants raw or qcow2", place->flag,
                               text);
    return 0;
}

static int parse_overlay(const struct option_place *place, struct disk_source *source,
                         const char *text, struct option_texts *texts)
{
    if (!*text)
        return cli_usage_error(place->command, "%s: overlay=: wants a file name", place->flag);
    source->overlay = option_text_keep(texts, text);
    return source->overlay ? 0 : option_out_of_memory();
}

/* source NULL: without the words that are for it. */
static int parse_drive_word(const struct option_place *place, struct husk_drive_options *drive,
                            struct disk_source *source, const struct option_list *list,
                            struct option_texts *texts)
{
    const char *more = source ? ", format=, overlay=" : "";
    uint64_t number;
    int ret;

    if (!list->has_value) {
        if (strcmp(list->value, "ro"))
            return cli_usage_error(place->command,
                                   "%s %s: unknown word '%s' (known: " DISK_WORDS "%s)",
                                   place->flag, drive->path, list->value, more);
        drive->read_only = 1;
        return 0;
    }
    if (source && !strcmp(list->key, "format"))
        return parse_format(place, source, list->value);
    if (source && !strcmp(list->key, "overlay"))
        return parse_overlay(place, source, list->value, texts);
    if (!strcmp(list->key, "id"))
        return option_id_parse(place, list->value, &drive->id, texts);
    if (!strcmp(list->key, "engine"))
        return parse_engine(place, drive, list->value);
    if (!strcmp(list->key, "queues")) {
        ret = parse_count(place, drive->path, list, QUEUES_MAX, &number);
        drive->queues = ret ? 0 : (unsigned)number;
        return ret;
    }
    if (!strcmp(list->key, "iops"))
        return parse_count(place, drive->path, list, UINT32_MAX, &drive->operations.per_second);
    if (!strcmp(list->key, "bw")) {
        ret = parse_size(list->value, 1, INT64_MAX, &drive->bandwidth.per_second);
        return ret ? cli_usage_error(place->command, "%s %s: bw=%s: %s", place->flag, drive->path,
                                     list->value, option_size_fault(list->value, ret))
                   : 0;
    }
    return cli_usage_error(place->command, "%s %s: unknown key '%s' (known: " DISK_WORDS "%s)",
                           place->flag, drive->path, list->key, more);
}

static int parse_disk(const struct option_place *place, const char *text,
                      struct husk_drive_options *drive, struct disk_source *source,
                      struct option_texts *texts)
{
    struct option_list list;
    int ret;

    *drive = (struct husk_drive_options)HUSK_DRIVE_OPTIONS_INIT;
    option_list_begin(&list, text);
    ret = option_list_next_value(&list);
    if (ret == -ENAMETOOLONG)
        return cli_usage_error(place->command, "%s %s: the path is too long", place->flag, text);
    if (ret != 1)
        return cli_usage_error(place->command, "%s %s: wants FILE[,WORD]...", place->flag, text);
    drive->path = option_text_keep(texts, list.value);
    if (!drive->path)
        return option_out_of_memory();
    while ((ret = option_list_next(&list)) == 1) {
        ret = parse_drive_word(place, drive, source, &list, texts);
        if (ret)
            return ret;
    }
    return ret ? option_bad_element(place, text, ret) : 0;
}

int drive_option_parse(const struct option_place *place, const char *text,
                       struct husk_drive_options *drive, struct option_texts *texts)
{
    return parse_disk(place, text, drive, NULL, texts);
}

int disk_option_parse(const struct option_place *place, const char *text,
                      struct husk_drive_options *drive, struct disk_source *source,
                      struct option_texts *texts)
{
    *source = (struct disk_source){.format = DISK_FORMAT_AUTO};
    return parse_disk(place, text, drive, source, texts);
}

#define NET_WORDS "tap=, id=, mac=, vhost=, queues=, mtu=, bw="

static int parse_vhost(const struct option_place *place, struct husk_net_options *net,
                       const char *text)
{
    bool on;

    if (parse_bool(text, &on))
        return cli_usage_error(place->command, "%s: vhost=%s: wants on or off", place->flag, text);
    net->vhost = on ? HUSK_VHOST_ON : HUSK_VHOST_OFF;
    return 0;
}

/* Those that have a number. */
static int parse_net_number(const struct option_place *place, struct husk_net_options *net,
                            const struct option_list *list)
{
    uint64_t number;
    int ret;

    if (!strcmp(list->key, "queues")) {
        ret = parse_count(place, net->tap_name ? net->tap_name : "", list, QUEUES_MAX, &number);
        net->queue_pairs = ret ? 0 : (unsigned)number;
        return ret;
    }
    if (!strcmp(list->key, "mtu")) {
        if (parse_u64(list->value, 68, 65535, &number))
            return cli_usage_error(place->command, "%s: mtu=%s: wants 68 to 65535", place->flag,
                                   list->value);
        net->mtu = (uint16_t)number;
        return 0;
    }
    if (!strcmp(list->key, "bw")) {
        ret = parse_size(list->value, 1, INT64_MAX, &number);
        if (ret)
            return cli_usage_error(place->command, "%s: bw=%s: %s", place->flag, list->value,
                                   option_size_fault(list->value, ret));
        net->rx_bandwidth.per_second = net->tx_bandwidth.per_second = number;
        return 0;
    }
    return cli_usage_error(place->command, "%s: unknown key '%s' (known: " NET_WORDS ")",
                           place->flag, list->key);
}

static int parse_net_word(const struct option_place *place, struct husk_net_options *net,
                          const struct option_list *list, struct option_texts *texts)
{
    if (!list->has_value)
        return cli_usage_error(place->command, "%s: unknown word '%s' (known: " NET_WORDS ")",
                               place->flag, list->value);
    if (!strcmp(list->key, "tap")) {
        net->tap_name = option_text_keep(texts, list->value);
        return net->tap_name ? 0 : option_out_of_memory();
    }
    if (!strcmp(list->key, "id"))
        return option_id_parse(place, list->value, &net->id, texts);
    if (!strcmp(list->key, "mac"))
        return parse_mac(list->value, net->mac)
                   ? cli_usage_error(place->command, "%s: mac=%s: not a unicast MAC address",
                                     place->flag, list->value)
                   : 0;
    if (!strcmp(list->key, "vhost"))
        return parse_vhost(place, net, list->value);
    return parse_net_number(place, net, list);
}

int net_option_parse(const struct option_place *place, const char *text,
                     struct husk_net_options *net, struct option_texts *texts)
{
    struct option_list list;
    int ret;

    *net = (struct husk_net_options)HUSK_NET_OPTIONS_INIT;
    option_list_begin(&list, text);
    while ((ret = option_list_next(&list)) == 1) {
        if (list.has_value &&
            ((!strcmp(list.key, "tap") && net->tap_name) || (!strcmp(list.key, "id") && net->id)))
            return cli_usage_error(place->command, "%s %s: %s= given twice", place->flag, text,
                                   list.key);
        ret = parse_net_word(place, net, &list, texts);
        if (ret)
            return ret;
    }
    if (ret)
        return option_bad_element(place, text, ret);
    if (!net->tap_name)
        return cli_usage_error(place->command, "%s %s: wants tap=NAME", place->flag, text);
    return 0;
}
