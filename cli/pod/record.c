// SPDX-License-Identifier: Apache-2.0
/* The record of a container: see record.h. */
#include "cli/pod/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/pod/network.h"
#include "cli/pod/pod.h"
#include "cli/terminal.h"
#include "pod/spec/spec.h"

void pod_record_name(const char *image, const char *id, char name[CONTAINER_NAME_BYTES])
{
    const char *word = strrchr(image, '/');
    size_t len, room = CONTAINER_NAME_BYTES - 1 - 7;

    word = word ? word + 1 : image;
    len = strcspn(word, ":@");
    if (len > room)
        len = room;
    memcpy(name, word, len);
    name[len] = '-';
    memcpy(name + len + 1, id, 6);
    name[len + 7] = '\0';
}

uint64_t pod_record_memory(uint64_t limit)
{
    return limit ? pod_machine_memory_for(limit) : 0;
}

static struct spec_words words_of(const struct pod_list *list)
{
    return (struct spec_words){.words = list->items, .count = list->count};
}

/* Without its prefix, and NULL when there is none. */
static const char *first_address(const struct pod_machine_network *network,
                                 char address[POD_MACHINE_ADDRESS_BYTES])
{
    const char *first = network->addresses[0];

    if (!network->address_count)
        return NULL;
    snprintf(address, POD_MACHINE_ADDRESS_BYTES, "%.*s", (int)strcspn(first, "/"), first);
    return address;
}

static void fill_spec_options(const struct pod_run_options *options, const char *id,
                              const char *address, struct spec_options *out)
{
    uint16_t columns = 0, rows = 0;

    if (options->tty)
        terminal_size(&columns, &rows);
    *out = (struct spec_options){
        .id = id,
        .hostname = options->hostname,
        .address = address,
        .command = {.words = (const char *const *)options->command,
                    .count = options->command_count},
        .entrypoint = options->entrypoint,
        .tty = options->tty,
        .columns = columns,
        .rows = rows,
        .env = words_of(&options->env),
        .env_files = words_of(&options->env_files),
        .environment = environ,
        .directory = options->directory,
        .user = options->user,
        .volumes = words_of(&options->volumes),
        .tmpfs = words_of(&options->tmpfs),
        .shm_size = options->shm_size,
        .init = options->init,
        .read_only = options->read_only,
        .cap_add = words_of(&options->cap_add),
        .cap_drop = words_of(&options->cap_drop),
        .security = words_of(&options->security),
        .memory = options->memory,
        .cpus = options->cpus,
        .pids_limit = options->pids_limit,
        .ulimits = words_of(&options->ulimits),
        .sysctls = words_of(&options->sysctls),
        .stop_signal = options->stop_signal,
        .nameservers = words_of(&options->nameservers),
    };
}

/* The machine that this container needs. */
static int fill_machine(const struct pod_run_options *options, const struct spec *spec,
                        struct pod_machine_options *machine, struct husk_error *err)
{
    machine->memory_bytes = pod_record_memory(spec->memory_bytes);
    machine->vcpus = (unsigned)min_u64((spec->cpu_nanos + 999999999) / 1000000000, UINT32_MAX);
    machine->scratch_bytes = options->scratch_bytes;
    if (options->kernel && !realpath(options->kernel, machine->kernel))
        return error_set(err, errno, options->kernel, "cannot be used as the machine's kernel",
                         NULL);
    for (unsigned i = 0; i < spec->volume_count; i++) {
        const struct spec_volume *volume = &spec->volumes[i];
        struct pod_machine_disk *disk = &machine->disks[machine->disk_count];

        if (volume->kind != SPEC_VOLUME_DISK)
            continue;
        if (machine->disk_count == POD_MACHINE_DISKS_MAX)
            return error_set(err, ENOSPC, "--volume", "too many disks", "at most %u",
                             POD_MACHINE_DISKS_MAX);
        if (strlen(volume->source) >= sizeof(disk->path) ||
            strlen(volume->fstype) >= sizeof(disk->type))
            return error_set(err, ENAMETOOLONG, volume->source, "cannot be used as a disk", NULL);
        snprintf(disk->volume, sizeof(disk->volume), "%s", volume->name);
        snprintf(disk->path, sizeof(disk->path), "%s", volume->source);
        memcpy(disk->type, volume->fstype, strlen(volume->fstype) + 1);
        disk->read_only = volume->readonly;
        machine->disk_count++;
    }
    return pod_machine_options_check(machine, err);
}

static json_t *labels_of(const struct pod_list *list)
{
    json_t *labels = json_object();

    for (unsigned i = 0; labels && i < list->count; i++) {
        const char *text = list->items[i], *equals = strchrnul(text, '=');
        char *name = strndup(text, (size_t)(equals - text));

        if (!name ||
            json_object_set_new(labels, name, json_string(*equals ? equals + 1 : equals))) {
            json_decref(labels);
            labels = NULL;
        }
        free(name);
    }
    return labels;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fill_times(const struct pod_run_options *options, struct container_spec *out)
{
    out->created_ns = now_ns();
    if (options->timeout >= 0)
        out->timeout_ms = (uint64_t)options->timeout * 1000;
    if (options->stop_timeout >= 0)
        out->stop_grace_ms = (uint64_t)options->stop_timeout * 1000;
}

static int fill(const struct pod_run_options *options, const struct pod_image *image,
                struct pod_machine_options *machine, struct container_spec *out,
                struct husk_error *err)
{
    char address[POD_MACHINE_ADDRESS_BYTES];
    struct spec_options spec_options;
    struct spec spec;
    int ret;

    fill_spec_options(options, out->id, first_address(&machine->network, address), &spec_options);
    ret = spec_build(&image->config, &spec_options, &spec, err);
    if (ret)
        return ret;
    ret = fill_machine(options, &spec, machine, err);
    if (!ret) {
        out->image = pod_image_note(image);
        out->spec = spec_save(&spec);
        out->machine = pod_machine_options_encode(machine);
        out->labels = labels_of(&options->labels);
        out->stop_signal = (unsigned)spec.stop_signal;
        if (!out->image || !out->spec || !out->machine || !out->labels)
            ret = error_set(err, ENOMEM, "", "cannot describe the container", NULL);
    }
    spec_clear(&spec);
    return ret;
}

int pod_record_make(const struct pod_run_options *options, const struct pod_image *image,
                    struct container_spec *out)
{
    struct pod_machine_options *machine = calloc(1, sizeof(*machine));
    struct husk_error err = {0};
    int ret;

    *out = (struct container_spec)CONTAINER_SPEC_INIT;
    if (!machine) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_OURS;
    }
    ret = pod_network_parse(options->syntax, options->network, &machine->network);
    if (ret) {
        free(machine);
        return ret;
    }
    ret = container_id_new(out->id);
    if (ret)
        error_set(&err, -ret, "", "cannot get random numbers for an id", NULL);
    if (!ret && options->name)
        snprintf(out->name, sizeof(out->name), "%s", options->name); /* its length is checked */
    else if (!ret)
        pod_record_name(image->record.name, out->id, out->name);
    out->remove = options->remove;
    if (options->interactive)
        out->stdin_mode = options->detach ? CONTAINER_STDIN_OPEN : CONTAINER_STDIN_ONCE;
    fill_times(options, out);
    if (!ret)
        ret = fill(options, image, machine, out, &err);
    free(machine);
    if (!ret)
        return 0;
    cli_error(&err);
    return STATUS_OURS;
}
