# Offsets of thread-local data, as debugging information has them.
    .section .tdata, "awT", @progbits
    .dword 1
counter:
    .dword 2
    .data
    .dtpreldword counter
    .dtprelword elsewhere - 4
    .dtpreldword elsewhere
