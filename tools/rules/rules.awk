# The rules of tools/rules.sh, on the files whose names come in; prints what breaks them and fails then.

function complain(at, what) {
	print "rules: " at ": " what > "/dev/stderr"
	failed = 1
}

# Is this excepted? Notes that the exception is needed.
function excepted(key) {
	if (!(key in reasons)) return 0
	needed[key] = 1
	return 1
}

function read_exceptions(	line, key, colon, words) {
	while ((getline line < exceptions) > 0) {
		if (line ~ /^(#|$)/) continue
		colon = index(line, ": ")
		if (!colon) {
			complain(exceptions, "\"" line "\" stands there without a reason")
			continue
		}
		split(substr(line, 1, colon - 1), words, " ")
		key = words[1] " " words[2]
		if (words[1] == "layer") key = key " " words[3]
		if (words[1] == "long") limits[words[2]] = words[3]
		reasons[key] = 1
	}
	close(exceptions)
}

BEGIN {
	LONGEST_FILE = 500
	LONGEST_COMMENT = 128
	# Which room of the kernel may use which: syscall -> fs, net, task, memory -> drivers -> cpu. Locks and time serve all
	# but the CPU's own room; the program's loader is above all but system calls.
	low = " cpu sync "
	middle = low " drivers time memory task net fs "
	uses["cpu"] = " cpu "
	uses["sync"] = low
	uses["drivers"] = low " drivers time "
	uses["time"] = low " drivers time memory task "
	uses["memory"] = middle
	uses["task"] = middle
	uses["net"] = middle
	uses["fs"] = middle
	uses["program"] = middle " program "
	uses["syscall"] = middle " program syscall "
	read_exceptions()
}

# One file a line.
{
	file = $0
	if (file ~ /^kernel\/src\/[a-z]+\//) { split(file, parts, "/"); room = parts[3] } else room = ""
	is_rust = file ~ /\.rs$/
	# Where `unsafe` may stand: the rooms that touch the machine, the child's start in the command, and tests, which stand
	# in for the machine.
	may_unsafe = file ~ /^kernel\/src\/(cpu|memory|sync|drivers\/virtio|program)\// || file ~ /^cli\/src\/qemu\/(mod|tap)\.rs$/ || \
		file ~ /^(tests|cli\/tests|cli\/examples)\//
	number = 0
	safe_at = -1
	while ((getline line < file) > 0) {
		number++
		is_comment = is_rust || file ~ /\.go$/ ? line ~ /^[ \t]*\/\// : line ~ /^[ \t]*#/
		if (is_comment) {
			if (length(line) > LONGEST_COMMENT)
				complain(file ":" number, "the comment is " length(line) " characters long, of " LONGEST_COMMENT)
			# A reason holds for what follows it, attributes and further lines of comment between them.
			if (line ~ /SAFETY:/) safe_at = number
			else if (safe_at == number - 1) safe_at = number
			continue
		}
		if (!is_rust) continue
		code = line
		gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
		sub(/\/\/.*/, "", code)
		if (room != "") rooms_used(code)
		if (code ~ /(^|[^A-Za-z_])unsafe[ \t]*(\{|impl|extern|fn|trait|$)/) {
			if (!may_unsafe && !excepted("unsafe " file))
				complain(file ":" number, "unsafe is not for this place")
			# Of functions and what is declared for assembly, the callers are those who must have a reason.
			if (code !~ /unsafe (fn|trait|extern)/ && safe_at != number - 1)
				complain(file ":" number, "unsafe without SAFETY: and its reason above it")
		}
		# The reason may stand above the statement whose part the block is.
		if (safe_at == number - 1 && code !~ /[;}][ \t]*$/) safe_at = number
	}
	close(file)
	if (is_rust || file ~ /\.go$/) {
		limit = excepted_length(file, number)
		if (number > limit) complain(file, number " lines long, of " limit)
	}
}

function excepted_length(file, lines) {
	if (lines > LONGEST_FILE && excepted("long " file)) return limits[file]
	return LONGEST_FILE
}

# Each room that a line of code names: crate::fs::..., crate::{fs, net}.
function rooms_used(code,	rest, names, count, i) {
	rest = code
	while (match(rest, /crate::(\{[^}]*\}?|[a-z_]+)/)) {
		names = substr(rest, RSTART + 7, RLENGTH - 7)
		rest = substr(rest, RSTART + RLENGTH)
		gsub(/::[^,]*|[{} \t]/, "", names)
		count = split(names, rooms, ",")
		for (i = 1; i <= count; i++) {
			if (!(rooms[i] in uses) || index(uses[room], " " rooms[i] " ")) continue
			if (!excepted("layer " file " " rooms[i])) complain(file ":" number, room " may not use " rooms[i])
		}
		# Names on lines of their own would go by unseen.
		if (code ~ /crate::\{[^}]*$/) complain(file ":" number, "rooms of the crate are named on one line")
	}
}

END {
	for (key in reasons)
		if (!(key in needed)) complain(exceptions, "\"" key "\" is not needed any more")
	exit failed
}
