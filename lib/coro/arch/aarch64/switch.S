/* switch.S - the switch for AArch64, AAPCS64.
 *
 * A suspended stack, from its saved pointer upwards:
 *
 *      sp +   0  x19 x20
 *      sp +  16  x21 x22
 *      sp +  32  x23 x24
 *      sp +  48  x25 x26
 *      sp +  64  x27 x28
 *      sp +  80  x29 (frame), x30 (return address of the call that suspended)
 *      sp +  96  d8  d9
 *      sp + 112  d10 d11
 *      sp + 128  d12 d13
 *      sp + 144  d14 d15
 *      sp + 160  FPCR (8 bytes), errno (4 bytes, 4 unused)
 *
 * FPSR holds sticky status and is not part of it.
 */

        .text

        .macro save_all
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp     x19, x20, [sp, #0]
        .cfi_rel_offset x19, 0
        .cfi_rel_offset x20, 8
        stp     x21, x22, [sp, #16]
        .cfi_rel_offset x21, 16
        .cfi_rel_offset x22, 24
        stp     x23, x24, [sp, #32]
        .cfi_rel_offset x23, 32
        .cfi_rel_offset x24, 40
        stp     x25, x26, [sp, #48]
        .cfi_rel_offset x25, 48
        .cfi_rel_offset x26, 56
        stp     x27, x28, [sp, #64]
        .cfi_rel_offset x27, 64
        .cfi_rel_offset x28, 72
        stp     x29, x30, [sp, #80]
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        stp     d8, d9, [sp, #96]
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        stp     d10, d11, [sp, #112]
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        stp     d12, d13, [sp, #128]
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        stp     d14, d15, [sp, #144]
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        mrs     x9, fpcr
        ldr     w10, [x3]
        str     x9, [sp, #160]
        str     w10, [sp, #168]
        mov     x9, sp
        str     x9, [x0]
        .endm

/* intptr_t switch_to(void **save_sp x0, void *load_sp x1, intptr_t value x2, int *errno_at x3) */
        .globl  switch_to
        .hidden switch_to
        .type   switch_to, %function
        .p2align 6
switch_to:
        .cfi_startproc
        hint    #34
        save_all
        mov     sp, x1

        /* A debugger that sets sp to a saved pointer and pc to here sees that coroutine's frames. */
        .globl  switch_resume
        .hidden switch_resume
switch_resume:
        ldr     x9, [sp, #160]
        ldr     w10, [sp, #168]
        msr     fpcr, x9
        str     w10, [x3]
        ldp     x19, x20, [sp, #0]
        ldp     x21, x22, [sp, #16]
        ldp     x23, x24, [sp, #32]
        ldp     x25, x26, [sp, #48]
        ldp     x27, x28, [sp, #64]
        ldp     x29, x30, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        add     sp, sp, #176
        .cfi_def_cfa_offset 0
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore x29
        .cfi_restore x30
        .cfi_restore d8
        .cfi_restore d9
        .cfi_restore d10
        .cfi_restore d11
        .cfi_restore d12
        .cfi_restore d13
        .cfi_restore d14
        .cfi_restore d15
        mov     x0, x2
        ret
        .cfi_endproc
        .size   switch_to, . - switch_to

/* intptr_t switch_start(void **save_sp x0, void *stack_top x1, struct coro *fresh x2, int *errno_at x3)
 *
 * On the new stack the callee-saved registers are ours: x19 keeps the errno pointer. The function that it
 * enters lies at the top, see coro_entry(). */
        .globl  switch_start
        .hidden switch_start
        .type   switch_start, %function
        .p2align 6
switch_start:
        .cfi_startproc
        .cfi_personality 0x1b, coro_unwound     /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
        hint    #34
        save_all
        mov     x19, x3
        sub     sp, x1, #16
        mov     x29, xzr
        .cfi_def_cfa sp, 0
        .cfi_undefined x30
1:      ldr     x9, [x2, #24]
        msr     fpcr, xzr
        str     x9, [sp]
        str     wzr, [x19]
        mov     x0, x2
        bl      coro_body
        bl      coro_exit
        mov     x2, x1
        cbz     x0, 1b
        mov     x3, x19
        mov     sp, x0
        b       switch_resume
        .cfi_endproc
        .size   switch_start, . - switch_start

        .section .note.GNU-stack, "", %progbits
