"""``pysandbox completion bash|zsh|fish``: a script made from the tables of commands and flags.

All three know where the options of ``run`` and ``plan`` end: at ``--`` or at the first word that is none.
After that the program's own words are completed, not ours.
"""

from __future__ import annotations

import sys

from ..errors import RequestError
from .flags import FLAGS, PROGRAM_COMMANDS, SHELLS, SUBCOMMANDS
from .main import COMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .options import Option

_FILES = ("FILE", "DIR", "SRC")
_USER = "NAME|UID"  # --user of setup; that of run is a number inside


def main(words: list[str]) -> int:
    """Print the script for one shell."""
    if len(words) != 1 or words[0] not in SHELLS:
        raise RequestError("completion", " ".join(words)[:80], f"name one shell: {', '.join(SHELLS)}")
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[words[0]]())
    return 0


def values_of(option: Option) -> tuple[tuple[str, ...], bool]:
    """(words that an option takes, whether it takes files too), from its choices and its metavar."""
    if option.name == "policy":
        from ..policy import names

        return tuple(names()), True
    if option.choices:
        return option.choices, False
    # "FILE|null|inherit", "auto|none|PATH": what is in small letters is meant literally.
    words = option.metavar.split("|") if "[" not in option.metavar else []
    literal = tuple(word for word in words if word == "-" or (word.isalpha() and word.islower()))
    return literal, option.metavar.startswith(_FILES)


def arguments_of(command: str) -> tuple[str, ...]:
    """The first words that a command takes, where it takes no program."""
    if command in SUBCOMMANDS:
        return tuple(SUBCOMMANDS[command])
    return {"help": tuple(COMMANDS), "completion": SHELLS}.get(command, ())


def words_of(command: str) -> tuple[str, ...]:
    """What a command's subcommands take besides files."""
    from ..policy import names

    return tuple(names()) if command == "policy" else ()


def _every() -> dict[str, Option]:
    """All spellings of all commands' flags; of the same name the first that takes a value and has some to offer."""
    found: dict[str, Option] = {}
    for option in (option for options in FLAGS.values() for option in options):
        for word in _spellings(option):
            if word not in found or _offers(option) > _offers(found[word]):
                found[word] = option
    return found


def _offers(option: Option) -> int:
    """0: a flag, 1: a value that nobody knows, 2: one that can be completed."""
    if option.kind == "flag":
        return 0
    words, files = values_of(option)
    return 2 if words or files or option.metavar == _USER else 1


def _unvalued(valued: list[str]) -> list[str]:
    """``COMMAND FLAG`` of the flags that take no value, though another command's of the same name do."""
    return [f"{command} {word}" for command, options in FLAGS.items() for option in options
            if option.kind == "flag" for word in _spellings(option) if word in valued]  # fmt: skip


def _spellings(option: Option) -> list[str]:
    return [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]


# ---- bash

_BASH = """\
# bash completion of pysandbox; to use it: eval "$(pysandbox completion bash)"

_pysandbox_flags() {
    case $1 in
@FLAGS@
    esac
}

# does this flag take a value
_pysandbox_takes_value() {
    case "${COMP_WORDS[1]-} $1" in
    @UNVALUED@) return 1 ;;
    esac
    case $1 in
    @VALUED@) return 0 ;;
    esac
    return 1
}

_pysandbox_values() {
    local cur=$2
    case $1 in
@VALUES@
    esac
}

_pysandbox() {
    # bash splits words at = and :, which is undone for --name=VALUE alone
    local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} at=2 flag= word
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '@COMMANDS@ --help --version' -- "$cur")
        return
    fi
    case $command in
@ARGUMENTS@
    esac
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at]}
        case $word in
        --) ((at += 1)); break ;;
        -?*) ;;
        *) break ;;
        esac
        ((at += 1))
        if [[ ${COMP_WORDS[at]-} == = ]]; then
            ((at += 1))
        elif ! _pysandbox_takes_value "$word"; then
            continue
        fi
        if ((at >= COMP_CWORD)); then
            [[ $cur != = ]] || cur=
            flag=$word
        fi
        # a value may hold = and : (-e K=V, -v SRC:DST), which makes several words of it
        ((at += 1))
        while ((at <= COMP_CWORD)) && [[ ${COMP_WORDS[at]} == [=:] || ${COMP_WORDS[at - 1]} == [=:] ]]; do
            ((at != COMP_CWORD)) || flag=$word
            ((at += 1))
        done
    done
    if [[ -n $flag ]]; then
        _pysandbox_values "$flag" "$cur"
        return
    fi
    if [[ $cur == -* ]] && { [[ " @SUBCOMMANDED@ " == *" $command "* ]] ||
        { ((at == COMP_CWORD)) && [[ ${COMP_WORDS[at - 1]} != -- ]]; }; }; then
        mapfile -t COMPREPLY < <(compgen -W "$(_pysandbox_flags "$command")" -- "$cur")
        return
    fi
    case $command in
@SUBCOMMANDS@
    @PROGRAM_COMMANDS@)
        compopt -o filenames 2>/dev/null
        if ((at == COMP_CWORD)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$cur"; compgen -f -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        ;;
    esac
}

complete -F _pysandbox pysandbox
"""


def bash() -> str:
    """For bash 4 and later; needs no bash-completion package."""
    flags = [f"    {command}) echo '{' '.join(word for o in options for word in _spellings(o))}' ;;"
             for command, options in FLAGS.items()]  # fmt: skip
    every = _every()
    valued = [word for word, option in every.items() if option.kind != "flag"]
    values = []
    for word in valued:
        words, files = values_of(every[word])
        action = f"compgen -W '{' '.join(words)}' -- \"$cur\"" if words else ""
        if every[word].metavar == _USER:
            action = 'compgen -u -- "$cur"'
        if files:
            action = f"{action}; compgen -f -- \"$cur\"" if action else 'compgen -f -- "$cur"'
        if action:
            also = "compopt -o filenames 2>/dev/null; " if files else ""
            values.append(f"    {word}) {also}mapfile -t COMPREPLY < <({action}) ;;")
    arguments = [f"    {command}) ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -W "
                 f"'{' '.join(arguments_of(command))}' -- \"$cur\"); return ;;"
                 for command in COMMANDS if command not in FLAGS]  # fmt: skip
    return (_BASH.replace("@FLAGS@", "\n".join(flags)).replace("@VALUED@", " | ".join(valued))
            .replace("@VALUES@", "\n".join(values)).replace("@ARGUMENTS@", "\n".join(arguments))
            .replace("@PROGRAM_COMMANDS@", " | ".join(PROGRAM_COMMANDS))
            .replace("@SUBCOMMANDS@", "\n".join(_bash_subcommand(command) for command in SUBCOMMANDS))
            .replace("@SUBCOMMANDED@", " ".join(SUBCOMMANDS))
            .replace("@UNVALUED@", " | ".join(f"'{pair}'" for pair in _unvalued(valued)))
            .replace("@COMMANDS@", " ".join(COMMANDS)))  # fmt: skip


def _bash_subcommand(command: str) -> str:
    """The case of a command with subcommands. ``judge`` takes files at once, too: a package."""
    files = "; compgen -f -- \"$cur\"" if command == "judge" else ""
    return f"""\
    {command})
        if ((COMP_CWORD > 2)) && _pysandbox_takes_value "${{COMP_WORDS[COMP_CWORD - 1]}}"; then
            _pysandbox_values "${{COMP_WORDS[COMP_CWORD - 1]}}" "$cur"
        elif ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W '{' '.join(SUBCOMMANDS[command])}' -- "$cur"{files})
        else
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -W '{' '.join(words_of(command))}' -- "$cur"; compgen -f -- "$cur")
        fi
        ;;"""


# ---- zsh


def _zsh_quoted(text: str) -> str:
    return text.replace("'", "'\\''")


def _zsh_text(text: str) -> str:
    """In a spec of _arguments [ ] : and the backslash mean something."""
    for special in "\\[]:":
        text = text.replace(special, "\\" + special)
    return _zsh_quoted(text)


def _zsh_spec(option: Option) -> str:
    repeat = "*" if option.kind in ("list", "pair") else ""
    if option.kind == "flag":
        value = ""
    else:
        words, files = values_of(option)
        # the blank at the start keeps _arguments from adding words of its own
        action = f"({' '.join(words)})" if words and not files else "_files" if files else " "
        if option.metavar == _USER:
            action = "_users"
        if words and files:
            action = f" _pysandbox_words {' '.join(words)}"
        value = f":{_zsh_text(option.metavar)}:{_zsh_quoted(action)}"
    text = f"[{_zsh_text(option.help)}]"
    long = f"--{option.name}{'' if option.kind == 'flag' else '='}"
    if not option.short:
        return f"'{repeat}{long}{text}{value}'"
    short = f"-{option.short}{'' if option.kind == 'flag' else '+'}"
    if repeat:
        return f"'*'{{{short},{long}}}'{text}{value}'"
    return f"'(-{option.short} --{option.name})'{{{short},{long}}}'{text}{value}'"


def zsh() -> str:
    """For a file called _pysandbox in a directory of $fpath."""
    commands = "\n".join(f"        '{name}:{_zsh_quoted(text)}'" for name, (_module, text) in COMMANDS.items())
    cases = []
    for command in COMMANDS:
        specs = [_zsh_spec(option) for option in FLAGS.get(command, ())]
        if command in PROGRAM_COMMANDS:
            specs += ["'(-):program: _command_names -e'", "'*::argument: _normal'"]
        elif arguments_of(command):
            words = " ".join(arguments_of(command))
            specs.append(f"':word: _pysandbox_words {words}'" if command == "judge" else f"':word:({words})'")
            if command in SUBCOMMANDS:
                specs.append(f"'*:{command}: {' '.join(['_pysandbox_words', *words_of(command)])}'")
        if specs:
            joined = " \\\n            ".join(specs)
            cases.append(f"        {command})\n            _arguments -S -s \\\n            {joined}\n            ;;")
    body = "\n".join(cases)
    return f"""\
#compdef pysandbox
# zsh completion of pysandbox; to use it: pysandbox completion zsh > DIRECTORY_OF_fpath/_pysandbox

_pysandbox_words() {{
    _alternative "words:word:($*)" 'files:file:_files'
}}

_pysandbox() {{
    local -a subcommands  # "commands" is the table of programs that _command_names reads
    subcommands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        _describe command subcommands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{body}
    esac
}}

if [[ $funcstack[1] == _pysandbox ]]; then
    _pysandbox "$@"
else
    compdef _pysandbox pysandbox
fi
"""


# ---- fish


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish() -> str:
    """For fish 3 and later."""
    every = _every()
    valued = " ".join(word for word, option in every.items() if option.kind != "flag")
    unvalued = " ".join(f'"{pair}"' for pair in _unvalued(valued.split()))
    lines = [_FISH.replace("@VALUED@", valued).replace("@UNVALUED@", unvalued), "complete -c pysandbox -f"]
    for name, (_module, text) in COMMANDS.items():
        lines.append(f"complete -c pysandbox -n '__pysandbox_at command' -a {name} -d {_fish_quoted(text)}")
    for command in COMMANDS:
        for option in FLAGS.get(command, ()):
            lines.append(_fish_option(command, option))
        if arguments_of(command):
            words = _fish_quoted(" ".join(arguments_of(command)))
            files = "-F " if command == "judge" else ""
            lines.append(f"complete -c pysandbox -n '__pysandbox_at options {command}' {files}-a {words}")
        if command in SUBCOMMANDS:
            words = _fish_quoted(" ".join(words_of(command)))
            lines.append(f"complete -c pysandbox -n '__pysandbox_at program {command}' -F -a {words}")
        if command in PROGRAM_COMMANDS:
            programs = "-F -a '(__fish_complete_command)'"
            lines.append(f"complete -c pysandbox -n '__pysandbox_at options {command}' {programs}")
            lines.append(f"complete -c pysandbox -n '__pysandbox_at program {command}' -F")
    return "\n".join(lines) + "\n"


def _fish_option(command: str, option: Option) -> str:
    parts = [f"complete -c pysandbox -n '__pysandbox_at options {command}' -l {option.name}"]
    if option.short:
        parts.append(f"-s {option.short}")
    if option.kind != "flag":
        words, files = values_of(option)
        parts.append("-r -F" if files else "-x")
        if words:
            parts.append(f"-a {_fish_quoted(' '.join(words))}")
        if option.metavar == _USER:
            parts.append("-a '(__fish_complete_users)'")
    return " ".join([*parts, f"-d {_fish_quoted(option.help)}"])


_FISH = """\
# fish completion of pysandbox; to use it: pysandbox completion fish | source

# __pysandbox_at command | options COMMAND | program COMMAND: is the cursor there
function __pysandbox_at
    set -l words (commandline -opc)
    set -e words[1]
    if test $argv[1] = command
        test (count $words) -eq 0
        return
    end
    test (count $words) -gt 0; and test $words[1] = $argv[2]; or return 1
    set -e words[1]
    set -l place options
    while test (count $words) -gt 0
        set -l word $words[1]
        set -e words[1]
        if test "$word" = --
            set place program
            break
        else if string match -q -- '-?*' $word
            set -l known $argv[2] $word
            if contains -- $word @VALUED@; and not contains -- "$known" @UNVALUED@; and test (count $words) -gt 0
                set -e words[1]
            end
        else
            set place program
            break
        end
    end
    test $place = $argv[1]
end
"""
