/* registers.S - fills the callee-saved registers, calls, and counts those that have changed. */

        .macro  each_general do
        \do x19, 1
        \do x20, 2
        \do x21, 3
        \do x22, 4
        \do x23, 5
        \do x24, 6
        \do x25, 7
        \do x26, 8
        \do x27, 9
        \do x28, 10
        .endm

        .macro  each_vector do
        \do d8, 11
        \do d9, 12
        \do d10, 13
        \do d11, 14
        \do d12, 15
        \do d13, 16
        \do d14, 17
        \do d15, 18
        .endm

        .macro  fill register, n
        add     \register, x1, #\n
        .endm

        .macro  fill_vector register, n
        add     x9, x1, #\n
        fmov    \register, x9
        .endm

        .macro  compare register, n
        add     x9, x1, #\n
        cmp     \register, x9
        cinc    w10, w10, ne
        .endm

        .macro  compare_vector register, n
        fmov    x11, \register
        compare x11, \n
        .endm

/* int registers_kept(void (*fn)(void) x0, uint64_t seed x1) */
        .text
        .globl  registers_kept
        .type   registers_kept, %function
registers_kept:
        .cfi_startproc
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp     x29, x30, [sp, #0]
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        str     x1, [sp, #160]
        each_general fill
        each_vector fill_vector
        blr     x0
        ldr     x1, [sp, #160]
        mov     w10, wzr
        each_general compare
        each_vector compare_vector
        mov     w0, w10
        ldp     x29, x30, [sp, #0]
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #176
        .cfi_adjust_cfa_offset -176
        ret
        .cfi_endproc
        .size   registers_kept, . - registers_kept

        .section .note.GNU-stack, "", %progbits
