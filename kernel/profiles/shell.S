# Profile shell: what 003 ends with: a prompt, and programs that are run by name.
.include "lib/abi.inc"
.include "lib/page.inc"

.text

# profile_main(a0 = hart id, a1 = physical address of the device tree)
FUNCTION profile_main
    ENTER 2
    PA_TO_VA a0, a1, t0
    call device_tree_memory
    beqz a1, .Lno_memory
    mv s1, a0
    mv s2, a1
    call kernel_end_ppn
    add a1, s1, s2
    call frames_start
    la a0, heap_space
    li a1, HEAP_SIZE
    call heap_init
    li a0, 0
    call kernel_space_init
    call process_init
    li a0, REPLACEMENT
    li a1, STORE_PAGES
    call replacement_init
    la a0, line_hello
    call print_string
    la a0, name_shell
    call process_run
    bnez a0, .Lno_shell
    la a0, line_end
    call print_string
    LEAVE 2
.Lno_memory:
    la a0, message_no_memory
    call panic
.Lno_shell:
    la a0, message_shell
    call panic
END_FUNCTION profile_main

STRING line_hello, "ekernel: type the name of a program, or exit\n"
STRING line_end, "ekernel: the shell has ended\n"
STRING name_shell, "shell"
STRING message_no_memory, "the device tree names no memory"
STRING message_shell, "the shell cannot be run: no available frame to allocate"
