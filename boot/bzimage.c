// SPDX-License-Identifier: Apache-2.0
/*
 * Linux bzImage (Documentation/arch/x86/boot.rst): the protected-mode part is loaded where the
 * setup header wants it and entered in 64-bit mode, 0x200 behind its start.
 *
 * The setup header is read once into kernel->setup_header, checked there, and goes from there into
 * the zero page.
 */
#include "boot/internal.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"

/* Offsets in the file (boot.rst, "The Real-Mode Kernel Header"). */
enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    HEADER_END = 0x201, /* the header ends this many bytes behind 0x202 */
    VERSION = 0x206,
    INITRD_ADDR_MAX = 0x22c,
    KERNEL_ALIGNMENT = 0x230,
    RELOCATABLE_KERNEL = 0x234,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
};

#define SECTOR_BYTES         512u
#define VERSION_WITH_XLOAD   0x020cu /* 2.12 */
#define XLF_KERNEL_64        0x0001u
#define ENTRY_64             0x200u
#define HEADER_BYTES_MIN     (0x264u - SETUP_HEADER_OFFSET) /* up to init_size */
#define KERNEL_ALIGNMENT_MAX (1u << 30)

struct bzimage {
    uint64_t payload_offset;
    uint64_t payload_bytes;
    uint64_t run_bytes; /* memory needed from the load address until the kernel has its own map */
    uint64_t preferred_address;
    uint64_t alignment;
    bool relocatable;
};

static const uint8_t *field(const struct boot_kernel *kernel, unsigned offset)
{
    return kernel->setup_header + (offset - SETUP_HEADER_OFFSET);
}

static int read_setup_header(struct boot_loader *loader, const struct boot_image *image,
                             struct boot_kernel *kernel)
{
    unsigned version;
    int r = boot_image_read(image, SETUP_HEADER_OFFSET, kernel->setup_header,
                            sizeof(kernel->setup_header));

    if (r == -ENODATA)
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the bzImage is truncated inside its setup header");
    if (r < 0)
        return error_set(loader->err, -r, image->name, BOOT_CANNOT_LOAD_KERNEL, NULL);

    version = get_le16(field(kernel, VERSION));
    if (version < VERSION_WITH_XLOAD)
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "its boot protocol is %u.%02u, 2.12 (Linux 3.8) or later is needed",
                         version >> 8, version & 0xff);
    if (!(get_le16(field(kernel, XLOADFLAGS)) & XLF_KERNEL_64))
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the bzImage has no 64-bit entry: it is a 32-bit kernel");

    kernel->setup_header_bytes = HEADER_END + 1 + *field(kernel, HEADER_END) - SETUP_HEADER_OFFSET;
    if (kernel->setup_header_bytes < HEADER_BYTES_MIN)
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the bzImage's setup header is corrupt (its length)");
    /* A later protocol's longer header: the zero page has room for this much. */
    if (kernel->setup_header_bytes > SETUP_HEADER_MAX_BYTES)
        kernel->setup_header_bytes = SETUP_HEADER_MAX_BYTES;
    return 0;
}

static int check_sizes(struct boot_loader *loader, const struct boot_image *image,
                       const struct boot_kernel *kernel, struct bzimage *bz)
{
    unsigned setup_sectors = *field(kernel, SETUP_SECTS);
    uint64_t end;

    /* boot.rst: "For backwards compatibility, if the setup_sects field contains 0, the real value
     * is 4." One more sector is the boot sector. */
    bz->payload_offset = ((setup_sectors ? setup_sectors : 4) + 1) * SECTOR_BYTES;
    bz->payload_bytes = (uint64_t)get_le32(field(kernel, SYSSIZE)) * 16;
    bz->run_bytes = max_u64(get_le32(field(kernel, INIT_SIZE)), bz->payload_bytes);
    bz->preferred_address = get_le64(field(kernel, PREF_ADDRESS));
    bz->alignment = get_le32(field(kernel, KERNEL_ALIGNMENT));
    bz->relocatable = *field(kernel, RELOCATABLE_KERNEL) != 0;

    end = bz->payload_offset + bz->payload_bytes;
    if (end > image->size)
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the bzImage is truncated: it should have %llu bytes, the file has %llu",
                         (unsigned long long)end, (unsigned long long)image->size);
    if (bz->payload_bytes <= ENTRY_64)
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the bzImage has no kernel behind its setup part");
    if (bz->relocatable && (bz->alignment == 0 || (bz->alignment & (bz->alignment - 1)) != 0 ||
                            bz->alignment > KERNEL_ALIGNMENT_MAX))
        return error_set(loader->err, ENOEXEC, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the bzImage's alignment 0x%llx is not a power of two",
                         (unsigned long long)bz->alignment);
    return 0;
}

/*
 * Where to load. A relocatable kernel that is loaded below its preferred address moves itself up to
 * it (arch/x86/boot/compressed/head_64.S, LOAD_PHYSICAL_ADDR), one that is not relocatable always
 * runs there: so the preferred address is also the lowest useful one.
 */
static uint64_t choose_address(const struct boot_loader *loader, const struct bzimage *bz)
{
    uint64_t lowest = max_u64(bz->preferred_address, loader->options->layout.kernel_min.value);
    uint64_t address = bz->preferred_address;

    if (bz->relocatable &&
        !boot_placement_lowest(&loader->placement, lowest, bz->alignment, bz->run_bytes, &address))
        address = lowest;
    return address;
}

int boot_load_bzimage(struct boot_loader *loader, const struct boot_image *image,
                      struct boot_kernel *kernel)
{
    struct bzimage bz = {0};
    uint64_t address;
    int r = read_setup_header(loader, image, kernel);

    if (r == 0)
        r = check_sizes(loader, image, kernel, &bz);
    if (r < 0)
        return r;
    address = choose_address(loader, &bz);
    r = boot_claim_kernel(loader, image, address, bz.run_bytes);
    if (r < 0)
        return r;
    if (address + ENTRY_64 >= FOUR_GIB)
        return error_set(loader->err, ENOMEM, image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "there is no room for it below 4 GiB");
    r = boot_place_kernel(loader, image, bz.payload_offset, address, bz.payload_bytes);
    if (r < 0)
        return r;

    kernel->protocol = BOOT_LINUX64;
    kernel->is_bzimage = true;
    kernel->is_linux = true;
    kernel->entry = address + ENTRY_64;
    kernel->initrd_limit = (uint64_t)get_le32(field(kernel, INITRD_ADDR_MAX)) + 1;
    kernel->command_line_max = get_le32(field(kernel, CMDLINE_SIZE));
    return 0;
}
