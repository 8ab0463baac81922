# fork, exec, exit, waitpid: the life of a process.
.include "lib/abi.inc"
.include "lib/page.inc"
.include "process/process.inc"

.equ LONGEST_NAME, 64

.text

# sys_fork() -> a0 = pid of the child, -1 when memory or pids run out; the child finds 0 in its a0
FUNCTION sys_fork
    ENTER 3
    la t0, current_process
    ld s1, 0(t0)                                # s1: the parent
    mv a0, s1
    call process_new
    beqz a0, .Lno_process
    mv s2, a0                                   # s2: the child
    ld a0, PROCESS_SPACE(s1)
    ld a1, PROCESS_PID(s2)
    call space_fork
    beqz a0, .Lno_memory
    sd a0, PROCESS_SPACE(s2)
    mv s3, a0                                   # s3: its space
    ld a1, PROCESS_CONTEXT_PPN(s2)
    call map_trap_pages
    bnez a0, .Lno_memory

    mv a0, s1
    call floats_save
    addi a0, s2, PROCESS_FLOATS
    addi a1, s1, PROCESS_FLOATS
    li a2, PROCESS_SIZE - PROCESS_FLOATS
    call copy_bytes
    ld t0, PROCESS_NAME(s1)
    sd t0, PROCESS_NAME(s2)
    ld t0, PROCESS_BREAK(s1)
    sd t0, PROCESS_BREAK(s2)
    ld a1, PROCESS_HEAP_START(s1)
    sd a1, PROCESS_HEAP_START(s2)
    ld t0, PROCESS_HEAP(s1)
    beqz t0, .Lno_heap
    mv a0, s3
    srli a1, a1, PAGE_SHIFT
    call area_find
    sd a0, PROCESS_HEAP(s2)
.Lno_heap:
    ld t0, PROCESS_CONTEXT_PPN(s1)
    PPN_TO_VA a1, t0, t1
    ld t0, PROCESS_CONTEXT_PPN(s2)
    PPN_TO_VA a0, t0, t1
    ld s3, CONTEXT_KERNEL_SP(a0)                # the child keeps its own kernel stack
    mv s1, a0                                   # s1: the child's trap context
    li a2, CONTEXT_SIZE
    call copy_bytes
    sd s3, CONTEXT_KERNEL_SP(s1)
    sd zero, CONTEXT_A0(s1)
    ld a0, PROCESS_PID(s2)
    LEAVE 3
.Lno_memory:
    mv a0, s2
    call process_free
.Lno_process:
    li a0, -1
    LEAVE 3
END_FUNCTION sys_fork

# sys_exec(a0 = name, va of a string) -> a0 = -1 when there is no such program, or no memory; otherwise the new program
# finds 0 in its a0
FUNCTION sys_exec
    ENTER 1, LONGEST_NAME
    la t0, current_process
    ld s1, 0(t0)                                # s1: the process
    mv a2, a0
    ld a0, PROCESS_SPACE(s1)
    mv a1, sp
    li a3, LONGEST_NAME
    call copy_string_from_user
    bltz a0, .Lexec_done
    mv a0, s1
    mv a1, sp
    call program_load
    bnez a0, .Lexec_done
    mv a0, s1
    call floats_load                            # zeros: nothing of the old program shows
    li a0, 0
.Lexec_done:
    LEAVE 1, LONGEST_NAME
END_FUNCTION sys_exec

# process_exit(a0 = exit code): the current process ends. Never returns.
# Its address space goes at once; the rest when its parent has asked for the exit code. Its children become the kernel's.
FUNCTION process_exit
    ENTER 1
    la t0, current_process
    ld s1, 0(t0)                                # s1: the process
    sd a0, PROCESS_EXIT_CODE(s1)
    li t0, STATE_EXITED
    sd t0, PROCESS_STATE(s1)
    ld a0, PROCESS_SPACE(s1)
    sd zero, PROCESS_SPACE(s1)
    call space_free
    la t0, process_list
    ld t0, 0(t0)
.Leach_child:
    beqz t0, .Lleave
    ld t1, PROCESS_PARENT(t0)
    bne t1, s1, .Lnot_child
    sd zero, PROCESS_PARENT(t0)
.Lnot_child:
    ld t0, PROCESS_NEXT(t0)
    j .Leach_child
.Lleave:
    call schedule
    la a0, message_undead
    call panic
END_FUNCTION process_exit

# sys_waitpid(a0 = pid, or -1 for any child; a1 = va of a word for the exit code, 0: not wanted) -> a0 = pid of a child
# that has exited, and now is gone; -1 when there is no such child, or the word cannot be written (the child then stays)
FUNCTION sys_waitpid
    ENTER 5, 16
    la t0, current_process
    ld s1, 0(t0)                                # s1: the parent
    mv s2, a0                                   # s2: which child
    mv s3, a1                                   # s3: where to put its exit code
.Lagain:
    li s5, 0                                    # s5: whether there is one that can still exit
    la t0, process_list
    ld s4, 0(t0)                                # s4: the process to look at
.Leach_process:
    beqz s4, .Lall_asked
    ld t0, PROCESS_PARENT(s4)
    bne t0, s1, .Lnot_mine
    bltz s2, .Lany_child
    ld t0, PROCESS_PID(s4)
    bne t0, s2, .Lnot_mine
.Lany_child:
    ld t0, PROCESS_STATE(s4)
    li t1, STATE_EXITED
    beq t0, t1, .Lexited
    li s5, 1
.Lnot_mine:
    ld s4, PROCESS_NEXT(s4)
    j .Leach_process
.Lall_asked:
    li a0, -1
    beqz s5, .Lwaited
    call schedule                               # the others' turn, and then look again
    j .Lagain
.Lexited:
    beqz s3, .Lno_exit_code
    ld t0, PROCESS_EXIT_CODE(s4)
    sw t0, 0(sp)
    ld a0, PROCESS_SPACE(s1)
    mv a1, sp
    mv a2, s3
    li a3, 4
    call copy_to_user
    bnez a0, .Lwaited
.Lno_exit_code:
    ld s5, PROCESS_PID(s4)                      # s5: its pid
    mv a0, s4
    call process_free
    mv a0, s5
.Lwaited:
    LEAVE 5, 16
END_FUNCTION sys_waitpid

STRING message_undead, "an exited process got its turn"
