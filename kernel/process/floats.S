# Floating-point registers: the kernel uses none, so they stay the program's own until another gets its turn.
# mstatus.FS (privileged manual, 3.1.6.6) tells whether the program has written one since they were saved or loaded.
.include "lib/abi.inc"
.include "lib/csr.inc"
.include "process/process.inc"

.text

# floats_save(a0 = the current process): its block has its registers. Clobbers t0 t1 only.
FUNCTION floats_save
    csrr t0, sstatus
    li t1, SSTATUS_FS
    and t0, t0, t1
    bne t0, t1, .Lsaved                         # not dirty: the block has them
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fsd f\n, PROCESS_FLOATS + 8 * \n(a0)
    .endr
    frcsr t0
    sd t0, PROCESS_FCSR(a0)
    li t0, SSTATUS_FS_LOW
    csrc sstatus, t0                            # clean
.Lsaved:
    ret
END_FUNCTION floats_save

# floats_load(a0 = process whose turn it is): the registers are those of its block. Clobbers t0 only.
FUNCTION floats_load
    li t0, SSTATUS_FS
    csrs sstatus, t0
    ld t0, PROCESS_FCSR(a0)
    fscsr t0
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\n, PROCESS_FLOATS + 8 * \n(a0)
    .endr
    li t0, SSTATUS_FS_LOW
    csrc sstatus, t0                            # clean
    ret
END_FUNCTION floats_load

# floats_clear(a0 = process): its block has zeros. Clobbers a0 a1 t0 only.
FUNCTION floats_clear
    li t0, PROCESS_SIZE
    add a1, a0, t0
    addi a0, a0, PROCESS_FLOATS
    j fill_zero
END_FUNCTION floats_clear
