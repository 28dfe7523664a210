// SPDX-License-Identifier: Apache-2.0
/*
 * boot_load(): recognise the kernel, hand it to its loader, place the initrd and the command line,
 * build what the entry protocol wants.
 *
 * Order matters: the boot tables claim their addresses first, then the kernel, whose place is
 * mostly fixed, then the initrd, which takes the highest room left. Runs once, on the thread that
 * builds the machine, before any vCPU exists; keeps nothing.
 */
#include "boot/internal.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"

/* A decompressed kernel, debug information included, is seldom half of this. */
#define DECOMPRESSED_MAX_BYTES (1024 * MIB)

/* "Give it more memory" helps up to here: x86 machines have a hole somewhere below 4 GiB. */
#define ADVICE_MAX_BYTES (3072 * MIB)

#define BOOT_INFO_BYTES   8192u
#define PAGE_TABLES_BYTES (6u * GUEST_PAGE_SIZE)
#define GDT_BYTES         64u

enum image_kind { KIND_UNKNOWN, KIND_ELF, KIND_BZIMAGE, KIND_GZIP, KIND_ZSTD };

#define HEAD_BYTES 1024u

/* The start of an image; what the file does not have is zero. */
struct head {
    uint8_t bytes[HEAD_BYTES];
    uint64_t len;
};

static bool has(const struct head *head, size_t offset, const void *magic, size_t len)
{
    return offset + len <= head->len && !memcmp(head->bytes + offset, magic, len);
}

static enum image_kind recognise(const struct head *head)
{
    if (has(head, 0, ELFMAG, SELFMAG))
        return KIND_ELF;
    if (has(head, 0x1fe, "\x55\xaa", 2) && has(head, 0x202, "HdrS", 4))
        return KIND_BZIMAGE;
    if (has(head, 0, "\x1f\x8b\x08", 3))
        return KIND_GZIP;
    if (has(head, 0, "\x28\xb5\x2f\xfd", 4))
        return KIND_ZSTD;
    return KIND_UNKNOWN;
}

/* What a file that is no kernel looks like, for the message. */
static const char *looks_like(const struct head *head)
{
    static const struct {
        size_t offset;
        size_t len;
        const char *magic;
        const char *name;
    } known[] = {
        {0, 6, "\xfd\x37\x7a\x58\x5a\x00", "it is xz-compressed; gzip, zstd or none is supported"},
        {0, 3, "\x5d\x00\x00", "it is lzma-compressed; gzip, zstd or none is supported"},
        {0, 4, "\x02\x21\x4c\x18", "it is lz4-compressed; gzip, zstd or none is supported"},
        {0, 4, "\x04\x22\x4d\x18", "it is lz4-compressed; gzip, zstd or none is supported"},
        {0, 3, "BZh", "it is bzip2-compressed; gzip, zstd or none is supported"},
        {0, 4, "\x89LZO", "it is lzo-compressed; gzip, zstd or none is supported"},
        {0x38, 4, "ARM\x64", "it is a Linux Image for aarch64, not for x86-64"},
        {0x38, 4, "RSC\x05", "it is a Linux Image for riscv, not for x86-64"},
        {0, 6, "070701", "it is a cpio archive, perhaps the initrd"},
        {0, 4, "\x27\x05\x19\x56", "it is a U-Boot image, not a Linux bzImage or ELF kernel"},
        {0, 8, "ANDROID!", "it is an Android boot image, not a Linux bzImage or ELF kernel"},
        {0, 4, "QFI\xfb", "it is a qcow2 disk image, not a kernel"},
        {0, 8, "!<arch>\n", "it is an archive or a Debian package, not a kernel"},
        {0, 2, "#!", "it is a script, not a kernel"},
        {0, 2, "MZ", "it is an EFI or Windows program without a Linux setup header"},
        {0x1fe, 2, "\x55\xaa", "it is a disk image or a boot sector, not a kernel"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (has(head, known[i].offset, known[i].magic, known[i].len))
            return known[i].name;
    }
    return "it is not a kernel: neither an ELF file nor a Linux bzImage";
}

static int read_head(const struct boot_image *image, struct head *head, struct husk_error *err)
{
    int r;

    *head = (struct head){.len = min_u64(HEAD_BYTES, image->size)};
    r = boot_image_read(image, 0, head->bytes, head->len);
    if (r < 0)
        return error_set(err, -r, image->name, BOOT_CANNOT_LOAD_KERNEL, NULL);
    return 0;
}

/* --- shared with the loaders --- */

int boot_claim_kernel(struct boot_loader *loader, const struct boot_image *image, uint64_t base,
                      uint64_t size)
{
    uint64_t have_mib = guest_memory_size(loader->memory) / MIB;
    uint64_t end, whole;

    if (!checked_add(base, size, &end) || !checked_align_up(end, MIB, &whole))
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "it is corrupt: a part of it wraps around the address space");
    switch (boot_placement_claim(&loader->placement, base, size)) {
    case 0:
        return 0;
    case -EBUSY:
        return error_set(loader->err, ENOMEM, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "its part at 0x%llx-0x%llx overlaps another part or the boot tables",
                         (unsigned long long)base, (unsigned long long)(end - 1));
    case -EFAULT:
        if (end > boot_placement_ram_end(&loader->placement) && end <= ADVICE_MAX_BYTES)
            return error_set(loader->err, ENOMEM, image->name, BOOT_CANNOT_LOAD_KERNEL,
                             "it needs memory up to 0x%llx and the guest has %llu MiB: give it at "
                             "least %llu MiB",
                             (unsigned long long)end, (unsigned long long)have_mib,
                             (unsigned long long)(whole / MIB));
        return error_set(loader->err, ENOMEM, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "its part at 0x%llx-0x%llx is not inside the guest's memory",
                         (unsigned long long)base, (unsigned long long)(end - 1));
    default:
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "it has too many parts");
    }
}

int boot_place_kernel(struct boot_loader *loader, const struct boot_image *image, uint64_t offset,
                      uint64_t address, uint64_t len)
{
    int r = boot_image_place(image, offset, loader->memory, gpa(address), len);

    if (r == -ENODATA)
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the file became shorter while it was read");
    if (r < 0)
        return error_set(loader->err, -r, image->name, BOOT_CANNOT_LOAD_KERNEL, NULL);
    return 0;
}

/* --- the steps of boot_load() --- */

static int claim_boot_tables(struct boot_loader *loader)
{
    const struct boot_layout *layout = &loader->options->layout;
    const struct {
        gpa_t base;
        uint64_t size;
    } tables[] = {
        {layout->boot_info, BOOT_INFO_BYTES},
        {layout->command_line, BOOT_COMMAND_LINE_MAX},
        {layout->page_tables, PAGE_TABLES_BYTES},
        {layout->gdt, GDT_BYTES},
    };

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        int r = boot_placement_claim(&loader->placement, tables[i].base.value, tables[i].size);

        if (r < 0)
            return error_set(loader->err, -r, "memory layout", BOOT_CANNOT_LOAD_KERNEL,
                             "the boot tables at 0x%llx are not in free memory",
                             (unsigned long long)tables[i].base.value);
    }
    return 0;
}

static int load_by_kind(struct boot_loader *loader, const struct boot_image *image,
                        const struct head *head, enum image_kind kind, struct boot_kernel *kernel)
{
    switch (kind) {
    case KIND_ELF:
        return boot_load_elf(loader, image, kernel);
    case KIND_BZIMAGE:
        return boot_load_bzimage(loader, image, kernel);
    case KIND_GZIP:
    case KIND_ZSTD:
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "it is compressed twice");
    default:
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL, "%s",
                         looks_like(head));
    }
}

static int load_kernel(struct boot_loader *loader, struct boot_kernel *kernel,
                       enum boot_compression *compression)
{
    uint64_t limit = min_u64(guest_memory_size(loader->memory), DECOMPRESSED_MAX_BYTES);
    struct boot_image file, unpacked;
    enum image_kind kind;
    struct head head = {0};
    int r = boot_image_open(&file, loader->options->kernel_fd, loader->options->kernel_name,
                            BOOT_CANNOT_LOAD_KERNEL, loader->err);

    if (r == 0)
        r = read_head(&file, &head, loader->err);
    if (r < 0)
        return r;
    kind = recognise(&head);
    if (kind != KIND_GZIP && kind != KIND_ZSTD)
        return load_by_kind(loader, &file, &head, kind, kernel);

    *compression = kind == KIND_GZIP ? BOOT_COMPRESSION_GZIP : BOOT_COMPRESSION_ZSTD;
    r = boot_decompress(&file, *compression, limit, &unpacked, loader->err);
    if (r < 0)
        return r;
    r = read_head(&unpacked, &head, loader->err);
    if (r == 0)
        r = load_by_kind(loader, &unpacked, &head, recognise(&head), kernel);
    boot_image_close(&unpacked);
    return r;
}

static int write_command_line(struct boot_loader *loader, const struct boot_kernel *kernel)
{
    const char *text = loader->options->command_line ? loader->options->command_line : "";
    uint64_t max = min_u64(kernel->command_line_max, BOOT_COMMAND_LINE_MAX - 1);
    size_t len = strlen(text);

    if (len > max)
        return error_set(loader->err, E2BIG, "command line", "cannot pass the kernel command line",
                         "it has %zu bytes, this kernel takes at most %llu", len,
                         (unsigned long long)max);
    if (guest_memory_write(loader->memory, loader->options->layout.command_line, text, len + 1) < 0)
        return error_set(loader->err, EFAULT, "memory layout",
                         "cannot pass the kernel command line", NULL);
    return 0;
}

static int initrd_does_not_fit(struct boot_loader *loader, const struct boot_image *image,
                               uint64_t limit)
{
    uint64_t have = guest_memory_size(loader->memory);
    uint64_t size_mib = (image->size + MIB - 1) / MIB;
    /* With all room above the kernel free, memory of this size takes both. */
    uint64_t need = boot_placement_end(&loader->placement) + (size_mib + 1) * MIB;

    if (limit >= boot_placement_ram_end(&loader->placement) && need > have &&
        need <= ADVICE_MAX_BYTES)
        return error_set(loader->err, ENOMEM, image->name, BOOT_CANNOT_LOAD_INITRD,
                         "it has %llu MiB, which does not fit beside the kernel into the guest's "
                         "%llu MiB of memory: give it at least %llu MiB",
                         (unsigned long long)size_mib, (unsigned long long)(have / MIB),
                         (unsigned long long)(need / MIB));
    return error_set(loader->err, ENOMEM, image->name, BOOT_CANNOT_LOAD_INITRD,
                     "it has %llu MiB, and there is no such room below 0x%llx beside the kernel "
                     "in the guest's %llu MiB of memory",
                     (unsigned long long)size_mib, (unsigned long long)limit,
                     (unsigned long long)(have / MIB));
}

static int load_initrd(struct boot_loader *loader, const struct boot_kernel *kernel,
                       struct boot_handover *handover)
{
    const struct boot_options *options = loader->options;
    uint64_t limit =
        min_u64(options->layout.initrd_limit.value, min_u64(kernel->initrd_limit, FOUR_GIB));
    struct boot_image image;
    uint64_t base, size;
    int r;

    if (options->initrd_fd < 0)
        return 0;
    r = boot_image_open(&image, options->initrd_fd, options->initrd_name, BOOT_CANNOT_LOAD_INITRD,
                        loader->err);
    if (r < 0)
        return r;
    /* Whole pages, so that nothing else shares the last one: its rest stays zero. */
    if (!checked_align_up(image.size, GUEST_PAGE_SIZE, &size) ||
        !boot_placement_highest(&loader->placement, limit, GUEST_PAGE_SIZE, size, &base) ||
        boot_placement_claim(&loader->placement, base, size) < 0)
        return initrd_does_not_fit(loader, &image, limit);
    r = boot_image_place(&image, 0, loader->memory, gpa(base), image.size);
    if (r == -ENODATA)
        return error_set(loader->err, EIO, image.name, BOOT_CANNOT_LOAD_INITRD,
                         "the file became shorter while it was read");
    if (r < 0)
        return error_set(loader->err, -r, image.name, BOOT_CANNOT_LOAD_INITRD, NULL);
    handover->initrd = gpa(base);
    handover->initrd_bytes = image.size;
    return 0;
}

static const char *format_name(const struct boot_kernel *kernel, enum boot_compression compression)
{
    static const char *const names[3][3] = {
        {"bzImage", "ELF (PVH)", "ELF (64-bit Linux)"},
        {"gzip-compressed bzImage", "gzip-compressed ELF (PVH)",
         "gzip-compressed ELF (64-bit Linux)"},
        {"zstd-compressed bzImage", "zstd-compressed ELF (PVH)",
         "zstd-compressed ELF (64-bit Linux)"},
    };

    return names[compression][kernel->is_bzimage ? 0 : kernel->protocol == BOOT_PVH ? 1 : 2];
}

int boot_load(struct guest_memory *memory, const struct boot_options *options,
              struct boot_entry *entry, struct husk_error *err)
{
    const struct boot_layout *layout = &options->layout;
    struct boot_loader loader = {.memory = memory, .options = options, .err = err};
    struct boot_kernel kernel = {.initrd_limit = FOUR_GIB,
                                 .command_line_max = BOOT_COMMAND_LINE_MAX - 1};
    struct boot_handover handover = {.command_line = layout->command_line};
    enum boot_compression compression = BOOT_COMPRESSION_NONE;
    int r;

    boot_placement_init(&loader.placement, memory, layout);
    r = claim_boot_tables(&loader);
    if (r == 0)
        r = load_kernel(&loader, &kernel, &compression);
    if (r == 0)
        r = write_command_line(&loader, &kernel);
    if (r == 0)
        r = load_initrd(&loader, &kernel, &handover);
    if (r < 0)
        return r;
    if (kernel.protocol == BOOT_PVH)
        r = boot_setup_pvh(memory, layout, &handover);
    else
        r = boot_setup_linux64(memory, layout, &kernel, &handover);
    if (r < 0)
        return error_set(err, -r, "memory layout", BOOT_CANNOT_LOAD_KERNEL, NULL);

    *entry = (struct boot_entry){
        .protocol = kernel.protocol,
        .rip = gpa(kernel.entry),
        .boot_info = layout->boot_info,
        .page_tables = kernel.protocol == BOOT_LINUX64 ? layout->page_tables : gpa(0),
        .is_linux = kernel.is_linux,
        .format = format_name(&kernel, compression),
    };
    return 0;
}
