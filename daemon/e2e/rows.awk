# Prints one line a row from `go test -v`: pass or fail, the seconds, its name.
# What a failed row said follows it. Fails when a row failed or none was played.
/^ *--- (PASS|FAIL): / {
	result = $2; name = $3; seconds = $4
	gsub(/[():s]/, "", seconds)
	sub(/:/, "", result)
	if (index(name, "/") == 0) next
	sub(/^Test/, "", name)
	sub(/\//, ": ", name)
	gsub(/_/, " ", name)
	printf "%s %6.1f s  %s\n", result, seconds, name
	rows++
	total += seconds
	if (result == "FAIL") failed++
	next
}
/_test\.go:[0-9]+: / { print "            " $0; next }
/^(FAIL|panic|ok|cannot)/ { last = $0; if ($1 == "FAIL" || $1 == "panic:" || $1 == "cannot") bad = 1 }
END {
	printf "%d rows, %d failed, %.0f s\n", rows, failed, total
	if (failed || bad || !rows) { print last; exit 1 }
}
