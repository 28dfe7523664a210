/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest guest: says one byte on COM1 and ends the machine with the digit of "status=N", which
 * must be the last word of the command line (no such word: 0). 32-bit protected mode, no stack.
 */
    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .section .text.start, "ax"
    .code32
    .globl start32
start32:
    mov $0x3f8, %dx
    mov $'.', %al
    out %al, (%dx)
    mov 24(%ebx), %edi /* cmdline_paddr of the start info */
    xor %eax, %eax
    mov $4096, %ecx
    repne scasb /* %edi: behind the terminating NUL */
    cmpl $0x74617473, -9(%edi) /* "stat" */
    jne 1f
    cmpw $0x7375, -5(%edi) /* "us" */
    jne 1f
    movb -2(%edi), %al
    sub $'0', %al
1:  out %al, $0xf4
2:  hlt
    jmp 2b

    .section .note.GNU-stack, "", @progbits
