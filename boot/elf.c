// SPDX-License-Identifier: Apache-2.0
/*
 * ELF64 kernels for x86-64 (System V gABI; xen/include/public/elfnote.h): vmlinux and bare-metal
 * guests.
 *
 * The entry is the physical address in the Xen note PHYS32_ENTRY (PVH), else e_entry by the 64-bit
 * Linux boot protocol. PT_LOAD segments go to their physical addresses; what a segment has in
 * memory but not in the file is left as it is: zero.
 *
 * Every header field is untrusted: it is checked against the image's size, and each segment claims
 * its range of guest memory before anything is written.
 */
#include "boot/internal.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"

#define SEGMENTS_MAX 64u
#define NOTES_MAX    4096u /* notes looked at, over all segments */

#define XEN_ELFNOTE_PHYS32_ENTRY 18u

struct segment {
    uint64_t offset;
    uint64_t file_bytes;
    uint64_t address; /* physical */
    uint64_t virtual_address;
    uint64_t memory_bytes;
};

struct elf {
    const struct boot_image *image;
    struct husk_error *err;
    uint16_t type;
    uint64_t entry;
    uint64_t headers_offset;
    uint16_t header_count;
    struct segment segments[SEGMENTS_MAX]; /* PT_LOAD with memory, in file order */
    unsigned segment_count;
    bool has_interpreter;
    bool is_linux; /* there is a note by "Linux" */
    bool has_pvh_entry;
    uint64_t pvh_entry;
    unsigned notes_seen;
};

static const char *machine_name(uint16_t machine)
{
    switch (machine) {
    case EM_386:
        return "i386";
    case EM_ARM:
        return "arm";
    case EM_AARCH64:
        return "aarch64";
    case EM_RISCV:
        return "riscv";
    case EM_PPC:
    case EM_PPC64:
        return "powerpc";
    case EM_S390:
        return "s390x";
    case EM_MIPS:
        return "mips";
    case EM_SPARC:
    case EM_SPARCV9:
        return "sparc";
    case EM_IA_64:
        return "ia64";
    case 258: /* EM_LOONGARCH */
        return "loongarch";
    case EM_X86_64:
        return "x86-64";
    default:
        return "an unknown machine";
    }
}

static int not_loadable(const struct elf *elf, const char *why)
{
    return error_set(elf->err, ENOEXEC, elf->image->name, BOOT_CANNOT_LOAD_KERNEL, "%s", why);
}

static int read_failed(const struct elf *elf, int r, const char *part)
{
    if (r != -ENODATA)
        return error_set(elf->err, -r, elf->image->name, BOOT_CANNOT_LOAD_KERNEL, NULL);
    return error_set(
        elf->err, ENOEXEC, elf->image->name, BOOT_CANNOT_LOAD_KERNEL,
        "the ELF file is truncated: its %s would end behind the end of the file (%llu bytes)", part,
        (unsigned long long)elf->image->size);
}

/* Whether this is a little-endian 64-bit x86 ELF file that can be a kernel. */
static int check_identity(struct elf *elf, const uint8_t *header)
{
    bool big_endian = header[EI_DATA] == ELFDATA2MSB;
    uint16_t machine = get_le16(header + offsetof(Elf64_Ehdr, e_machine));

    if (big_endian)
        machine = __builtin_bswap16(machine);
    if (big_endian || (machine != EM_X86_64 && machine != EM_386))
        return error_set(elf->err, ENOEXEC, elf->image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "it is a%s ELF file for %s, not for x86-64",
                         big_endian ? " big-endian" : "n", machine_name(machine));
    if (header[EI_CLASS] != ELFCLASS64 || machine != EM_X86_64)
        return not_loadable(elf, "it is a 32-bit ELF file; a 64-bit x86 kernel is needed");
    if (header[EI_DATA] != ELFDATA2LSB)
        return not_loadable(elf, "its ELF header is corrupt (byte order)");

    elf->type = get_le16(header + offsetof(Elf64_Ehdr, e_type));
    if (elf->type == ET_REL)
        return not_loadable(elf, "it is an ELF object file, not linked to a kernel");
    if (elf->type == ET_CORE)
        return not_loadable(elf, "it is a core dump, not a kernel");
    if (elf->type != ET_EXEC && elf->type != ET_DYN)
        return not_loadable(elf, "its ELF type is unknown");
    return 0;
}

static int read_header(struct elf *elf)
{
    uint8_t header[sizeof(Elf64_Ehdr)];
    int r = boot_image_read(elf->image, 0, header, sizeof(header));

    if (r < 0)
        return read_failed(elf, r, "ELF header");
    r = check_identity(elf, header);
    if (r < 0)
        return r;

    elf->entry = get_le64(header + offsetof(Elf64_Ehdr, e_entry));
    elf->headers_offset = get_le64(header + offsetof(Elf64_Ehdr, e_phoff));
    elf->header_count = get_le16(header + offsetof(Elf64_Ehdr, e_phnum));
    if (elf->header_count == 0)
        return not_loadable(elf, "the ELF file has no program headers");
    if (get_le16(header + offsetof(Elf64_Ehdr, e_phentsize)) != sizeof(Elf64_Phdr) ||
        elf->header_count > SEGMENTS_MAX)
        return error_set(elf->err, ENOEXEC, elf->image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "its ELF program headers are corrupt or more than %u", SEGMENTS_MAX);
    return 0;
}

/*
 * Walk the notes of one PT_NOTE segment. Names and descriptors are padded to `align` bytes. A
 * malformed note ends the walk: notes are hints, and a kernel without a usable one is refused
 * later.
 */
static int read_notes(struct elf *elf, uint64_t offset, uint64_t size, uint64_t align)
{
    uint64_t at = 0;

    while (size - at >= sizeof(Elf64_Nhdr) && elf->notes_seen++ < NOTES_MAX) {
        uint8_t header[sizeof(Elf64_Nhdr)];
        uint8_t name[6] = {0};
        uint8_t desc[8] = {0};
        uint32_t name_bytes, desc_bytes, type;
        uint64_t desc_at, next;
        int r = boot_image_read(elf->image, offset + at, header, sizeof(header));

        if (r < 0)
            return r;
        name_bytes = get_le32(header + offsetof(Elf64_Nhdr, n_namesz));
        desc_bytes = get_le32(header + offsetof(Elf64_Nhdr, n_descsz));
        type = get_le32(header + offsetof(Elf64_Nhdr, n_type));
        /* 32-bit sizes after an offset below the image's size: the sums cannot wrap. */
        desc_at = (at + sizeof(header) + name_bytes + align - 1) & ~(align - 1);
        next = (desc_at + desc_bytes + align - 1) & ~(align - 1);
        if (desc_at + desc_bytes > size)
            return 0;

        r = boot_image_read(elf->image, offset + at + sizeof(header), name,
                            min_u64(name_bytes, sizeof(name)));
        if (r < 0)
            return r;
        if (name_bytes == sizeof("Linux") && !memcmp(name, "Linux", sizeof("Linux")))
            elf->is_linux = true;
        if (name_bytes == sizeof("Xen") && !memcmp(name, "Xen", sizeof("Xen")) &&
            type == XEN_ELFNOTE_PHYS32_ENTRY && (desc_bytes == 4 || desc_bytes == 8)) {
            r = boot_image_read(elf->image, offset + desc_at, desc, desc_bytes);
            if (r < 0)
                return r;
            elf->has_pvh_entry = true;
            elf->pvh_entry = get_le64(desc);
        }
        if (next > size)
            return 0;
        at = next;
    }
    return 0;
}

static int add_note_segment(struct elf *elf, uint64_t offset, uint64_t size, uint64_t align)
{
    int r = read_notes(elf, offset, size, align == 8 ? 8 : 4);

    /* Linkers also put notes padded to 4 into segments aligned to 8. */
    if (r == 0 && align == 8 && !elf->has_pvh_entry)
        r = read_notes(elf, offset, size, 4);
    if (r < 0)
        return read_failed(elf, r, "notes");
    return 0;
}

static int add_load_segment(struct elf *elf, const struct segment *segment)
{
    if (segment->file_bytes > segment->memory_bytes)
        return not_loadable(elf, "an ELF segment is larger in the file than in memory");
    if (segment->memory_bytes > 0)
        elf->segments[elf->segment_count++] = *segment;
    return 0;
}

static int read_program_headers(struct elf *elf)
{
    for (unsigned i = 0; i < elf->header_count; i++) {
        uint8_t header[sizeof(Elf64_Phdr)];
        struct segment segment;
        uint64_t at, end;
        uint32_t type;
        int r = 0;

        if (!checked_add(elf->headers_offset, i * sizeof(header), &at))
            return read_failed(elf, -ENODATA, "program headers");
        r = boot_image_read(elf->image, at, header, sizeof(header));
        if (r < 0)
            return read_failed(elf, r, "program headers");
        type = get_le32(header + offsetof(Elf64_Phdr, p_type));
        segment = (struct segment){
            .offset = get_le64(header + offsetof(Elf64_Phdr, p_offset)),
            .file_bytes = get_le64(header + offsetof(Elf64_Phdr, p_filesz)),
            .address = get_le64(header + offsetof(Elf64_Phdr, p_paddr)),
            .virtual_address = get_le64(header + offsetof(Elf64_Phdr, p_vaddr)),
            .memory_bytes = get_le64(header + offsetof(Elf64_Phdr, p_memsz)),
        };
        if (type == PT_INTERP)
            elf->has_interpreter = true;
        if (type != PT_LOAD && type != PT_NOTE)
            continue;
        if (!checked_add(segment.offset, segment.file_bytes, &end) || end > elf->image->size)
            return read_failed(elf, -ENODATA, "segments");
        if (type == PT_LOAD)
            r = add_load_segment(elf, &segment);
        else
            r = add_note_segment(elf, segment.offset, segment.file_bytes,
                                 get_le64(header + offsetof(Elf64_Phdr, p_align)));
        if (r < 0)
            return r;
    }
    if (elf->segment_count == 0)
        return not_loadable(elf, "the ELF file has nothing to load");
    return 0;
}

/* Whether code from the file lies at this physical address. */
static bool is_code(const struct elf *elf, uint64_t address)
{
    for (unsigned i = 0; i < elf->segment_count; i++) {
        if (address - elf->segments[i].address < elf->segments[i].file_bytes)
            return true;
    }
    return false;
}

/* e_entry is physical in vmlinux, virtual in what an ordinary linker script gives. */
static bool physical_entry(const struct elf *elf, uint64_t *entry)
{
    if (is_code(elf, elf->entry)) {
        *entry = elf->entry;
        return true;
    }
    for (unsigned i = 0; i < elf->segment_count; i++) {
        const struct segment *segment = &elf->segments[i];
        uint64_t offset = elf->entry - segment->virtual_address;

        if (offset < segment->file_bytes)
            return checked_add(segment->address, offset, entry);
    }
    return false;
}

static int choose_entry(const struct elf *elf, struct boot_kernel *kernel)
{
    kernel->is_linux = elf->is_linux;
    if (elf->has_pvh_entry) {
        kernel->protocol = BOOT_PVH;
        kernel->entry = elf->pvh_entry;
        if (!is_code(elf, kernel->entry) || kernel->entry >= FOUR_GIB)
            return error_set(elf->err, ENOEXEC, elf->image->name, BOOT_CANNOT_LOAD_KERNEL,
                             "its PVH entry 0x%llx is not inside a segment below 4 GiB",
                             (unsigned long long)kernel->entry);
        return 0;
    }
    if (elf->has_interpreter || elf->type == ET_DYN)
        return not_loadable(elf, "it is a user-space program or library, not a kernel (an ELF "
                                 "file without PVH note that needs relocation)");
    kernel->protocol = BOOT_LINUX64;
    if (!physical_entry(elf, &kernel->entry) || kernel->entry >= FOUR_GIB)
        return error_set(elf->err, ENOEXEC, elf->image->name, BOOT_CANNOT_LOAD_KERNEL,
                         "the ELF file has no PVH note, and its entry 0x%llx is not inside a "
                         "segment below 4 GiB",
                         (unsigned long long)elf->entry);
    return 0;
}

/* The topmost segment first: if that one does not fit, the message says what would be enough. */
static int claim_segments(struct boot_loader *loader, const struct elf *elf)
{
    unsigned top = 0;
    int r;

    for (unsigned i = 1; i < elf->segment_count; i++) {
        if (elf->segments[i].address > elf->segments[top].address)
            top = i;
    }
    r = boot_claim_kernel(loader, elf->image, elf->segments[top].address,
                          elf->segments[top].memory_bytes);
    for (unsigned i = 0; r == 0 && i < elf->segment_count; i++) {
        if (i != top)
            r = boot_claim_kernel(loader, elf->image, elf->segments[i].address,
                                  elf->segments[i].memory_bytes);
    }
    return r;
}

int boot_load_elf(struct boot_loader *loader, const struct boot_image *image,
                  struct boot_kernel *kernel)
{
    struct elf elf = {.image = image, .err = loader->err};
    int r = read_header(&elf);

    if (r == 0)
        r = read_program_headers(&elf);
    if (r == 0)
        r = choose_entry(&elf, kernel);
    if (r == 0)
        r = claim_segments(loader, &elf);
    for (unsigned i = 0; r == 0 && i < elf.segment_count; i++)
        r = boot_place_kernel(loader, image, elf.segments[i].offset, elf.segments[i].address,
                              elf.segments[i].file_bytes);
    /* COMMAND_LINE_SIZE of Linux on x86 (arch/x86/include/asm/setup.h), which cuts silently. */
    if (kernel->is_linux)
        kernel->command_line_max = 2047;
    return r;
}
