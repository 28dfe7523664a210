// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a program can start in an empty root directory: see program.h. No state.
 *
 * Spec: System V ABI, Object Files: the program header PT_INTERP names the dynamic linker.
 */
#include "jail/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/path.h"

#define PROGRAM_HEADERS_MAX 128u

static const char what[] = "not a program for a jail";

/* NULL, or why it cannot run where there is no other file. */
static const char *find_fault(int fd)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    if (pread_full(fd, &header, sizeof(header), 0) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF file, and its interpreter would not be in the jail";
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64 || (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return "it is not an x86-64 program";
    if (header.e_phentsize != sizeof(segment) || !header.e_phnum ||
        header.e_phnum > PROGRAM_HEADERS_MAX || header.e_phoff > INT64_MAX / 2)
        return "its program headers are damaged";
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (pread_full(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment)))
            return "its program headers are damaged";
        if (segment.p_type == PT_INTERP)
            return "it is dynamically linked, and its libraries would not be in the jail: link it "
                   "statically, or give husk itself";
    }
    return NULL;
}

static bool is_own(const struct stat *st)
{
    struct stat self;

    return stat("/proc/self/exe", &self) == 0 && path_same_file(&self, st);
}

static int check(const char *path, struct program *program, struct husk_error *err)
{
    const char *fault;
    struct stat st;

    if (fstat(program->fd, &st) < 0)
        return error_set(err, errno, path, what, NULL);
    if (!S_ISREG(st.st_mode))
        return error_set(err, EINVAL, path, what, "it is not a regular file");
    if (!(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return error_set(err, EACCES, path, what, "it is not executable");
    program->own = is_own(&st);
    fault = program->own ? NULL : find_fault(program->fd);
    return fault ? error_set(err, ENOEXEC, path, what, "%s", fault) : 0;
}

int program_open(const char *path, struct program *program, struct husk_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int ret;

    *program = (struct program){.fd = -1};
    if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..") ||
        strlen(name) >= sizeof(program->name))
        return error_set(err, EINVAL, path, what, "its path does not end with a file's name");
    snprintf(program->name, sizeof(program->name), "%s", name);
    /* A FIFO must not be waited for. */
    program->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (program->fd < 0)
        return error_set(err, errno, path, "cannot open the program", NULL);
    ret = check(path, program, err);
    if (ret)
        program_close(program);
    return ret;
}

void program_close(struct program *program)
{
    close_fd(&program->fd);
}
