#include "textflag.h"

// func codeSelector() uint16
TEXT ·codeSelector(SB), NOSPLIT, $0-2
	MOVW CS, AX
	MOVW AX, ret+0(FP)
	RET
