# SPDX-License-Identifier: MIT
# bash completion for procpoold(8). Options are those of its help.

_procpoold() {
	local cur prev words cword split
	_init_completion -s || return
	case $prev in
	-c | --config)
		_filedir
		return
		;;
	-s | --socket | -m | --module)
		_filedir
		return
		;;
	-l | --log-level)
		COMPREPLY=($(compgen -W "error warning info debug" -- "$cur"))
		return
		;;
	-w | --workers | --creator)
		return
		;;
	esac
	$split && return
	COMPREPLY=($(compgen -W "$(procpoold --help 2>/dev/null | grep -oE '(^|[ ,])--?[a-zA-Z][a-z-]*' | tr -d ' ,')" -- "$cur"))
}

complete -F _procpoold procpoold
