# Sections that the scripts of kernels and their firmware name.
    .section trampsec, "ax"
    .globl trampoline_page
    .balign 4
trampoline_page: csrr a0, sscratch
    ret
    .section .isr_vector, "ax"
    .balign 4
    j trampoline_page
    .section .init.text, "ax"
    .globl start_kernel
    .type start_kernel, @function
start_kernel: la a0, boot_data
    ret
    .size start_kernel, . - start_kernel
    .section .exit.text, "ax"
    ret
    .section .text.hot, "ax"
    nop
    .section .ramfunc, "ax"
    .balign 8
    .globl ramfunc
ramfunc: ret
    .section .init.data, "aw"
boot_data: .word 1, 2
    .section .init.bss, "aw", @nobits
    .space 12
    .section .data..percpu, "aw"
    .balign 64
    .globl cpu_number
cpu_number: .dword -1
    .section .data..percpu..first, "aw"
    .dword 5
    .section .data..init_task, "aw"
    .balign 16
init_stack: .space 48
    .section .data..read_mostly, "aw"
    .byte 1
    .section .data..page_aligned, "aw"
    .balign 256
    .word 3
    .section .bss..page_aligned, "aw", @nobits
    .balign 512
    .space 512
    .section .altinstructions, "a"
    .word 0
    .section .u_boot_list_2_cmd_2_run, "aw"
    .dword ramfunc
    .section .u_boot_list_2_cmd_2_boot, "aw"
    .dword ramfunc
    .section .u_boot_list_2_cmd_1, "aw"
    .section .z_init_EARLY_P_1_sub_0, "a"
    .dword 1
    .section .z_init_EARLY_P_10_sub_0, "a"
    .dword 10
    .section .z_init_EARLY_P_2_sub_0, "a"
    .dword 2
    .section .initcall3.init, "a"
    .dword start_kernel
    .section .initcall0.init, "a"
    .dword ramfunc
    .section .irq_info, "aw"
    .word 4, 5
    .section .preinit_array, "aw", @preinit_array
    .dword ramfunc
    .section .attributes, "", @progbits
    .ascii "app"
    .section .storage, "a"
    .byte 7
    .section .bss.stack, "aw", @nobits
    .balign 16
    .space 64
    .section .got, "aw"
    .dword start_kernel
    .section .vectors.late, "ax"
    .balign 256
    j ramfunc
