// SPDX-License-Identifier: Apache-2.0
/*
 * Partition tables and superblocks through libblkid (util-linux), which knows them all, with its
 * protective MBRs, hybrids and logical partitions. It reads the descriptor by itself; where a
 * partition lies is checked before anybody else reads there. An extended partition, which is a
 * container only, is left out.
 */
#include "image/partitions.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define SECTOR_BYTES 512u /* libblkid counts in these, whatever the device has */

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
}

static void lookup(blkid_probe probe, const char *name, char *out, size_t size)
{
    const char *value = NULL;

    if (blkid_probe_lookup_value(probe, name, &value, NULL) == 0)
        copy(out, size, value);
}

/* What is in a partition. Not knowing is no error: nobody will open it. */
static void probe_content(struct image_partition *partition, unsigned sector_bytes)
{
    blkid_probe probe = blkid_new_probe();

    if (!probe)
        return;
    if (blkid_probe_set_device(probe, partition->bytes.fd, (blkid_loff_t)partition->bytes.offset,
                               (blkid_loff_t)partition->bytes.size) == 0) {
        blkid_probe_set_sectorsize(probe, sector_bytes);
        blkid_probe_enable_superblocks(probe, 1);
        blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID);
        /* 0: found; 1: nothing; -2: two at once, of which none can be trusted. */
        if (blkid_do_safeprobe(probe) == 0) {
            lookup(probe, "TYPE", partition->content, sizeof(partition->content));
            lookup(probe, "UUID", partition->content_id, sizeof(partition->content_id));
        }
    }
    blkid_free_probe(probe);
}

static void add_partition(struct image_disk *disk, const struct image_source *source,
                          blkid_partition from, unsigned sector_bytes)
{
    struct image_partition *partition = &disk->partitions[disk->count];
    blkid_loff_t start = blkid_partition_get_start(from);
    blkid_loff_t sectors = blkid_partition_get_size(from);
    uint64_t offset, size;

    if (blkid_partition_is_extended(from) || start < 0 || sectors <= 0 ||
        !checked_mul((uint64_t)start, SECTOR_BYTES, &offset) ||
        !checked_mul((uint64_t)sectors, SECTOR_BYTES, &size) ||
        image_part(source, offset, size, &partition->bytes))
        return;
    partition->number = (unsigned)blkid_partition_get_partno(from);
    if (!strcmp(disk->table, "gpt"))
        copy(partition->kind, sizeof(partition->kind), blkid_partition_get_type_string(from));
    copy(partition->id, sizeof(partition->id), blkid_partition_get_uuid(from));
    probe_content(partition, sector_bytes);
    disk->count++;
}

static void read_table(blkid_probe probe, const struct image_source *source, unsigned sector_bytes,
                       struct image_disk *disk)
{
    blkid_partlist list = blkid_probe_get_partitions(probe);
    blkid_parttable table = list ? blkid_partlist_get_table(list) : NULL;
    int count = table ? blkid_partlist_numof_partitions(list) : 0;

    if (!table)
        return;
    copy(disk->table, sizeof(disk->table), blkid_parttable_get_type(table));
    for (int i = 0; i < count; i++) {
        blkid_partition partition = blkid_partlist_get_partition(list, i);

        if (disk->count == IMAGE_PARTITIONS_MAX) {
            disk->more = true;
            break;
        }
        if (partition)
            add_partition(disk, source, partition, sector_bytes);
    }
}

int image_disk_read(const struct image_source *source, unsigned sector_bytes,
                    struct image_disk *disk)
{
    blkid_probe probe = blkid_new_probe();
    int ret = probe ? 0 : -ENOMEM;

    memset(disk, 0, sizeof(*disk));
    if (!ret && blkid_probe_set_device(probe, source->fd, (blkid_loff_t)source->offset,
                                       (blkid_loff_t)source->size))
        ret = -EIO;
    if (!ret) {
        blkid_probe_set_sectorsize(probe, sector_bytes);
        blkid_probe_enable_partitions(probe, 1);
        read_table(probe, source, sector_bytes, disk);
    }
    if (probe)
        blkid_free_probe(probe);
    if (!ret && !disk->table[0]) {
        disk->partitions[0].bytes = *source;
        probe_content(&disk->partitions[0], sector_bytes);
        disk->count = 1;
    }
    return ret;
}
