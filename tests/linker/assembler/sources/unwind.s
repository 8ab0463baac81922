    .text
    .globl save_all
    .type save_all, @function
save_all:
    .cfi_startproc
    addi sp, sp, -64
    .cfi_def_cfa_offset 64
    sd ra, 56(sp)
    sd s0, 48(sp)
    fsd fs0, 40(sp)
    .cfi_offset ra, -8
    .cfi_offset 8, -16
    .cfi_rel_offset fs0, 40
    addi s0, sp, 64
    .cfi_def_cfa s0, 0
    beqz a0, 2f
    .cfi_remember_state
    lui a1, 0x12345
    call save_all
    .cfi_restore ra
1:  .skip 70
    .cfi_restore_state
    la a0, table
    .cfi_undefined t0, t1
    j 1b
    .cfi_same_value s2
    .balign 8
    .cfi_register s3, s4
    .skip 400
    .cfi_escape 0x16, 3, 1 + 1, 0x30
    .cfi_val_offset s5, -24
    .cfi_val_offset s6, 8
    nop
    .cfi_def_cfa_register sp
    .cfi_adjust_cfa_offset -16
    .pushsection .data
    .skip 3
    .popsection
    .cfi_window_save
    .cfi_offset satp, -32
    .cfi_restore satp
    .cfi_def_cfa_offset -8
    .cfi_def_cfa tp, -4
    .skip 70000
    .cfi_offset 1, 12
2:  ret
    .cfi_endproc
    .size save_all, . - save_all

plain:
    .cfi_startproc
    ret
    .cfi_endproc
bare:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_return_column t0
    nop
    .cfi_def_cfa sp, 0
    ret
    .cfi_endproc
guarded:
    .cfi_startproc
    .cfi_personality 0x9b, reference
    .cfi_lsda 0x1b, .Lranges
    nop
    .cfi_def_cfa_offset 16
    .cfi_endproc
absolute_pointers:
    .cfi_startproc
    .cfi_personality 0, personality
    .cfi_lsda 3, .Lranges
    .cfi_undefined ra
    nop
    .cfi_endproc
    .section .text.other, "ax", @progbits
other:
    .cfi_startproc
    .cfi_undefined ra
    nop
    .cfi_remember_state
    .subsection 1
    nop
    .text 0
    .previous
    .section .text.other
    .cfi_restore_state
    .cfi_endproc
    .data
.Lranges: .word 0
reference: .dword personality
table: .dword 0
