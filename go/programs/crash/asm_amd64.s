#include "textflag.h"

// func breakpoint()
TEXT ·breakpoint(SB), NOSPLIT, $0-0
	BYTE $0xcc
	RET

// func undefined()
TEXT ·undefined(SB), NOSPLIT, $0-0
	UNDEF
	RET

// func divideOverflow()
TEXT ·divideOverflow(SB), NOSPLIT, $0-0
	MOVQ $-1, DX
	MOVQ $0, AX
	MOVQ $1, CX
	DIVQ CX
	RET

// func misalignedVector(p *byte)
TEXT ·misalignedVector(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	MOVAPS (AX), X0
	RET

// func stringForwards(from, to *byte, n int)
// A fault in the middle of a repeated move leaves the registers at the element that failed.
TEXT ·stringForwards(SB), NOSPLIT, $0-24
	MOVQ from+0(FP), SI
	MOVQ to+8(FP), DI
	MOVQ n+16(FP), CX
	REP; MOVSB
	RET

// func returnFromData(at uintptr)
TEXT ·jump(SB), NOSPLIT, $0-8
	MOVQ at+0(FP), AX
	JMP AX
