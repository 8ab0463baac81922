# The system calls as functions: arguments in a0, a1, a2, the result in a0, -1 when it failed.
.include "lib/abi.inc"

# SYSTEM_CALL name, number
.macro SYSTEM_CALL name, number
FUNCTION \name
    li a7, \number
    ecall
    ret
END_FUNCTION \name
.endm

.text
SYSTEM_CALL read, 63                            # (descriptor, buffer, bytes) -> bytes
SYSTEM_CALL write, 64                           # (descriptor, buffer, bytes) -> bytes
SYSTEM_CALL exit, 93                            # (exit code): does not return
SYSTEM_CALL yield, 124                          # () -> 0
SYSTEM_CALL get_time, 169                       # () -> milliseconds
SYSTEM_CALL getpid, 172                         # () -> pid
SYSTEM_CALL brk, 214                            # (address) -> 0
SYSTEM_CALL munmap, 215                         # (address, bytes) -> 0
SYSTEM_CALL sbrk, 216                           # (bytes) -> the break before
SYSTEM_CALL fork, 220                           # () -> pid of the child, 0 in the child
SYSTEM_CALL exec, 221                           # (name): does not return unless it fails
SYSTEM_CALL mmap, 222                           # (address, bytes, permissions) -> 0
SYSTEM_CALL waitpid, 260                        # (pid or -1, word for the exit code or 0) -> pid
