# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Stage: tests - the command line: TAP, and running pvbatch so that its output and exit code
# can be looked at. Sourced by the scripts beside it.

tests=0
bad=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pvbatch-cli.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"

result() { # result CONDITION NAME
	tests=$((tests + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tests - $2"
		return
	fi
	bad=1
	echo "not ok $tests - $2"
	echo "# exit code $code"
	sed 's/^/# stdout: /' "$tmp/out" | head -n 10
	sed 's/^/# stderr: /' "$tmp/err" | head -n 10
}

skip() { # skip NAME REASON
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

finish() {
	echo "1..$tests"
	exit $bad
}

# run COMMAND...: leaves $code, $tmp/out, $tmp/err. Nothing here may take a minute.
run() {
	timeout -k 5 "${limit:-60}" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
}

# said CODE PATTERN NAME: the last run ended with CODE and said PATTERN, in lines of which
# the first begins with the program's name.
said() {
	[ "$code" -eq "$1" ] && grep -qE -- "$2" "$tmp/err" &&
		head -n 1 "$tmp/err" | grep -q '^pvbatch'
	result $? "$3"
}

# json FILE PERL-EXPRESSION: is it true of the document $d?
json() {
	perl -MJSON::PP -0777 -e '
		my $d = JSON::PP->new->utf8->decode(scalar <STDIN>);
		exit(eval($ARGV[0]) ? 0 : 1)' "$2" <"$1"
}

# when_running COMMAND...: starts a command whose guest says "spinning"; its process is $pid.
when_running() {
	: >"$tmp/out"
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null &
	pid=$!
	for _ in $(seq 600); do
		grep -q spinning "$tmp/out" && return
		sleep 0.1
	done
}
