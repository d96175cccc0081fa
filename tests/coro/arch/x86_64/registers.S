/* registers.S - fills the callee-saved registers, calls, and counts those that have changed. */

/* int registers_kept(void (*fn)(void) rdi, uint64_t seed rsi) */
        .text
        .globl  registers_kept
        .type   registers_kept, @function
registers_kept:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        leaq    1(%rsi), %rbx
        leaq    2(%rsi), %rbp
        leaq    3(%rsi), %r12
        leaq    4(%rsi), %r13
        leaq    5(%rsi), %r14
        leaq    6(%rsi), %r15
        call    *%rdi
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        xorl    %eax, %eax
        .macro  compare register, n
        leaq    \n(%rsi), %rcx
        cmpq    %rcx, \register
        setne   %cl
        movzbl  %cl, %ecx
        addl    %ecx, %eax
        .endm
        compare %rbx, 1
        compare %rbp, 2
        compare %r12, 3
        compare %r13, 4
        compare %r14, 5
        compare %r15, 6
        popq    %r15
        .cfi_adjust_cfa_offset -8
        popq    %r14
        .cfi_adjust_cfa_offset -8
        popq    %r13
        .cfi_adjust_cfa_offset -8
        popq    %r12
        .cfi_adjust_cfa_offset -8
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   registers_kept, . - registers_kept

        .section .note.GNU-stack, "", @progbits
