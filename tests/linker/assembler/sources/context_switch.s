# Part of a kernel as people write it: constants, macros, a trap vector, a context switch, tables, strings.
        .equ    PAGE_SHIFT, 12
        .equ    PAGE_SIZE, 1 << PAGE_SHIFT
        .equ    FRAME_SIZE, 34 * 8
        .set    STACK_PAGES, 4
        UART = 0x10000000

        .macro  SAVE n
        sd      x\n, \n * 8(sp)
        .endm

        .macro  RESTORE n
        ld      x\n, \n * 8(sp)
        .endm


        .section .text.entry, "ax", @progbits
        .globl  _start
        .type   _start, @function
_start:
        csrw    sie, zero
        la      sp, boot_stack_top
        mv      s0, a0
        mv      s1, a1
        la      t0, sbss
        la      t1, ebss
1:      bgeu    t0, t1, 2f
        sd      zero, (t0)
        addi    t0, t0, 8
        j       1b
2:      la      t0, trap_vector
        csrw    stvec, t0
        li      t0, (1 << 1) | (1 << 5) | (1 << 9)
        csrs    sie, t0
        csrsi   sstatus, 1 << 1
        mv      a0, s0
        mv      a1, s1
        call    kernel_main
        tail    shutdown
        .size   _start, . - _start

        .text
        .balign 4
        .globl  trap_vector
trap_vector:
        csrrw   sp, sscratch, sp
        bnez    sp, 1f
        csrr    sp, sscratch
1:      addi    sp, sp, -FRAME_SIZE
        SAVE    1
        .set    n, 3
        .rept   29
        sd      x0, 0(sp)
        .set    n, n + 1
        .endr
        .irp    reg, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
        SAVE    \reg
        .endr
        csrr    t0, sstatus
        csrr    t1, sepc
        csrr    t2, scause
        csrr    t3, stval
        sd      t0, 32*8(sp)
        sd      t1, 33*8(sp)
        bltz    t2, interrupt
        li      t4, 8
        beq     t2, t4, syscall
        li      t4, 15
        bgtu    t2, t4, unknown
        slli    t2, t2, 2
        lla     t5, jump_table
        add     t5, t5, t2
        lw      t6, (t5)
        add     t6, t6, t5
        jr      t6
        .p2align 2
jump_table:
        .rept   12
        .word   unknown - jump_table
        .endr
        .word   fetch_fault - ., load_fault - ., unknown - ., store_fault - .

interrupt:
        slli    t2, t2, 1
        srli    t2, t2, 1
        addi    t4, t2, -5
        beqz    t4, timer
unknown:
        mv      a0, t2
        mv      a1, t3
        la      a2, unknown_message
        j       panic
fetch_fault:
load_fault:
store_fault:
        mv      a0, t3
        call    handle_page_fault
        bnez    a0, unknown
        j       trap_return
timer:
        rdtime  t0
        lui     t1, %hi(TICK)
        addi    t1, t1, %lo(TICK)
        add     a0, t0, t1
        li      a7, 0x54494D45
        li      a6, 0
        ecall
        call    schedule
        j       trap_return
syscall:
        ld      t1, 33*8(sp)
        addi    t1, t1, 4
        sd      t1, 33*8(sp)
        sltiu   t0, a7, 64 / 8
        beqz    t0, 1f
        slli    a7, a7, 3
        la      t0, syscall_table
        add     t0, t0, a7
        ld      t0, (t0)
        jalr    t0
        sd      a0, 10*8(sp)
        j       trap_return
1:      li      a0, -38
        sd      a0, 80(sp)
trap_return:
        ld      t0, 32*8(sp)
        ld      t1, 33*8(sp)
        csrw    sstatus, t0
        csrw    sepc, t1
        andi    t0, t0, 1 << 8
        .irp    reg, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
        RESTORE \reg
        .endr
        addi    sp, sp, FRAME_SIZE
        sret

        .globl  switch_context
        .type   switch_context, %function
switch_context:
        sd      ra, 0(a0)
        sd      sp, 8(a0)
        .set    i, 0
        .irp    r, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
        sd      \r, 16 + i * 8(a0)
        ld      \r, 16 + i * 8(a1)
        .set    i, i + 1
        .endr
        ld      ra, 0(a1)
        ld      sp, 8(a1)
        ret
        .size   switch_context, .-switch_context

activate:
        srli    a0, a0, PAGE_SHIFT
        li      t0, 8 << 60
        or      a0, a0, t0
        csrw    satp, a0
        sfence.vma
        sfence.vma a0, zero
        ret

        .globl  put_char
put_char:
        li      t0, UART
1:      lbu     t1, 5(t0)
        andi    t1, t1, 0x20
        beqz    t1, 1b
        sb      a0, 0(t0)
        ret

spin_lock:
        li      t0, 1
1:      lw      t1, (a0)
        bnez    t1, 1b
        amoswap.w.aq t1, t0, (a0)
        bnez    t1, 1b
        ret
spin_unlock:
        fence   rw, w
        amoswap.w.rl zero, zero, (a0)
        ret
try_lock:
        lr.w.aq t0, (a0)
        bnez    t0, 1f
        li      t1, 1
        sc.w    t0, t1, (a0)
1:      mv      a0, t0
        ret

save_floats:
        .irp    r, 0, 1, 2, 8, 9, 10, 18, 27, 31
        fsd     f\r, \r * 8(a0)
        .endr
        frcsr   t0
        sw      t0, 256(a0)
        fcvt.d.l fa0, a1
        fmadd.d fa0, fa0, fa1, fa2, rtz
        fsqrt.s fa3, fa4
        fcvt.w.d a0, fa0, rtz
        ret

        .section .rodata
unknown_message:
        .string "unknown trap, cause=%d stval=0x%lx\n"
banner: .ascii  "ekernel\t", "\"quoted\" \\ \x41\102\n"
        .byte   0
        .align  3
syscall_table:
        .dword  sys_exit, sys_write, sys_read, sys_yield
        .dword  sys_exit + 4, banner, banner + (PAGE_SIZE >> 3)
syscall_table_end:
lengths: .word  syscall_table_end - syscall_table, banner - unknown_message
        .half   PAGE_SIZE - 1, ~0 & 0xffff
        .quad   -1, 0x8000000000000000, 'A', '\n'

        .data
        .p2align 3
ticks:  .dword  0
current: .dword idle
idle:   .zero   14 * 8
        .dword  . - idle

        .bss
        .balign PAGE_SIZE
boot_stack:
        .space  PAGE_SIZE * STACK_PAGES
boot_stack_top:
        .lcomm  scratch, 64
        .comm   shared, 128, 64
        .globl  boot_stack_top
        .equ    TICK, 100000
        .weak   handle_page_fault
        .hidden schedule
