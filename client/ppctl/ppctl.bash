# SPDX-License-Identifier: MIT
# bash completion for ppctl(1). Functions, pools and jobs are asked of the daemon.

# The lines of a table's column, or nothing without a daemon.
_ppctl_names() {
	local socket=()
	local i
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-S | --socket) socket+=(--socket "${words[i + 1]}") ;;
		-m | --module) socket+=(--module "${words[i + 1]}") ;;
		-x | --private) socket+=(--private) ;;
		esac
	done
	ppctl --timeout 1 "${socket[@]}" "$1" 2>/dev/null | awk -v column="$2" 'NR > 1 && $column != "*" {print $column}'
}

# The options in a command's own help text.
_ppctl_options() {
	ppctl "$@" --help 2>/dev/null | awk '/^Options:/ {on = 1; next} /^$/ {on = 0}
		on {gsub(",", "", $1); print $1; print $2}'
}

_ppctl() {
	local cur prev words cword
	_init_completion || return
	local commands="apply async map wait result cancel watch jobs job pools workers functions stats
		recycle reload scale pause resume drain kill doctor ping help"
	local command="" operands=0 i
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-S | --socket | -m | --module | -t | --timeout | -R | --run-timeout | -p | --pool | -k | --kwarg | -w | --window | -T | --state | \
			-e | --expires | -y | --retries | -P | --priority)
			((i++))
			;;
		-*) ;;
		*)
			if [[ -z $command ]]; then
				command=${words[i]}
			else
				((operands++))
			fi
			;;
		esac
	done

	case $prev in
	-S | --socket | -m | --module)
		_filedir
		return
		;;
	-p | --pool)
		COMPREPLY=($(compgen -W "$(_ppctl_names pools 1)" -- "$cur"))
		return
		;;
	-T | --state)
		COMPREPLY=($(compgen -W "waiting running done failed cancelled" -- "$cur"))
		return
		;;
	-P | --priority)
		COMPREPLY=($(compgen -W "-2 -1 0 1 2" -- "$cur"))
		return
		;;
	-t | --timeout | -R | --run-timeout | -k | --kwarg | -w | --window | -e | --expires | -y | --retries)
		return
		;;
	esac

	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(_ppctl_options $command)" -- "$cur"))
	elif [[ -z $command || $command == help ]]; then
		COMPREPLY=($(compgen -W "$commands" -- "$cur"))
	elif ((operands == 0)); then
		case $command in
		apply | async | map)
			COMPREPLY=($(compgen -W "$(_ppctl_names functions 1)" -- "$cur"))
			;;
		recycle | scale | pause | resume | drain)
			COMPREPLY=($(compgen -W "$(_ppctl_names pools 1)" -- "$cur"))
			;;
		kill)
			COMPREPLY=($(compgen -W "$(_ppctl_names workers 1)" -- "$cur"))
			;;
		wait | result | cancel | job | watch)
			COMPREPLY=($(compgen -W "$(_ppctl_names jobs 1)" -- "$cur"))
			;;
		esac
	else
		_filedir
	fi
}

complete -F _ppctl ppctl
