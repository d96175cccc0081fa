/* switch.S - the switch for x86-64, System V ABI.
 *
 * A suspended stack, from its saved pointer upwards:
 *
 *      sp +  0   MXCSR (4 bytes)
 *      sp +  4   x87 control word (2 bytes, 2 unused)
 *      sp +  8   errno (4 bytes, 4 unused)
 *      sp + 16   r15
 *      sp + 24   r14
 *      sp + 32   r13
 *      sp + 40   r12
 *      sp + 48   rbx
 *      sp + 56   rbp
 *      sp + 64   return address of the call that suspended
 *
 * How it returns: the processor predicts a ret by the last call. If the resumed coroutine was suspended by
 * the same call instruction as the one that leaves, ret is predicted rightly; if not, ret would always be
 * wrong, and an indirect jump is predicted by history instead. r8 carries the leaver's return address.
 */

        .text

        .macro save_all
        movq    (%rsp), %r8
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $16, %rsp
        .cfi_adjust_cfa_offset 16
        movl    (%rcx), %eax
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    %eax, 8(%rsp)
        movq    %rsp, (%rdi)
        .endm

/* intptr_t switch_to(void **save_sp rdi, void *load_sp rsi, intptr_t value rdx, int *errno_at rcx) */
        .globl  switch_to
        .hidden switch_to
        .type   switch_to, @function
        .p2align 6
switch_to:
        .cfi_startproc
        endbr64
        save_all
        movq    %rsi, %rsp

        /* A debugger that sets rsp to a saved pointer and rip to here sees that coroutine's frames. */
        .globl  switch_resume
        .hidden switch_resume
switch_resume:
        movl    8(%rsp), %eax
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        movl    %eax, (%rcx)
        addq    $16, %rsp
        .cfi_adjust_cfa_offset -16
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        movq    %rdx, %rax
        cmpq    (%rsp), %r8
        jne     1f
        ret
1:      popq    %r8
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, r8
        jmpq    *%r8
        .cfi_endproc
        .size   switch_to, . - switch_to

/* intptr_t switch_start(void **save_sp rdi, void *stack_top rsi, struct coro *fresh rdx, int *errno_at rcx)
 *
 * On the new stack the callee-saved registers are ours: r12 keeps the errno pointer, r14 the starter's
 * return address, and the function that it enters lies at the top, see coro_entry(). Body and exit are called and return, so that the processor's return stack stays right. */
        .globl  switch_start
        .hidden switch_start
        .type   switch_start, @function
        .p2align 6
switch_start:
        .cfi_startproc
        .cfi_personality 0x1b, coro_unwound     /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
        endbr64
        save_all
        movq    %rcx, %r12
        movq    %r8, %r14
        leaq    -16(%rsi), %rsp
        xorl    %ebp, %ebp
        .cfi_def_cfa rsp, 0
        .cfi_undefined rip
2:      movq    24(%rdx), %rax
        ldmxcsr start_mxcsr(%rip)
        fldcw   start_x87(%rip)
        movq    %rax, (%rsp)
        movl    $0, (%r12)
        movq    %rdx, %rdi
        call    coro_body
        movq    %rax, %rdi
        call    coro_exit
        testq   %rax, %rax
        jz      2b
        movq    %r12, %rcx
        movq    %r14, %r8
        movq    %rax, %rsp
        jmp     switch_resume
        .cfi_endproc
        .size   switch_start, . - switch_start

/* What a task starts with: the ABI's defaults, all exceptions masked, round to nearest. */
        .section .rodata
        .p2align 2
start_mxcsr:
        .long   0x1f80
start_x87:
        .short  0x037f

        .section .note.GNU-stack, "", @progbits
