/* bare.c - linked into a program without the compiler's start files, and so without any constructor. */
int main(int argc, char **argv);
int __libc_start_main(int (*start)(int, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
_Noreturn void start_bare(long *stack);

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start_bare\n hlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n bl start_bare\n brk #1\n");
#endif

_Noreturn void start_bare(long *stack)
{
        __libc_start_main(main, (int)stack[0], (char **)(stack + 1), 0, 0, 0, stack);
        __builtin_trap();
}
