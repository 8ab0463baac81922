nop
.end
garbage here
