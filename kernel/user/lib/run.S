# Running another program and waiting for it.
.include "lib/abi.inc"

.equ NOT_FOUND, 127                             # exit code when there is no such program, as shells have it

.text

# run(a0 = name) -> a0 = its exit code, NOT_FOUND when there is no such program, -1 when there is no memory for a process
FUNCTION run
    ENTER 1, 16
    mv s1, a0
    call fork
    bltz a0, .Lrun_done
    bnez a0, .Lparent
    mv a0, s1
    call exec
    li a0, NOT_FOUND
    call exit
.Lparent:
    mv a1, sp
    call waitpid
    lw a0, 0(sp)
.Lrun_done:
    LEAVE 1, 16
END_FUNCTION run
