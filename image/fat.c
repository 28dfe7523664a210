// SPDX-License-Identifier: Apache-2.0
/*
 * FAT12, FAT16 and FAT32 with long names, read only: what EFI system partitions are made of.
 *
 * Specification: Microsoft FAT32 File System Specification 1.03 ("FAT" below) and, for what an EFI
 * system partition is, UEFI 2.10, 13.3.
 *
 * Nothing of the disk is kept but the geometry and one window of the allocation table. A chain of
 * clusters is followed for at most as many steps as there are clusters, a directory for at most
 * 65536 entries, so that a loop ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "image/filesystem.h"

#define ENTRY_BYTES        32u
#define ENTRIES_MAX        65536u /* FAT, "Directories": at most 2 MiB */
#define CLUSTER_BYTES_MAX  65536u
#define WINDOW_BYTES       4096u
#define ATTRIBUTE_VOLUME   0x08u
#define ATTRIBUTE_DIR      0x10u
#define ATTRIBUTE_LONG     0x0fu
#define ATTRIBUTE_MASK     0x3fu
#define LONG_LAST          0x40u
#define LONG_UNITS         13u
#define LONG_ENTRIES_MAX   20u
#define FIRST_CLUSTER      2u
#define FAT12_CLUSTERS_MAX 4084u /* FAT, "FAT Type Determination" */
#define FAT16_CLUSTERS_MAX 65524u

struct fat {
    struct image_filesystem base;
    struct image_source table; /* the first allocation table */
    struct image_source root;  /* FAT12 and FAT16: the root directory */
    struct image_source data;  /* the clusters, from number 2 on */
    unsigned bits;             /* 12, 16 or 32 */
    uint32_t cluster_bytes;
    uint32_t clusters;
    uint32_t root_cluster; /* FAT32 */
    uint64_t window_at;    /* UINT64_MAX: nothing is in the window */
    size_t window_len;
    uint8_t window[WINDOW_BYTES];
};

struct entry {
    bool is_dir;
    uint32_t cluster;
    uint32_t size;
};

/* ---- clusters ---- */

/* Bytes of the table through the window; len is at most 4. */
static int read_table(struct fat *fat, uint64_t offset, void *buf, size_t len)
{
    uint64_t start = align_down(offset, WINDOW_BYTES / 2);
    size_t room;
    int ret;

    if (fat->window_at != start) {
        if (start >= fat->table.size)
            return -EIO;
        room = (size_t)min_u64(WINDOW_BYTES, fat->table.size - start);
        fat->window_at = UINT64_MAX;
        ret = image_read(&fat->table, start, fat->window, room);
        if (ret)
            return ret;
        fat->window_at = start;
        fat->window_len = room;
    }
    if (offset - start + len > fat->window_len)
        return -EIO;
    memcpy(buf, fat->window + (offset - start), len);
    return 0;
}

/* The cluster after this one: 0 at the end of the chain. (FAT, "FAT Data Structure") */
static int next_cluster(struct fat *fat, uint32_t cluster, uint32_t *next)
{
    uint8_t raw[4] = {0};
    uint32_t end;
    int ret;

    if (fat->bits == 32) {
        ret = read_table(fat, (uint64_t)cluster * 4, raw, 4);
        *next = get_le32(raw) & 0x0fffffffu;
        end = 0x0ffffff8u;
    } else if (fat->bits == 16) {
        ret = read_table(fat, (uint64_t)cluster * 2, raw, 2);
        *next = get_le16(raw);
        end = 0xfff8u;
    } else {
        ret = read_table(fat, (uint64_t)cluster + cluster / 2, raw, 2);
        *next = (cluster & 1 ? get_le16(raw) >> 4 : get_le16(raw)) & 0xfffu;
        end = 0xff8u;
    }
    if (ret)
        return ret;
    if (*next >= end)
        *next = 0;
    else if (*next < FIRST_CLUSTER || *next - FIRST_CLUSTER >= fat->clusters)
        return -EIO; /* free, bad, or none */
    return 0;
}

/* Up to `size` bytes of a chain, in pieces of one cluster. -ECANCELED when `write` wants no more.
 */
static int read_chain(struct fat *fat, uint32_t cluster, uint64_t size, image_write_fn write,
                      void *arg)
{
    uint8_t *buf = malloc(fat->cluster_bytes);
    int ret = buf ? 0 : -ENOMEM;

    for (uint32_t steps = 0; !ret && size > 0 && cluster; steps++) {
        size_t len = (size_t)min_u64(size, fat->cluster_bytes);

        if (steps >= fat->clusters || cluster < FIRST_CLUSTER) {
            ret = -EIO;
            break;
        }
        ret = image_read(&fat->data, (uint64_t)(cluster - FIRST_CLUSTER) * fat->cluster_bytes, buf,
                         len);
        if (!ret)
            ret = write(arg, buf, len);
        size -= len;
        if (!ret && size > 0)
            ret = next_cluster(fat, cluster, &cluster);
    }
    free(buf);
    return ret;
}

/* ---- names ---- */

/* A long name while its entries pass by, the last part first. */
struct long_name {
    unsigned expected; /* number of the entry that must come next; 0: the short one */
    bool valid;
    uint8_t checksum; /* of the short name that it belongs to */
    uint16_t units[LONG_ENTRIES_MAX * LONG_UNITS];
    unsigned count;
};

static void add_long(struct long_name *name, const uint8_t *raw)
{
    static const uint8_t places[LONG_UNITS] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    unsigned order = raw[0] & ~LONG_LAST;

    if (raw[0] & LONG_LAST) {
        name->valid = order >= 1 && order <= LONG_ENTRIES_MAX;
        name->count = order * LONG_UNITS;
        name->checksum = raw[13];
    } else if (!name->valid || order != name->expected || raw[13] != name->checksum) {
        name->valid = false;
    }
    if (!name->valid || order == 0) {
        name->valid = false;
        return;
    }
    for (unsigned i = 0; i < LONG_UNITS; i++)
        name->units[(order - 1) * LONG_UNITS + i] = get_le16(raw + places[i]);
    name->expected = order - 1;
}

/* FAT, "Name.Extension checksum". */
static uint8_t short_checksum(const uint8_t *raw)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < 11; i++)
        sum = (uint8_t)((sum << 7 | sum >> 1) + raw[i]);
    return sum;
}

/* As UTF-8; what is not in the basic plane, or longer than a name may be, is no valid name. */
static bool long_text(const struct long_name *name, char *out)
{
    size_t len = 0;

    for (unsigned i = 0; i < name->count && name->units[i] != 0; i++) {
        uint16_t unit = name->units[i];

        if (len + 3 > IMAGE_NAME_MAX || (unit >= 0xd800 && unit < 0xe000) || unit == '/')
            return false;
        if (unit < 0x80) {
            out[len++] = (char)unit;
        } else if (unit < 0x800) {
            out[len++] = (char)(0xc0 | unit >> 6);
            out[len++] = (char)(0x80 | (unit & 0x3f));
        } else {
            out[len++] = (char)(0xe0 | unit >> 12);
            out[len++] = (char)(0x80 | (unit >> 6 & 0x3f));
            out[len++] = (char)(0x80 | (unit & 0x3f));
        }
    }
    out[len] = '\0';
    return len > 0;
}

/* "KERNEL  IMG" as "kernel.img": Windows NT keeps in two bits that the parts were in lower case;
 * lower case serves all, for names do not differ by case. */
static void short_text(const uint8_t *raw, char *out)
{
    size_t len = 0;

    for (unsigned i = 0; i < 11; i++) {
        uint8_t byte = raw[i];

        if (byte == ' ')
            continue;
        if (i >= 8 && !memchr(out, '.', len))
            out[len++] = '.';
        out[len++] = (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
    }
    out[len] = '\0';
}

/* ---- directories ---- */

/* Returns whether to go on. */
typedef bool (*fat_entry_fn)(void *arg, const char *name, const struct entry *entry);

struct scan {
    struct fat *fat;
    fat_entry_fn each;
    void *arg;
    struct long_name long_name;
    unsigned left;
};

/* One entry of 32 bytes; returns whether to go on. (FAT, "FAT Directory Structure") */
static bool scan_entry(struct scan *scan, const uint8_t *raw)
{
    char name[IMAGE_NAME_MAX + 1];
    struct entry entry;

    if (raw[0] == 0 || scan->left-- == 0)
        return false;
    if (raw[0] == 0xe5) {
        scan->long_name.valid = false;
        return true;
    }
    if ((raw[11] & ATTRIBUTE_MASK) == ATTRIBUTE_LONG) {
        add_long(&scan->long_name, raw);
        return true;
    }
    if (!scan->long_name.valid || scan->long_name.expected != 0 ||
        scan->long_name.checksum != short_checksum(raw) || !long_text(&scan->long_name, name))
        short_text(raw, name);
    scan->long_name.valid = false;
    if (raw[11] & ATTRIBUTE_VOLUME)
        return true;
    entry.is_dir = raw[11] & ATTRIBUTE_DIR;
    entry.cluster = get_le16(raw + 26);
    if (scan->fat->bits == 32)
        entry.cluster |= (uint32_t)get_le16(raw + 20) << 16;
    entry.size = get_le32(raw + 28);
    return scan->each(scan->arg, name, &entry);
}

static int scan_bytes(void *arg, const void *bytes, size_t len)
{
    struct scan *scan = arg;

    for (size_t at = 0; at + ENTRY_BYTES <= len; at += ENTRY_BYTES) {
        if (!scan_entry(scan, (const uint8_t *)bytes + at))
            return -ECANCELED;
    }
    return 0;
}

/* A directory of which `dir` is the entry; cluster 0 is the root. */
static int scan_directory(struct fat *fat, const struct entry *dir, fat_entry_fn each, void *arg)
{
    struct scan scan = {.fat = fat, .each = each, .arg = arg, .left = ENTRIES_MAX};
    uint32_t cluster = dir->cluster;
    int ret;

    if (cluster == 0 && fat->bits != 32)
        ret = image_copy(&fat->root, scan_bytes, &scan);
    else
        ret = read_chain(fat, cluster ? cluster : fat->root_cluster,
                         (uint64_t)ENTRIES_MAX * ENTRY_BYTES, scan_bytes, &scan);
    return ret == -ECANCELED ? 0 : ret;
}

struct lookup {
    const char *name;
    size_t len;
    struct entry found;
    bool is_found;
};

static bool compare_name(void *arg, const char *name, const struct entry *entry)
{
    struct lookup *lookup = arg;

    if (strlen(name) != lookup->len || strncasecmp(name, lookup->name, lookup->len) != 0)
        return true;
    lookup->found = *entry;
    lookup->is_found = true;
    return false;
}

static int find(struct fat *fat, const char *path, struct entry *out)
{
    struct entry at = {.is_dir = true};

    for (;;) {
        struct lookup lookup = {0};
        int ret;

        path += strspn(path, "/");
        if (!*path) {
            *out = at;
            return 0;
        }
        if (!at.is_dir)
            return -ENOTDIR;
        lookup.name = path;
        lookup.len = strcspn(path, "/");
        ret = scan_directory(fat, &at, compare_name, &lookup);
        if (ret)
            return ret;
        if (!lookup.is_found)
            return -ENOENT;
        at = lookup.found;
        path += lookup.len;
    }
}

/* ---- the file system ---- */

static int find_file(struct fat *fat, const char *path, struct entry *out)
{
    int ret = find(fat, path, out);

    if (!ret && out->is_dir)
        ret = -EISDIR;
    return ret == -ENOTDIR ? -ENOENT : ret;
}

static int fat_size(struct image_filesystem *fs, const char *path, uint64_t *size)
{
    struct entry entry;
    int ret = find_file(container_of(fs, struct fat, base), path, &entry);

    if (!ret)
        *size = entry.size;
    return ret;
}

static int fat_read(struct image_filesystem *fs, const char *path, image_write_fn write, void *arg)
{
    struct fat *fat = container_of(fs, struct fat, base);
    struct entry entry;
    int ret = find_file(fat, path, &entry);

    return ret ? ret : read_chain(fat, entry.cluster, entry.size, write, arg);
}

struct listing {
    image_entry_fn each;
    void *arg;
};

static bool list_entry(void *arg, const char *name, const struct entry *entry)
{
    const struct listing *listing = arg;

    return listing->each(listing->arg, name);
}

static int fat_list(struct image_filesystem *fs, const char *path, image_entry_fn each, void *arg)
{
    struct fat *fat = container_of(fs, struct fat, base);
    struct listing listing = {each, arg};
    struct entry dir;
    int ret = find(fat, path, &dir);

    if (ret)
        return ret;
    return dir.is_dir ? scan_directory(fat, &dir, list_entry, &listing) : -ENOTDIR;
}

static void fat_close(struct image_filesystem *fs)
{
    free(container_of(fs, struct fat, base));
}

static const struct image_filesystem_ops fat_ops = {
    .size = fat_size, .list = fat_list, .read = fat_read, .close = fat_close};

/* FAT, "Boot Sector and BPB Structure". All products are of 16 and 32 bits, in 64. */
static int read_geometry(struct fat *fat, const struct image_source *source, const uint8_t *bpb)
{
    uint64_t sector = get_le16(bpb + 11);
    uint64_t per_cluster = bpb[13];
    uint64_t reserved = get_le16(bpb + 14);
    uint64_t tables = bpb[16];
    uint64_t root_bytes = (uint64_t)get_le16(bpb + 17) * ENTRY_BYTES;
    uint64_t total = get_le16(bpb + 19) ? get_le16(bpb + 19) : get_le32(bpb + 32);
    uint64_t per_table = get_le16(bpb + 22) ? get_le16(bpb + 22) : get_le32(bpb + 36);
    uint64_t root_at, data_at, count;
    int ret;

    if (sector < 512 || sector > 4096 || (sector & (sector - 1)) != 0 || per_cluster == 0 ||
        (per_cluster & (per_cluster - 1)) != 0 || sector * per_cluster > CLUSTER_BYTES_MAX ||
        reserved == 0 || tables == 0 || per_table == 0)
        return -EINVAL;
    root_at = (reserved + tables * per_table) * sector;
    data_at = root_at + (root_bytes + sector - 1) / sector * sector;
    if (total * sector < data_at)
        return -EINVAL;
    count = (total * sector - data_at) / (sector * per_cluster);
    fat->cluster_bytes = (uint32_t)(sector * per_cluster);
    fat->bits = count <= FAT12_CLUSTERS_MAX ? 12 : count <= FAT16_CLUSTERS_MAX ? 16 : 32;
    fat->clusters = (uint32_t)min_u64(count, 0x0ffffff5u);
    fat->root_cluster = fat->bits == 32 ? get_le32(bpb + 44) & 0x0fffffffu : 0;
    ret = image_part(source, reserved * sector, per_table * sector, &fat->table);
    if (!ret)
        ret = image_part(source, root_at, root_bytes, &fat->root);
    if (!ret)
        ret = image_part(source, data_at, count * fat->cluster_bytes, &fat->data);
    return ret;
}

int image_fat_open(const struct image_source *source, struct image_filesystem **out)
{
    uint8_t bpb[512];
    struct fat *fat;
    int ret = image_read(source, 0, bpb, sizeof(bpb));

    if (ret)
        return ret;
    fat = calloc(1, sizeof(*fat));
    if (!fat)
        return -ENOMEM;
    fat->base.ops = &fat_ops;
    fat->window_at = UINT64_MAX;
    ret = read_geometry(fat, source, bpb);
    if (ret) {
        free(fat);
        return ret;
    }
    *out = &fat->base;
    return 0;
}
