/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the PVH entry (32-bit protected mode, paging off, %ebx = start info) to C in 64-bit mode, with
 * the first 4 GiB mapped to themselves; the same for the other processors, from real mode; and the
 * interrupt stubs.
 */
    .section .note.pvh, "a", @note
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

#define CODE64 0x08
#define DATA   0x10
#define CODE32 0x18

/* Long mode on: %cr4.PAE, page tables, EFER.LME, %cr0.PG. Clobbers %eax, %ecx, %edx. */
.macro enter_long_mode target
    mov $pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    ljmp $CODE64, $\target
.endm

.macro load_data_segments
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %fs
    mov %eax, %gs
    mov %eax, %ss
.endm

    .section .text.start, "ax"
    .code32
    .globl start32
start32:
    mov %ebx, start_info
    lgdt gdt_pointer
    enter_long_mode start64
    .code64
start64:
    load_data_segments
    mov $stack_top, %esp
    mov start_info, %edi
    call guest_start
1:  hlt
    jmp 1b

/* ---- the other processors ---- */

    .code16
    .globl ap_start, ap_start_end
ap_start: /* copied to a page below 1 MiB; %cs is that page */
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl ap_gdt_pointer - ap_start
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $CODE32, $ap_start32
ap_gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
ap_start_end:

    .code32
ap_start32:
    load_data_segments
    enter_long_mode ap_start64
    .code64
ap_start64:
    load_data_segments
    mov $1, %edi
    lock xadd %edi, ap_count
    mov %edi, %esp
    shl $12, %esp
    add $(ap_stacks + 4096), %esp
    .weak ap_main /* only a guest that starts other processors has one */
    call ap_main  /* with this processor's number, from 0 */
1:  hlt
    jmp 1b

/* ---- interrupts ---- */

interrupt_common:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    mov 72(%rsp), %rdi /* vector */
    mov 80(%rsp), %rsi /* error code */
    mov 88(%rsp), %rdx /* rip */
    call interrupt_dispatch
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

/* 16 bytes each. Exceptions 8, 10 to 14, 17, 21, 29 and 30 push an error code themselves. */
.macro stub vector
    .align 16
    .if \vector != 8 && (\vector < 10 || \vector > 14) && \vector != 17 && \vector != 21 && \vector != 29 && \vector != 30
    push $0
    .endif
    push $\vector
    jmp interrupt_common
.endm

    .align 16
    .globl interrupt_stubs
interrupt_stubs:
    .irp v, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    stub \v
    .endr
    .irp v, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63
    stub \v
    .endr

    .globl load_idt
load_idt: /* %rdi: pointer to limit and base */
    lidt (%rdi)
    ret

/* ---- data ---- */

    .section .data
    .align 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* 64-bit code */
    .quad 0x00cf92000000ffff /* data */
    .quad 0x00cf9a000000ffff /* 32-bit code */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
    .align 4
start_info:
    .long 0
    .globl ap_count
ap_count:
    .long 0

/* Pages of 2 MiB, written out here so that no instruction is spent on them. */
    .align 4096
pml4:
    .quad pdpt + 3
    .fill 511, 8, 0
pdpt:
    .quad page_directories + 3
    .quad page_directories + 0x1003
    .quad page_directories + 0x2003
    .quad page_directories + 0x3003
    .fill 508, 8, 0
page_directories:
    .set address, 0x83 /* present, writable, large */
    .rept 2048
    .quad address
    .set address, address + 0x200000
    .endr

    .section .bss
    .align 4096
    .fill 16384
stack_top:
    .globl ap_stacks
ap_stacks:
    .fill 4096 * 16

    .section .note.GNU-stack, "", @progbits
