#include "textflag.h"

// Each routine fills registers with a pattern made from seed, spins for n rounds in which signals and preemption may strike,
// and returns the number of registers that no longer hold what was put there.

// func general(seed uint64, n int) int
TEXT ·general(SB), NOSPLIT, $48-24
	MOVQ seed+0(FP), AX
	MOVQ n+8(FP), CX
	MOVQ R14, keep14-8(SP)
	LEAQ 1(AX), BX
	LEAQ 2(AX), DX
	LEAQ 3(AX), SI
	LEAQ 4(AX), DI
	LEAQ 5(AX), R8
	LEAQ 6(AX), R9
	LEAQ 7(AX), R10
	LEAQ 8(AX), R11
	LEAQ 9(AX), R12
	LEAQ 10(AX), R13
	LEAQ 11(AX), R15
general_spin:
	PAUSE
	DECQ CX
	JNZ general_spin
	XORQ CX, CX
#define SAME(offset, reg) \
	SUBQ AX, reg; \
	CMPQ reg, $offset; \
	JEQ 2(PC); \
	INCQ CX
	SAME(1, BX)
	SAME(2, DX)
	SAME(3, SI)
	SAME(4, DI)
	SAME(5, R8)
	SAME(6, R9)
	SAME(7, R10)
	SAME(8, R11)
	SAME(9, R12)
	SAME(10, R13)
	SAME(11, R15)
	CMPQ AX, seed+0(FP)
	JEQ 2(PC)
	INCQ CX
	CMPQ R14, keep14-8(SP)
	JEQ 2(PC)
	INCQ CX
	MOVQ keep14-8(SP), R14
	MOVQ CX, ret+16(FP)
	RET

// func flags(n int) int
// The direction flag, carry, overflow, sign, zero and parity live through the spin as well.
TEXT ·flags(SB), NOSPLIT, $16-16
	MOVQ n+0(FP), CX
	XORQ BX, BX
	MOVQ $0x7fffffffffffffff, AX
	ADDQ $1, AX
	STC
	STD
	PUSHFQ
	POPQ DX
flags_spin:
	PAUSE
	LEAQ -1(CX), CX
	JCXZQ flags_done
	JMP flags_spin
flags_done:
	PUSHFQ
	POPQ AX
	CLD
	XORQ DX, AX
	ANDQ $0xcd5, AX
	JZ 2(PC)
	INCQ BX
	MOVQ BX, ret+8(FP)
	RET

#define FILL_YMM(i, reg, xreg) \
	LEAQ i(AX), BX; \
	MOVQ BX, xreg; \
	VPBROADCASTQ xreg, reg

#define SAME_YMM(i, reg) \
	LEAQ i(AX), BX; \
	MOVQ BX, X15; \
	VPBROADCASTQ X15, Y15; \
	VPCMPEQQ Y15, reg, Y15; \
	VPMOVMSKB Y15, DX; \
	CMPL DX, $0xffffffff; \
	JEQ 2(PC); \
	INCQ SI

// func vectors256(seed uint64, n int) int
TEXT ·vectors256(SB), NOSPLIT, $0-24
	MOVQ seed+0(FP), AX
	MOVQ n+8(FP), CX
	FILL_YMM(0, Y0, X0)
	FILL_YMM(1, Y1, X1)
	FILL_YMM(2, Y2, X2)
	FILL_YMM(3, Y3, X3)
	FILL_YMM(4, Y4, X4)
	FILL_YMM(5, Y5, X5)
	FILL_YMM(6, Y6, X6)
	FILL_YMM(7, Y7, X7)
	FILL_YMM(8, Y8, X8)
	FILL_YMM(9, Y9, X9)
	FILL_YMM(10, Y10, X10)
	FILL_YMM(11, Y11, X11)
	FILL_YMM(12, Y12, X12)
	FILL_YMM(13, Y13, X13)
	FILL_YMM(14, Y14, X14)
	FILL_YMM(15, Y15, X15)
ymm_spin:
	PAUSE
	DECQ CX
	JNZ ymm_spin
	XORQ SI, SI
	// Y15 first: the others are compared in it.
	VEXTRACTI128 $1, Y15, X14
	LEAQ 15(AX), BX
	MOVQ X15, DX
	CMPQ BX, DX
	JEQ 2(PC)
	INCQ SI
	MOVQ X14, DX
	CMPQ BX, DX
	JEQ 2(PC)
	INCQ SI
	FILL_YMM(14, Y14, X14)
	SAME_YMM(0, Y0)
	SAME_YMM(1, Y1)
	SAME_YMM(2, Y2)
	SAME_YMM(3, Y3)
	SAME_YMM(4, Y4)
	SAME_YMM(5, Y5)
	SAME_YMM(6, Y6)
	SAME_YMM(7, Y7)
	SAME_YMM(8, Y8)
	SAME_YMM(9, Y9)
	SAME_YMM(10, Y10)
	SAME_YMM(11, Y11)
	SAME_YMM(12, Y12)
	SAME_YMM(13, Y13)
	VZEROUPPER
	XORPS X15, X15
	MOVQ SI, ret+16(FP)
	RET

// func vectors128(seed uint64, n int) int
TEXT ·vectors128(SB), NOSPLIT, $0-24
	MOVQ seed+0(FP), AX
	MOVQ n+8(FP), CX
#define FILL_XMM(i, reg) \
	LEAQ i(AX), BX; \
	MOVQ BX, reg; \
	PUNPCKLQDQ reg, reg
	FILL_XMM(0, X0)
	FILL_XMM(1, X1)
	FILL_XMM(2, X2)
	FILL_XMM(3, X3)
	FILL_XMM(4, X4)
	FILL_XMM(5, X5)
	FILL_XMM(6, X6)
	FILL_XMM(7, X7)
	FILL_XMM(8, X8)
	FILL_XMM(9, X9)
	FILL_XMM(10, X10)
	FILL_XMM(11, X11)
	FILL_XMM(12, X12)
	FILL_XMM(13, X13)
	FILL_XMM(14, X14)
	FILL_XMM(15, X15)
xmm_spin:
	PAUSE
	DECQ CX
	JNZ xmm_spin
	XORQ SI, SI
#define SAME_XMM(i, reg) \
	LEAQ i(AX), BX; \
	MOVQ reg, DX; \
	CMPQ BX, DX; \
	JEQ 2(PC); \
	INCQ SI; \
	PSRLDQ $8, reg; \
	MOVQ reg, DX; \
	CMPQ BX, DX; \
	JEQ 2(PC); \
	INCQ SI
	SAME_XMM(0, X0)
	SAME_XMM(1, X1)
	SAME_XMM(2, X2)
	SAME_XMM(3, X3)
	SAME_XMM(4, X4)
	SAME_XMM(5, X5)
	SAME_XMM(6, X6)
	SAME_XMM(7, X7)
	SAME_XMM(8, X8)
	SAME_XMM(9, X9)
	SAME_XMM(10, X10)
	SAME_XMM(11, X11)
	SAME_XMM(12, X12)
	SAME_XMM(13, X13)
	SAME_XMM(14, X14)
	SAME_XMM(15, X15)
	XORPS X15, X15
	MOVQ SI, ret+16(FP)
	RET

#define FILL_ZMM(i, reg) \
	LEAQ i(AX), BX; \
	VPBROADCASTQ BX, reg

#define SAME_ZMM(i, reg) \
	LEAQ i(AX), BX; \
	VPBROADCASTQ BX, Z31; \
	VPCMPEQQ Z31, reg, K1; \
	KMOVW K1, DX; \
	CMPL DX, $0xff; \
	JEQ 2(PC); \
	INCQ SI

// func vectors512(seed uint64, n int) int
TEXT ·vectors512(SB), NOSPLIT, $0-24
	MOVQ seed+0(FP), AX
	MOVQ n+8(FP), CX
	FILL_ZMM(0, Z0)
	FILL_ZMM(1, Z1)
	FILL_ZMM(2, Z2)
	FILL_ZMM(3, Z3)
	FILL_ZMM(7, Z7)
	FILL_ZMM(8, Z8)
	FILL_ZMM(14, Z14)
	FILL_ZMM(15, Z15)
	FILL_ZMM(16, Z16)
	FILL_ZMM(17, Z17)
	FILL_ZMM(18, Z18)
	FILL_ZMM(23, Z23)
	FILL_ZMM(24, Z24)
	FILL_ZMM(29, Z29)
	FILL_ZMM(30, Z30)
	MOVL $0x5a5a, BX
	KMOVW BX, K2
	MOVL $0xa5a5, BX
	KMOVW BX, K7
zmm_spin:
	PAUSE
	DECQ CX
	JNZ zmm_spin
	XORQ SI, SI
	SAME_ZMM(0, Z0)
	SAME_ZMM(1, Z1)
	SAME_ZMM(2, Z2)
	SAME_ZMM(3, Z3)
	SAME_ZMM(7, Z7)
	SAME_ZMM(8, Z8)
	SAME_ZMM(14, Z14)
	SAME_ZMM(15, Z15)
	SAME_ZMM(16, Z16)
	SAME_ZMM(17, Z17)
	SAME_ZMM(18, Z18)
	SAME_ZMM(23, Z23)
	SAME_ZMM(24, Z24)
	SAME_ZMM(29, Z29)
	SAME_ZMM(30, Z30)
	KMOVW K2, DX
	CMPL DX, $0x5a5a
	JEQ 2(PC)
	INCQ SI
	KMOVW K7, DX
	CMPL DX, $0xa5a5
	JEQ 2(PC)
	INCQ SI
	VZEROUPPER
	XORPS X15, X15
	MOVQ SI, ret+16(FP)
	RET

// func x87(n int) int
// The x87 stack and its control word, MXCSR too.
TEXT ·x87(SB), NOSPLIT, $32-16
	MOVQ n+0(FP), CX
	STMXCSR old-24(SP)
	MOVL old-24(SP), AX
	ORL $0x6000, AX        // round towards zero
	MOVL AX, new-28(SP)
	LDMXCSR new-28(SP)
	FSTCW saved-32(SP)
	MOVW saved-32(SP), AX
	ORW $0x0c00, AX
	MOVW AX, word-30(SP)
	FLDCW word-30(SP)
	FLD1
	FLDPI
	FLDLN2
x87_spin:
	PAUSE
	DECQ CX
	JNZ x87_spin
	XORQ SI, SI
	FLDLN2
	FSUBDP F0, F1
	FMOVDP F0, value-8(SP)
	MOVQ value-8(SP), AX
	SHLQ $1, AX
	JZ 2(PC)
	INCQ SI
	FLDPI
	FSUBDP F0, F1
	FMOVDP F0, value-8(SP)
	MOVQ value-8(SP), AX
	SHLQ $1, AX
	JZ 2(PC)
	INCQ SI
	FLD1
	FSUBDP F0, F1
	FMOVDP F0, value-8(SP)
	MOVQ value-8(SP), AX
	SHLQ $1, AX
	JZ 2(PC)
	INCQ SI
	STMXCSR value-8(SP)
	MOVL value-8(SP), AX
	ANDL $0xffc0, AX
	MOVL new-28(SP), BX
	ANDL $0xffc0, BX
	CMPL AX, BX
	JEQ 2(PC)
	INCQ SI
	FSTCW value-8(SP)
	MOVW value-8(SP), AX
	CMPW AX, word-30(SP)
	JEQ 2(PC)
	INCQ SI
	LDMXCSR old-24(SP)
	FLDCW saved-32(SP)
	MOVQ SI, ret+8(FP)
	RET

// func codeSelector() uint16
TEXT ·codeSelector(SB), NOSPLIT, $0-2
	MOVW CS, AX
	MOVW AX, ret+0(FP)
	RET

// func has512() bool
TEXT ·has512(SB), NOSPLIT, $0-1
	MOVL $1, AX
	XORL CX, CX
	CPUID
	BTL $27, CX
	JCC no512
	MOVL $7, AX
	XORL CX, CX
	CPUID
	BTL $16, BX
	JCC no512
	XORL CX, CX
	XGETBV
	ANDL $0xe6, AX
	CMPL AX, $0xe6
	JNE no512
	MOVB $1, ret+0(FP)
	RET
no512:
	MOVB $0, ret+0(FP)
	RET

// func has256() bool
TEXT ·has256(SB), NOSPLIT, $0-1
	MOVL $1, AX
	XORL CX, CX
	CPUID
	BTL $27, CX
	JCC no256
	MOVL $7, AX
	XORL CX, CX
	CPUID
	BTL $5, BX
	JCC no256
	XORL CX, CX
	XGETBV
	ANDL $0x6, AX
	CMPL AX, $0x6
	JNE no256
	MOVB $1, ret+0(FP)
	RET
no256:
	MOVB $0, ret+0(FP)
	RET

// func acrossCall(seed uint64, args *[6]uintptr) int
// Fills what a system call must keep, makes a call that blocks, counts what changed. RCX, R11 and RAX are the kernel's.
TEXT ·acrossCall(SB), NOSPLIT, $16-24
	MOVQ seed+0(FP), R12
	MOVQ R14, keep-8(SP)
	MOVQ args+8(FP), BX
	MOVQ 0(BX), AX
	MOVQ 8(BX), DI
	MOVQ 16(BX), SI
	MOVQ 24(BX), DX
	LEAQ 1(R12), R13
	LEAQ 2(R12), R15
	LEAQ 3(R12), R8
	LEAQ 4(R12), R9
	LEAQ 5(R12), R10
	MOVQ R12, X0
	MOVQ R13, X7
	MOVQ R15, X14
	SYSCALL
	XORQ CX, CX
	CMPQ R12, seed+0(FP)
	JEQ 2(PC)
	INCQ CX
	SUBQ R12, R13
	CMPQ R13, $1
	JEQ 2(PC)
	INCQ CX
	SUBQ R12, R15
	CMPQ R15, $2
	JEQ 2(PC)
	INCQ CX
	SUBQ R12, R8
	CMPQ R8, $3
	JEQ 2(PC)
	INCQ CX
	SUBQ R12, R9
	CMPQ R9, $4
	JEQ 2(PC)
	INCQ CX
	SUBQ R12, R10
	CMPQ R10, $5
	JEQ 2(PC)
	INCQ CX
	CMPQ BX, args+8(FP)
	JEQ 2(PC)
	INCQ CX
	CMPQ DI, 8(BX)
	JEQ 2(PC)
	INCQ CX
	CMPQ SI, 16(BX)
	JEQ 2(PC)
	INCQ CX
	CMPQ DX, 24(BX)
	JEQ 2(PC)
	INCQ CX
	CMPQ R14, keep-8(SP)
	JEQ 2(PC)
	INCQ CX
	MOVQ X0, AX
	CMPQ AX, R12
	JEQ 2(PC)
	INCQ CX
	MOVQ X7, AX
	SUBQ R12, AX
	CMPQ AX, $1
	JEQ 2(PC)
	INCQ CX
	MOVQ X14, AX
	SUBQ R12, AX
	CMPQ AX, $2
	JEQ 2(PC)
	INCQ CX
	MOVQ keep-8(SP), R14
	XORPS X15, X15
	MOVQ CX, ret+16(FP)
	RET

// func holdX87(n int): the x87 registers are in use while it counts n down to 0
TEXT ·holdX87(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX
	FINIT
	FLD1
	FLD1
	FLD1
	FLD1
	FLD1
	FLD1
	FLD1

hold:
	DECQ CX
	JNZ  hold
	FINIT
	RET

// func twoByX87() float64: 1 + 1
TEXT ·twoByX87(SB), NOSPLIT, $0-8
	FLD1
	FLD1
	FADDDP F0, F1
	FMOVDP F0, ret+0(FP)
	RET
