// SPDX-License-Identifier: Apache-2.0
/* Disks, network interfaces and devices of the host as users write them, for `husk run` and `husk
 * vm`. */
#ifndef HUSK_CLI_DEVICE_OPTIONS_H
#define HUSK_CLI_DEVICE_OPTIONS_H

#include "cli/cli.h"
#include "husk/husk.h"

/* What each is told with its messages: whose command line it is, and after which words. */
struct option_place {
    const struct command *command;
    const char *flag; /* "-d" */
};

/* Strings that were cut out of option values, owned. */
#define OPTION_TEXTS_MAX 136u

struct option_texts {
    char *items[OPTION_TEXTS_MAX];
    unsigned count;
};

/* Keeps a copy. NULL when out of memory, or when there are too many. */
const char *option_text_keep(struct option_texts *texts, const char *text);
void option_texts_release(struct option_texts *texts);

/* FILE[,id=ID][,ro][,engine=uring|threads][,queues=N][,iops=N][,bw=SIZE] into *drive, whose
 * strings are kept in *texts. Returns 0, or an exit status after having said what is wrong. */
int drive_option_parse(const struct option_place *place, const char *text,
                       struct husk_drive_options *drive, struct option_texts *texts);

enum disk_format { DISK_FORMAT_AUTO, DISK_FORMAT_RAW, DISK_FORMAT_QCOW2 };

/* What the file of a disk is, and where what the guest writes goes: see disk_source.h. */
struct disk_source {
    enum disk_format format;
    const char *overlay; /* NULL: none */
};

/* The same with [,format=raw|qcow2][,overlay=FILE] into *source. */
int disk_option_parse(const struct option_place *place, const char *text,
                      struct husk_drive_options *drive, struct disk_source *source,
                      struct option_texts *texts);

/* tap=NAME[,id=ID][,mac=MAC][,vhost=on|off][,queues=N][,mtu=N][,bw=SIZE], likewise. */
int net_option_parse(const struct option_place *place, const char *text,
                     struct husk_net_options *net, struct option_texts *texts);

/* ADDRESS[,id=ID][,iommu=auto|iommufd|group][,fd=N][,group-fd=N][,iommu-fd=N], likewise. The
 * descriptors must be open, and become close-on-exec. vfio_option.c. */
int vfio_option_parse(const struct option_place *place, const char *text,
                      struct husk_vfio_options *vfio, struct option_texts *texts);

/* An id by which the device can be removed later, kept; as the above. */
int option_id_parse(const struct option_place *place, const char *text, const char **out,
                    struct option_texts *texts);

/* What every such list says. */
int option_out_of_memory(void);
int option_bad_element(const struct option_place *place, const char *text, int error);

/* Why parse_size(text, 1, ...) failed. */
const char *option_size_fault(const char *text, int error);

#endif
