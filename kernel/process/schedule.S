# Whose turn it is: round robin, in the order of creation.
.include "lib/abi.inc"
.include "process/process.inc"

VARIABLE kernel_switch, 14 * 8                  # where process_run waits for all processes to end

.text

# switch(a0 = where to save ra, sp, s0 .. s11; a1 = where to load them from)
# Returns where the other called switch, on its stack; and here when somebody switches back.
FUNCTION switch
    sd ra, 0(a0)
    sd sp, 8(a0)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd s\n, 16 + 8 * \n(a0)
    .endr
    ld ra, 0(a1)
    ld sp, 8(a1)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld s\n, 16 + 8 * \n(a1)
    .endr
    ret
END_FUNCTION switch

# schedule() -> a0 = 1 when others had their turn, 0 when no other can run
# The next process that can run gets its turn; returns when it is the caller's turn again. When none can run, as all have
# exited, process_run goes on.
FUNCTION schedule
    ENTER 3
    call reap_orphans
    la t0, current_process
    ld s1, 0(t0)                                # s1: whose turn it was
    mv t1, s1                                   # t1: whom to ask next
.Lask_next:
    ld t1, PROCESS_NEXT(t1)
    bnez t1, .Lin_list
    la t1, process_list
    ld t1, 0(t1)
.Lin_list:
    ld t2, PROCESS_STATE(t1)
    beqz t2, .Lis_ready                         # STATE_READY
    bne t1, s1, .Lask_next
    la a1, kernel_switch                        # all have exited
    li t1, 0
    j .Lswitch_to
.Lis_ready:
    li a0, 0
    beq t1, s1, .Lswitched
    addi a1, t1, PROCESS_SWITCH                 # a1: what to load
.Lswitch_to:
    mv a0, s1
    mv s2, t1                                   # s2: whose turn it is, 0: the kernel's
    mv s3, a1                                   # s3: what to load
    call floats_save
    la t0, current_process
    sd s2, 0(t0)
    addi a0, s1, PROCESS_SWITCH
    mv a1, s3
    call switch
    mv a0, s1
    call floats_load
    li a0, 1
.Lswitched:
    LEAVE 3
END_FUNCTION schedule

# process_begin: the first turn of a process begins here, on its own kernel stack. Never returns.
FUNCTION process_begin
    la t0, current_process
    ld a0, 0(t0)
    call floats_load
    j user_trap_return
END_FUNCTION process_begin

# process_run(a0 = name of a program) -> a0 = its exit code, -1 when there is no such program or no memory for it
# Runs it, and whatever it forks, until all have ended.
FUNCTION process_run
    ENTER 2
    mv s2, a0                                   # s2: name
    li a0, 0
    call process_new
    beqz a0, .Lnot_run
    mv s1, a0                                   # s1: the process
    mv a1, s2
    call program_load
    bnez a0, .Lnot_loaded
    call timer_start
    la t0, current_process
    sd s1, 0(t0)
    la a0, kernel_switch
    addi a1, s1, PROCESS_SWITCH
    call switch
    call timer_stop
    ld s2, PROCESS_EXIT_CODE(s1)                # s2: exit code
    call reap_orphans                           # it among them: its parent is the kernel
    mv a0, s2
    LEAVE 2
.Lnot_loaded:
    mv a0, s1
    call process_free
.Lnot_run:
    li a0, -1
    LEAVE 2
END_FUNCTION process_run

# reap_orphans(): frees what is left of exited processes for which nobody waits but the kernel
# The program that process_run started stays until all have ended, because its exit code is asked for then.
LOCAL_FUNCTION reap_orphans
    ENTER 3
    la t0, current_process
    ld s2, 0(t0)                                # s2: whose turn it is
    la t0, process_list
    ld s1, 0(t0)                                # s1: the process to look at
.Leach_process:
    beqz s1, .Lall_reaped
    ld s3, PROCESS_NEXT(s1)                     # s3: the next, as this one may go
    ld t0, PROCESS_STATE(s1)
    li t1, STATE_EXITED
    bne t0, t1, .Lnot_orphan
    ld t0, PROCESS_PARENT(s1)
    bnez t0, .Lnot_orphan
    beq s1, s2, .Lnot_orphan                    # its stack is in use
    ld t0, PROCESS_PID(s1)
    li t1, 1
    bne t0, t1, .Lreap
    bnez s2, .Lnot_orphan
.Lreap:
    mv a0, s1
    call process_free
.Lnot_orphan:
    mv s1, s3
    j .Leach_process
.Lall_reaped:
    LEAVE 3
END_FUNCTION reap_orphans
