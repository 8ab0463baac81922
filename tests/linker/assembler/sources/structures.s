# offsets of a trap frame by .struct, as boot code has them
    .struct 0
save_ra:    .struct save_ra + 8
save_gp:    .space 8
save_args:  .skip 8 * 4
            .balign 16
save_csr:   .dword 0, 0
            .org 0x70
save_end:
    .offset 3
small:      .byte 0
            .align 2
aligned:    .ds.w 3
            .equ here, .
after:
    .text
trap:
    addi sp, sp, -save_end
    sd ra, save_ra(sp)
    sd gp, save_gp(sp)
    sd a0, save_args+8(sp)
    ld a1, save_csr(sp)
    .previous
more:       .zero 4
    .data
    .byte small, aligned, after, here, more
    .globl save_end
    .size save_end, 8
