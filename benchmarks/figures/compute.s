	.file	"compute.c"
	.option nopic
	.attribute arch, "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0"
	.attribute unaligned_access, 0
	.attribute stack_align, 16
	.text
	.align	1
	.type	sum, @function
sum:
	lla	a2,.LANCHOR0+40
	lla	a1,.LANCHOR0+440
	li	a4,0
.L4:
	addi	a5,a2,-40
.L3:
	lw	a3,0(a5)
	addi	a5,a5,4
	bge	a4,a3,.L2
	li	a3,10
.L2:
	addw	a4,a4,a3
	bne	a2,a5,.L3
	addi	a2,a2,40
	bne	a1,a2,.L4
	li	a1,-24576
	li	a3,32
	addi	a1,a1,1
.L6:
	xor	a5,a0,a4
	andi	a5,a5,1
	srli	a0,a0,1
	addiw	a3,a3,-1
	xor	a2,a0,a1
	srliw	a4,a4,1
	beq	a5,zero,.L5
	slli	a0,a2,48
	srli	a0,a0,48
.L5:
	bne	a3,zero,.L6
	ret
	.size	sum, .-sum
	.align	1
	.globl	compute
	.type	compute, @function
compute:
	addi	sp,sp,-160
	sd	ra,152(sp)
	sd	s0,144(sp)
	sd	s1,136(sp)
	sd	s2,128(sp)
	sd	s3,120(sp)
	sd	s4,112(sp)
	sd	s5,104(sp)
	sd	s6,96(sp)
	sd	s7,88(sp)
	sd	s8,80(sp)
	sd	s9,72(sp)
	sd	s10,64(sp)
	sd	s11,56(sp)
	sd	a0,8(sp)
	li	a5,65536
	ble	a0,zero,.L87
	addi	a5,a5,-1
	li	s2,-24576
	li	a6,0
	lla	s0,.LANCHOR0+1644
	lla	s3,.LANCHOR1+96
	lla	s5,.LANCHOR0+1984
	mv	s7,a5
	mv	s11,a5
	addi	s2,s2,1
	lla	s10,.LANCHOR0+1624
	li	s9,10
	li	s4,44
	lla	s6,.L67
.L86:
	sext.w	s1,a6
	andi	a2,a6,0xff
	lla	a3,.LANCHOR0+400
	li	a0,0
	li	a1,0
	li	t1,64
.L17:
	andi	a4,a2,0xff
	slliw	a7,a1,16
	and	a4,a4,s7
	or	a4,a4,a7
	addiw	a2,a2,73
	sd	a0,0(a3)
	sw	a4,8(a3)
	slli	a2,a2,48
	addiw	a1,a1,1
	mv	a0,a3
	srli	a2,a2,48
	addi	a3,a3,16
	bne	a1,t1,.L17
	slliw	a0,a5,5
	subw	a0,a0,a5
	slli	a0,a0,48
	srli	a0,a0,48
	lla	a5,.LANCHOR0+1408
	li	a1,0
	li	a7,16
.L25:
	mv	a4,a5
	j	.L26
.L20:
	ld	a4,0(a4)
	beq	a4,zero,.L19
.L26:
	lh	a3,8(a4)
	bne	a3,a1,.L20
.L19:
	li	a2,0
	j	.L21
.L88:
	mv	a5,a3
.L21:
	ld	a3,0(a5)
	sd	a2,0(a5)
	mv	a2,a5
	bne	a3,zero,.L88
	mv	a3,s11
	beq	a4,zero,.L23
	lhu	a3,10(a4)
.L23:
	addw	a3,a3,a0
	slli	a0,a3,48
	addiw	a1,a1,1
	srli	a0,a0,48
	beq	a1,a7,.L90
	slliw	a4,a0,5
	subw	a0,a4,a0
	slli	a0,a0,48
	srli	a0,a0,48
	j	.L25
.L90:
	sd	zero,40(sp)
	li	t1,1
	beq	a5,zero,.L39
.L192:
	addi	t4,sp,40
	li	a7,1
.L38:
	mv	a4,a5
	li	a3,0
	j	.L30
.L28:
	beq	a4,zero,.L31
.L30:
	addiw	a3,a3,1
	ld	a4,0(a4)
	bne	a3,t1,.L28
.L31:
	mv	a2,t1
	beq	a3,zero,.L190
.L35:
	beq	a2,zero,.L32
	beq	a4,zero,.L32
	lh	t3,8(a5)
	lh	a1,8(a4)
	bgt	t3,a1,.L33
.L32:
	ld	a1,0(a5)
	addiw	a3,a3,-1
.L34:
	sd	a5,0(t4)
	mv	t4,a5
	mv	a5,a1
	bne	a3,zero,.L35
.L190:
	ble	a2,zero,.L36
	beq	a4,zero,.L37
.L33:
	mv	a1,a5
	addiw	a2,a2,-1
	mv	a5,a4
	ld	a4,0(a4)
	j	.L34
.L36:
	beq	a4,zero,.L37
	addiw	a7,a7,1
	mv	a5,a4
	j	.L38
.L37:
	sd	zero,0(t4)
	li	a5,1
	beq	a7,a5,.L191
	ld	a5,40(sp)
	sd	zero,40(sp)
	slliw	t1,t1,1
	bne	a5,zero,.L192
.L39:
	lh	a3,10(a5)
	li	a4,32
.L43:
	xor	a5,a0,a3
	andi	a5,a5,1
	srli	a0,a0,1
	srliw	a3,a3,1
	beq	a5,zero,.L42
	xor	a0,a0,s2
	slli	a0,a0,48
	srli	a0,a0,48
.L42:
	addiw	a4,a4,-1
	bne	a4,zero,.L43
	andi	t3,s1,15
	lla	a1,.LANCHOR0+1424
	mv	a7,t3
	lla	t0,.LANCHOR0+1624
	mv	t5,t3
	mv	t6,a1
	li	t1,10
.L44:
	addiw	a4,t1,-10
	slli	a4,a4,48
	srli	a4,a4,48
	mv	a2,t0
	mv	a5,t5
	mv	a3,t6
	sext.w	t2,t1
.L45:
	addiw	t4,a4,1
	sh	a4,0(a3)
	sh	a5,0(a2)
	slli	a4,t4,48
	addiw	a5,a5,7
	slli	a5,a5,48
	srli	a4,a4,48
	addi	a3,a3,2
	srli	a5,a5,48
	addi	a2,a2,2
	bne	a4,t2,.L45
	addiw	t5,t5,-1
	addw	t1,t3,t1
	slli	t5,t5,48
	slli	t1,t1,48
	addi	t6,t6,20
	srli	t5,t5,48
	addi	t0,t0,20
	srli	t1,t1,48
	bne	s10,t6,.L44
	lla	t1,.LANCHOR0+1444
	mv	a3,t1
.L48:
	addi	a5,a3,-20
.L47:
	lhu	a4,0(a5)
	addi	a5,a5,2
	addw	a4,a4,t3
	sh	a4,-2(a5)
	bne	a5,a3,.L47
	addi	a3,a5,20
	bne	s0,a3,.L48
	lla	a4,.LANCHOR0
	mv	s8,a4
	mv	t3,a4
.L49:
	addi	a5,t1,-20
	mv	a2,t3
.L50:
	lh	a3,0(a5)
	addi	a2,a2,4
	addi	a5,a5,2
	mulw	a3,a3,a7
	sw	a3,-4(a2)
	bne	a5,t1,.L50
	addi	t1,a5,20
	addi	t3,t3,40
	bne	s0,t1,.L49
	sd	a6,24(sp)
	sd	a1,16(sp)
	sd	a4,0(sp)
	call	sum
	ld	a6,24(sp)
	ld	a1,16(sp)
	ld	a4,0(sp)
	lla	t3,.LANCHOR0+1424
	lla	t1,.LANCHOR0
.L53:
	mv	a3,s10
	mv	a2,t3
	li	a7,0
.L52:
	lh	a5,0(a2)
	lh	t4,0(a3)
	addi	a3,a3,2
	addi	a2,a2,2
	mulw	a5,a5,t4
	addw	a7,a5,a7
	bne	s0,a3,.L52
	sw	a7,0(t1)
	lla	a5,.LANCHOR0+400
	addi	t1,t1,40
	addi	t3,t3,20
	bne	t1,a5,.L53
	sd	a6,24(sp)
	sd	a1,16(sp)
	sd	a4,0(sp)
	call	sum
	ld	a6,24(sp)
	ld	a1,16(sp)
	ld	a4,0(sp)
.L54:
	mv	a7,s10
	mv	t3,a4
.L56:
	mv	a3,a7
	mv	a2,a1
	li	t1,0
	addi	t5,a7,200
.L55:
	lh	a5,0(a2)
	lh	t4,0(a3)
	addi	a3,a3,20
	addi	a2,a2,2
	mulw	a5,a5,t4
	addw	t1,a5,t1
	bne	a3,t5,.L55
	sw	t1,0(t3)
	addi	a7,a7,2
	addi	t3,t3,4
	bne	s0,a7,.L56
	addi	a1,a1,20
	addi	a4,a4,40
	bne	s10,a1,.L54
	sd	a6,0(sp)
	call	sum
	ld	a6,0(sp)
	lla	t5,.LANCHOR0+1824
	lla	a1,.LANCHOR0+1856
	mv	a5,a0
	andi	s1,s1,7
	mv	a3,a1
	mv	a4,t5
.L58:
	sw	zero,0(a4)
	sw	zero,0(a3)
	addi	a4,a4,4
	lla	a2,.LANCHOR0+1852
	addi	a3,a3,4
	bne	a2,a4,.L58
	lla	a3,.LANCHOR0+1888
	lla	a2,.LANCHOR1
	mv	a7,a3
	li	t3,9
.L60:
	lbu	a0,0(a2)
	addiw	a4,a0,-48
	andi	t1,a4,0xff
	bgtu	t1,t3,.L59
	addw	a4,a4,s1
	remw	a4,a4,s9
	addiw	a4,a4,48
	andi	a0,a4,0xff
.L59:
	sb	a0,0(a7)
	addi	a2,a2,1
	addi	a7,a7,1
	bne	a2,s3,.L60
	li	a4,0
	li	t3,9
	li	t4,5
	li	t6,46
	li	t0,101
	li	t2,45
	li	s1,43
	sd	a6,0(sp)
.L82:
	slli	a6,a4,2
	add	a6,s8,a6
	lw	a7,1824(a6)
	lbu	a0,0(a3)
	slli	t1,a4,32
	addiw	a7,a7,1
	addiw	a2,a0,-48
	sw	a7,1824(a6)
	srli	t1,t1,32
	andi	a2,a2,0xff
	beq	a0,s4,.L63
	bgtu	a4,t4,.L65
	slli	a4,a4,2
	add	a4,a4,s6
	lw	a4,0(a4)
	add	a4,a4,s6
	jr	a4
	.section	.rodata
	.align	2
	.align	2
.L67:
	.word	.L71-.L67
	.word	.L70-.L67
	.word	.L69-.L67
	.word	.L68-.L67
	.word	.L68-.L67
	.word	.L66-.L67
	.text
.L68:
	bleu	a2,t3,.L94
	beq	a0,t0,.L193
.L65:
	li	a4,6
.L72:
	addi	a3,a3,1
	bne	s5,a3,.L82
.L162:
	ld	a6,0(sp)
.L85:
	lw	a4,0(a1)
	lw	a3,0(t5)
	li	a2,32
	slliw	a4,a4,8
	or	a3,a3,a4
	sext.w	a3,a3
.L84:
	xor	a4,a5,a3
	srliw	a5,a5,1
	slli	a5,a5,48
	andi	a4,a4,1
	srli	a5,a5,48
	srliw	a3,a3,1
	beq	a4,zero,.L83
	xor	a5,a5,s2
	slli	a5,a5,48
	srli	a5,a5,48
.L83:
	addiw	a2,a2,-1
	bne	a2,zero,.L84
	addi	a1,a1,4
	lla	a4,.LANCHOR0+1884
	addi	t5,t5,4
	bne	a4,a1,.L85
	ld	a4,8(sp)
	addi	a6,a6,1
	bne	a4,a6,.L86
	mv	a0,a5
.L15:
	ld	ra,152(sp)
	ld	s0,144(sp)
	ld	s1,136(sp)
	ld	s2,128(sp)
	ld	s3,120(sp)
	ld	s4,112(sp)
	ld	s5,104(sp)
	ld	s6,96(sp)
	ld	s7,88(sp)
	ld	s8,80(sp)
	ld	s9,72(sp)
	ld	s10,64(sp)
	ld	s11,56(sp)
	addi	sp,sp,160
	jr	ra
.L193:
	addi	a3,a3,1
	beq	s5,a3,.L162
	lw	a4,1844(s8)
	lbu	a0,0(a3)
	addiw	a4,a4,1
	addiw	a2,a0,-48
	sw	a4,1844(s8)
	andi	a2,a2,0xff
	beq	a0,s4,.L165
.L66:
	li	a4,5
	bleu	a2,t3,.L72
	li	a4,6
	j	.L72
.L194:
	li	t1,0
.L63:
	slli	a4,t1,2
	add	a4,s8,a4
	lw	a2,1856(a4)
	addi	a3,a3,1
	addiw	a2,a2,1
	sw	a2,1856(a4)
	beq	a3,s5,.L162
	lw	a4,1824(s8)
	lbu	a0,0(a3)
	addiw	a4,a4,1
	sw	a4,1824(s8)
	beq	a0,s4,.L194
	addiw	a2,a0,-48
	andi	a2,a2,0xff
.L71:
	bleu	a2,t3,.L176
	beq	a0,t2,.L174
	beq	a0,t6,.L187
	bne	a0,s1,.L65
.L174:
	addi	a3,a3,1
	beq	s5,a3,.L162
	lw	a4,1828(s8)
	lbu	a0,0(a3)
	li	t1,1
	addiw	a4,a4,1
	addiw	a2,a0,-48
	sw	a4,1828(s8)
	andi	a2,a2,0xff
	beq	a0,s4,.L63
.L70:
	bleu	a2,t3,.L176
	bne	a0,t6,.L65
.L187:
	addi	a3,a3,1
	beq	s5,a3,.L162
	lw	a2,1836(s8)
	lbu	a0,0(a3)
	li	t1,3
	addiw	a2,a2,1
	addiw	a4,a0,-48
	sw	a2,1836(s8)
	andi	a4,a4,0xff
	beq	a0,s4,.L63
	bgtu	a4,t3,.L65
.L94:
	addi	a3,a3,1
	li	a4,4
	bne	s5,a3,.L82
	j	.L162
.L176:
	addi	a3,a3,1
	beq	s5,a3,.L162
	lw	a4,1832(s8)
	lbu	a0,0(a3)
	li	t1,2
	addiw	a4,a4,1
	addiw	a2,a0,-48
	sw	a4,1832(s8)
	andi	a2,a2,0xff
	beq	a0,s4,.L63
.L69:
	bleu	a2,t3,.L93
	beq	a0,t6,.L187
	bne	a0,t0,.L65
	j	.L193
.L165:
	li	t1,5
	j	.L63
.L93:
	addi	a3,a3,1
	li	a4,2
	bne	s5,a3,.L82
	j	.L162
.L191:
	ld	a5,40(sp)
	mv	a4,a5
	beq	a5,zero,.L39
.L41:
	lhu	a3,10(a4)
	slliw	a2,a0,5
	subw	a2,a2,a0
	ld	a4,0(a4)
	add	a3,a3,a2
	slli	a0,a3,48
	srli	a0,a0,48
	bne	a4,zero,.L41
	j	.L39
.L87:
	addi	a0,a5,-1
	j	.L15
	.size	compute, .-compute
	.bss
	.align	3
	.set	.LANCHOR0,. + 0
	.type	product, @object
	.size	product, 400
product:
	.zero	400
	.type	nodes, @object
	.size	nodes, 1024
nodes:
	.zero	1024
	.type	left, @object
	.size	left, 200
left:
	.zero	200
	.type	right, @object
	.size	right, 200
right:
	.zero	200
	.type	entered, @object
	.size	entered, 32
entered:
	.zero	32
	.type	seen, @object
	.size	seen, 32
seen:
	.zero	32
	.type	text, @object
	.size	text, 96
text:
	.zero	96
	.section	.rodata
	.align	3
	.set	.LANCHOR1,. + 0
	.type	source.0, @object
	.size	source.0, 98
source.0:
	.string	"5012,+1.25,-874,0x1F,1e9,.5,hello,-7.25e3,99,+-1,3.14159,seventeen,8e,12.,0.001,-0,77a,1.5e10,42,"
	.ident	"GCC: (12.2.0-14+deb12u1+11+b2) 12.2.0"
