# What the scripts of this folder share. Sourced, never run.
# shellcheck shell=bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(realpath -m -- "${CLUSTER_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/blockgrid/cluster}")

# Where root and `go install` put programs, whatever the caller's path says.
PATH=$PATH:/usr/sbin:/sbin:${GOPATH:-$HOME/go}/bin

# The control plane of a cluster with nodes, and what runs beside it. Pods reach it, and so does the machine.
control=10.200.0.2
bridge=blockgrid0
# Names the cluster that has nodes: there is one bridge and one set of addresses, so one at a time.
owner=/run/blockgrid-cluster

say() { echo "cluster: $*" >&2; }
fail() {
    say "$@"
    exit 1
}

# The state of a process and when it started: a pid alone may be somebody else's by now.
state() { # state PID
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return
    # The name before it may hold anything.
    read -ra stat <<<"${stat##*) }"
    echo "${stat[0]} ${stat[19]}"
}

# The pid of what was started under a name, if it runs. A zombie that nobody reaps answers kill -0, but is dead.
pid() { # pid NAME
    local pid since now started
    [[ -e $dir/run/$1 ]] || return
    read -r pid since <"$dir/run/$1"
    read -r now started < <(state "$pid") || return
    [[ $started == "$since" && $now != [ZX] ]] && echo "$pid"
}

start() { # start NAME PROGRAM [ARG]...: unless it runs, with its log in logs/NAME.log
    local name=$1 started
    shift
    ! pid "$name" >/dev/null || return 0
    mkdir -p "$dir/run" "$dir/logs"
    # A group of its own, for Ctrl-C is not meant for it; without descriptor 9, the lock of who starts it.
    setsid "$@" </dev/null >>"$dir/logs/$name.log" 2>&1 9>&- &
    started=$(state $!) || true
    echo "$! ${started#* }" >"$dir/run/$name"
}

stop() { # stop NAME [SIGNAL]: and wait until it is gone
    local pid
    if pid=$(pid "$1"); then
        kill "-${2:-TERM}" "$pid" 2>/dev/null || true
        local i
        for ((i = 0; i < 200; i++)); do
            pid "$1" >/dev/null || break
            ((i != 100)) || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.05
        done
    fi
    rm -f "$dir/run/$1"
}

await() { # await SECONDS WHAT COMMAND...: until it succeeds, as long as NAME, the first word of WHAT, runs
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > until)) || ! pid "${what%% *}" >/dev/null; then
            tail -n 5 "$dir/logs/${what%% *}.log" >&2 || true
            fail "$what did not come up; its log: $dir/logs/${what%% *}.log"
        fi
        sleep 0.05
    done
}
